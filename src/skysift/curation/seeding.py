"""Where k-means starts: k-means++ and k-means||, both in blocks of matrix products."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skysift.curation.nearest import BLOCK, Searcher
from skysift.curation.points import Points
from skysift.curation.threads import each_chunk

Weights = NDArray[np.float64]
CANDIDATES = 64
ROUNDS = 5
OVERSAMPLING = 2.0


def plus_plus(points: Points, k: int, rng: np.random.Generator, weights: Weights | None = None) -> Tensor:
    """Choose `k` rows by k-means++ (Arthur & Vassilvitskii 2007): each with probability ~ squared distance.

    Candidates are drawn in blocks from the distances at the start of the block and accepted with the ratio of the
    present to that older squared distance. This rejection sampling has exactly the distribution of drawing one at a
    time, and needs one matrix product a block instead of one pass over the points a centroid.

    Parameters
    ----------
    points : Points
        N rows; N >= k.
    k : int
        How many to choose.
    rng : numpy.random.Generator
        Source of randomness.
    weights : array (N,) float64, optional
        Weight of each row.

    Returns
    -------
    Tensor (k,) int64
        Indices of distinct rows. Once every row coincides with a chosen one, the rest is drawn at random.
    """
    weight = np.ones(points.n) if weights is None else weights
    first = int(np.searchsorted(np.cumsum(weight), rng.random() * weight.sum(), side="right"))
    chosen = [min(first, points.n - 1)]
    nearest = np.full(points.n, np.inf, dtype=np.float32)
    lower_to(points, nearest, chosen)
    while len(chosen) < k:
        ladder = np.cumsum(weight * nearest)
        if not ladder[-1] > 0:
            rest = np.setdiff1d(np.arange(points.n), np.asarray(chosen), assume_unique=True)
            chosen.extend(int(i) for i in rng.choice(rest, k - len(chosen), replace=False))
            break
        block = _accept(points, nearest, ladder, rng, min(CANDIDATES, len(chosen), k - len(chosen)))
        lower_to(points, nearest, block)
        chosen.extend(block)
    return torch.as_tensor(chosen, device=points.device)


def _accept(
    points: Points, nearest: NDArray[np.float32], ladder: Weights, rng: np.random.Generator, count: int
) -> list[int]:
    drawn = np.searchsorted(ladder, rng.random(count) * ladder[-1], side="right")
    drawn = np.minimum(drawn, points.n - 1)
    dice = rng.random(count)
    rows = points.rows(torch.as_tensor(drawn, device=points.device)).double()
    apart = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").square().cpu().numpy()
    kept: list[int] = []
    for i, index in enumerate(drawn):
        before = float(nearest[index])
        now = min([before, *(apart[i, j] for j in kept)])
        if now > 0 and dice[i] * before < now:
            kept.append(i)
    return [int(drawn[i]) for i in kept]


def lower_to(points: Points, nearest: NDArray[np.float32], chosen: list[int]) -> None:
    """Lower the squared distances `nearest` (N,) to those from the rows `chosen`, where they are less."""
    for first in range(0, len(chosen), BLOCK):
        index = torch.as_tensor(chosen[first : first + BLOCK], device=points.device)
        centres = points.rows(index)
        half = 0.5 * centres.square().sum(1)
        each_chunk(partial(_lower_chunk, points, nearest, centres, half), points.n, points.chunk, points.device)
    nearest[chosen] = 0.0


def _lower_chunk(points: Points, nearest: NDArray[np.float32], centres: Tensor, half: Tensor, part: slice) -> None:
    scores = torch.addmm(half, points.rows(part), centres.T, beta=-1)
    squares = (points.squares[part] - 2 * scores.amax(1)).clamp_min_(0).cpu().numpy()
    np.minimum(nearest[part], squares, out=nearest[part])


def parallel(points: Points, k: int, rng: np.random.Generator) -> Tensor:
    """Choose `k` rows by k-means|| (Bahmani et al. 2012, PVLDB 5, 622): few rounds, many candidates at once.

    Five rounds draw about 2k candidates each; candidates weighted by the points nearest to them are then
    reduced to `k` by k-means++.

    Returns
    -------
    Tensor (k,) int64
        Indices of distinct rows.
    """
    chosen = [int(rng.integers(points.n))]
    nearest = np.full(points.n, np.inf, dtype=np.float32)
    lower_to(points, nearest, chosen)
    for _ in range(ROUNDS):
        total = float(nearest.sum(dtype=np.float64))
        if total == 0:
            break
        keep = rng.random(points.n) * total < OVERSAMPLING * k * nearest.astype(np.float64)
        fresh = [int(i) for i in np.flatnonzero(keep)]
        lower_to(points, nearest, fresh)
        chosen.extend(fresh)
    if len(chosen) <= k:
        rest = np.setdiff1d(np.arange(points.n), np.asarray(chosen))
        chosen.extend(int(i) for i in rng.choice(rest, k - len(chosen), replace=False))
        return torch.as_tensor(chosen, device=points.device)
    index = torch.as_tensor(chosen, device=points.device)
    rows = points.rows(index)
    counts = torch.bincount(Searcher(points, rows)().labels, minlength=len(chosen)).cpu().numpy().astype(np.float64)
    picked = plus_plus(Points(rows, device=str(points.device)), k, rng, weights=counts)
    return index[picked]
