"""Balanced sampling over the finest clusters, without the tree."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from skysift.curation.sampling.hierarchical import share_out
from skysift.curation.sampling.leaves import Leaf, Random, take
from skysift.curation.sampling.pool import Chosen, Pool, ordered


@dataclass(frozen=True)
class Flat:
    """Share the target among the level-1 clusters by water-filling: a baseline.

    Parameters
    ----------
    leaf : Leaf
        How a cluster gives its share.
    """

    leaf: Leaf = field(default_factory=Random)

    def select(self, pool: Pool, target: int, rng: np.random.Generator) -> Chosen:
        """Return `target` rows."""
        rows, quota, held = [], [], []
        for members, share in share_out(pool, pool.rows, target, 0, rng):
            kept = take(self.leaf, pool, members, share, rng)
            rows.append(kept)
            quota.append(np.full(len(kept), share))
            held.append(np.full(len(kept), len(members)))
        reason = f"balanced over level 1, {self.leaf.name} in its cluster"
        return ordered(np.concatenate(rows), np.concatenate(quota), np.concatenate(held), reason)
