"""k-centre: keep the cutout furthest from all that are kept already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from skysift.curation.points import Points
from skysift.curation.sampling.pool import Chosen, Pool, ordered
from skysift.curation.seeding import lower_to

BATCH = 256


@dataclass(frozen=True)
class Facility:
    """Greedy k-centre or minimum-distance selection (Gonzalez 1985, TCS 38, 293), from a random first cutout.

    It covers the features evenly, so it finds rare kinds, but outliers and artefacts too. Distances are multiplied by
    the square root of the weights.

    Parameters
    ----------
    device : str
        Where the distances are computed.
    unit : bool
        Scale features to length 1 first, as for the metric "cosine".
    """

    device: str = "cpu"
    unit: bool = False

    def select(self, pool: Pool, target: int, rng: np.random.Generator) -> Chosen:
        """Return `target` rows."""
        rows = pool.rows
        rounds, rest = divmod(target, len(rows))
        kept = np.tile(rows, rounds)
        if rest:
            features = pool.features if len(rows) == len(pool.features) else pool.features[rows]
            points = Points(features, device=self.device, unit=self.unit)
            kept = np.concatenate([kept, rows[furthest_first(points, rest, rng, pool.weights[rows])]])
        return ordered(kept, np.full(target, target), np.full(target, len(rows)), "furthest from all kept before")


def furthest_first(
    points: Points, count: int, rng: np.random.Generator, weights: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """Return `count` rows, each the furthest from those before it.

    Distances of a batch of candidates are brought up to date among themselves; one of them is taken as long as it
    beats the outdated, and so too large, distance of every row outside the batch. The result is that of updating
    all rows after each choice, with far fewer passes over the points.
    """
    weight = np.ones(points.n) if weights is None else weights
    chosen = [int(rng.integers(points.n))]
    nearest = np.full(points.n, np.inf, dtype=np.float32)
    lower_to(points, nearest, chosen)
    taken = np.zeros(points.n, dtype=bool)
    taken[chosen] = True
    while len(chosen) < count:
        score = np.where(taken, -1.0, nearest * weight)
        size = min(BATCH, points.n - len(chosen))
        best = np.argpartition(-score, size - 1)[:size]
        best = best[np.lexsort((best, -score[best]))]
        outside = float(score[best[-1]]) if size < points.n - len(chosen) else -1.0
        fresh = _batch(points, best, score[best], weight[best], outside, count - len(chosen))
        lower_to(points, nearest, fresh)
        taken[fresh] = True
        chosen.extend(fresh)
    return np.asarray(chosen, dtype=np.int64)


def _batch(
    points: Points,
    best: NDArray[np.int64],
    score: NDArray[np.float64],
    weight: NDArray[np.float64],
    outside: float,
    count: int,
) -> list[int]:
    rows = points.rows(torch.as_tensor(best, device=points.device))
    apart = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").square().cpu().numpy()
    now, fresh = score.copy(), list[int]()
    while len(fresh) < count:
        i = int(now.argmax())
        if now[i] < 0 or (fresh and now[i] < outside):
            break
        fresh.append(int(best[i]))
        now = np.minimum(now, apart[i] * weight)
        now[i] = -1.0
    return fresh
