"""Balanced sampling from the top of the tree down (Vo et al. 2024, arXiv:2405.15613)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from skysift.curation.quotas import Quota
from skysift.curation.sampling.bounds import UNLIMITED, Bounds
from skysift.curation.sampling.leaves import Leaf, Random, take
from skysift.curation.sampling.pool import Chosen, Pool, Rows, ordered
from skysift.curation.sampling.waterfill import water_fill


@dataclass(frozen=True)
class Hierarchical:
    """Share the target among the top clusters by water-filling, each share among its children, and so on.

    Parameters
    ----------
    leaf : Leaf
        How a level-1 cluster gives its share.
    quotas : sequence of Quota
        Clusters that give a number of their own; the rest of the target is shared among the others.
    """

    leaf: Leaf = field(default_factory=Random)
    quotas: Sequence[Quota] = ()

    def select(self, pool: Pool, target: int, rng: np.random.Generator) -> Chosen:
        """Return `target` rows.

        Raises
        ------
        RequestError
            If the quotas can't be had.
        """
        bounds = None
        reason = f"balanced over {pool.paths.shape[1]} levels, {self.leaf.name} in its cluster"
        if self.quotas:
            bounds = Bounds.of(pool, self.quotas)
            bounds.check_target(target)
            reason = f"balanced over {pool.paths.shape[1]} levels with quotas, {self.leaf.name} in its cluster"
        found = list(self._descend(pool, pool.rows, target, pool.paths.shape[1] - 1, rng, bounds))
        rows, quota, held = (np.concatenate(part) for part in zip(*found, strict=True))
        return ordered(rows, quota, held, reason)

    def _descend(
        self, pool: Pool, rows: Rows, target: int, level: int, rng: np.random.Generator, bounds: Bounds | None
    ) -> Iterator[tuple[Rows, Rows, Rows]]:
        for members, share in share_out(pool, rows, target, level, rng, bounds):
            if level:
                yield from self._descend(pool, members, share, level - 1, rng, bounds)
            else:
                kept = take(self.leaf, pool, members, share, rng)
                yield kept, np.full(len(kept), share), np.full(len(kept), len(members))


def share_out(
    pool: Pool, rows: Rows, target: int, level: int, rng: np.random.Generator, bounds: Bounds | None = None
) -> Iterator[tuple[Rows, int]]:
    """Yield the rows of each cluster of a level among `rows`, and its share of the target where that is not 0."""
    names, inverse, counts = np.unique(pool.paths[rows, level], return_inverse=True, return_counts=True)
    quality = np.bincount(inverse, weights=pool.weights[rows]) / counts
    sizes = np.full(len(counts), UNLIMITED) if pool.repeats else counts
    least = None
    if bounds is not None:
        sizes, least = bounds.most[level][names], bounds.least[level][names]
    shares = water_fill(sizes, target, rng, quality=quality, least=least)
    order = np.argsort(inverse, kind="stable")
    for members, share in zip(np.split(rows[order], np.cumsum(counts)[:-1]), shares, strict=True):
        if share:
            yield members, int(share)
