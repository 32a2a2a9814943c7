"""Balanced sampling from the top of the tree down (Vo et al. 2024, arXiv:2405.15613)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from skysift.curation.sampling.leaves import Leaf, Random, take
from skysift.curation.sampling.pool import Chosen, Pool, Rows, ordered
from skysift.curation.sampling.waterfill import water_fill

UNLIMITED = 1 << 40


@dataclass(frozen=True)
class Hierarchical:
    """Share the target among the top clusters by water-filling, each share among its children, and so on.

    Parameters
    ----------
    leaf : Leaf
        How a level-1 cluster gives its share.
    """

    leaf: Leaf = field(default_factory=Random)

    def select(self, pool: Pool, target: int, rng: np.random.Generator) -> Chosen:
        """Return `target` rows."""
        found = list(self._descend(pool, pool.rows, target, pool.paths.shape[1] - 1, rng))
        rows, quota, held = (np.concatenate(part) for part in zip(*found, strict=True))
        return ordered(
            rows, quota, held, f"balanced over {pool.paths.shape[1]} levels, {self.leaf.name} in its cluster"
        )

    def _descend(
        self, pool: Pool, rows: Rows, target: int, level: int, rng: np.random.Generator
    ) -> Iterator[tuple[Rows, Rows, Rows]]:
        for members, share in share_out(pool, rows, target, level, rng):
            if level:
                yield from self._descend(pool, members, share, level - 1, rng)
            else:
                kept = take(self.leaf, pool, members, share, rng)
                yield kept, np.full(len(kept), share), np.full(len(kept), len(members))


def share_out(pool: Pool, rows: Rows, target: int, level: int, rng: np.random.Generator) -> Iterator[tuple[Rows, int]]:
    """Yield the rows of each cluster of a level among `rows`, and its share of the target where that is not 0."""
    _, inverse, counts = np.unique(pool.paths[rows, level], return_inverse=True, return_counts=True)
    quality = np.bincount(inverse, weights=pool.weights[rows]) / counts
    sizes = np.full(len(counts), UNLIMITED) if pool.repeats else counts
    shares = water_fill(sizes, target, rng, quality=quality)
    order = np.argsort(inverse, kind="stable")
    for members, share in zip(np.split(rows[order], np.cumsum(counts)[:-1]), shares, strict=True):
        if share:
            yield members, int(share)
