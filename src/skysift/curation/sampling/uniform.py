"""Plain random sampling: what every other rule is compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skysift.curation.sampling.leaves import Random, take
from skysift.curation.sampling.pool import Chosen, Pool, ordered


@dataclass(frozen=True)
class Uniform:
    """Keep cutouts at random, with probabilities in proportion to their weights; clusters play no part."""

    def select(self, pool: Pool, target: int, rng: np.random.Generator) -> Chosen:
        """Return `target` rows."""
        rows = take(Random(), pool, pool.rows, target, rng)
        return ordered(rows, np.full(target, target), np.full(target, len(pool.rows)), "random")
