"""Exact nearest centroids at the speed of low precision: search roughly, then settle what rounding leaves open."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from skysift.curation.points import Points
from skysift.curation.threads import each_chunk

BLOCK = 1024
"""Centroids searched at once."""
PROBES = 256
"""Rows on which the rounding error of the rough search is measured."""
SAFETY = 2.0
"""Allowance for the rough search's error, in units of the largest error seen among the probes."""


class Nearest(NamedTuple):
    """Result of a search over M rows.

    Attributes
    ----------
    labels : Tensor (M,) int64
        Nearest centroid; among centroids at the same distance the one of lowest index.
    upper : Tensor (M,) float32
        Not less than the distance to it.
    lower : Tensor (M,) float32
        Not more than the distance to any other centroid.
    """

    labels: Tensor
    upper: Tensor
    lower: Tensor


class Searcher:
    """Finds the nearest of `centroids` for rows of `points`.

    The score `x.c - |c|^2 / 2` is largest for the nearest centroid. It is first computed in `points.fast` precision.
    Rows whose two best scores differ by less than the rounding error allows are searched again in float32, and
    what is open then in float64. The answer is therefore the same for any number of threads or block size.

    Parameters
    ----------
    points : Points
        N rows in D dimensions.
    centroids : Tensor (K, D) float32
        In the frame of `points`, that is, with `points.shift` taken off.
    """

    def __init__(self, points: Points, centroids: Tensor) -> None:
        self.points = points
        self.centroids = centroids
        self.fast = centroids.to(points.fast)
        self.half = 0.5 * centroids.double().square().sum(1)
        self.lengths = (2 * self.half).sqrt().float()
        # any order of adding D products errs by at most D eps |x| |c|; the rest is the rounding of |c|^2 / 2
        self.exact = (points.dim + 4) * 2.0**-24
        self.rough = self._measure() if points.fast == torch.bfloat16 else self.exact

    def _measure(self) -> float:
        """Return the allowance for the error of a bfloat16 score, in units of `|x| |c|`.

        Rounding the score itself errs by at most 2^-9 of it. What rounding the factors does is measured.
        """
        step = max(1, self.points.n // PROBES)
        index = torch.arange(0, self.points.n, step, device=self.points.device)[:PROBES]
        rows = self.points.rows(index)
        rounded = rows.bfloat16()
        tiny = torch.finfo(torch.float32).tiny
        inverse = self.points.squares[index].sqrt().clamp_min(tiny).reciprocal_()
        factors = whole = 0.0
        for start in range(0, len(self.centroids), BLOCK):
            part = slice(start, start + BLOCK)
            true = rows @ self.centroids[part].T
            scale = inverse[:, None] / self.lengths[part].clamp_min(tiny)
            error = (rounded.float() @ self.fast[part].float().T).sub_(true).abs_().mul_(scale)
            factors = max(factors, float(error.max()))
            error = (rounded @ self.fast[part].T).float().sub_(true).abs_().mul_(scale)
            whole = max(whole, float(error.max()))
        return min(SAFETY * whole, SAFETY * factors + 2.0**-9 * (1 + 2.0**-8)) + self.exact

    def __call__(self, index: Tensor | None = None) -> Nearest:
        """Search for the rows of `index` (int64), or for all rows."""
        count = self.points.n if index is None else len(index)
        device = self.points.device
        labels = torch.empty(count, dtype=torch.int64, device=device)
        upper = torch.empty(count, device=device)
        lower = torch.empty(count, device=device)

        def work(part: slice) -> None:
            which = part if index is None else index[part]
            self._chunk(which, self.points.squares[which], labels[part], upper[part], lower[part])

        each_chunk(work, count, self.points.chunk, device)
        return Nearest(labels, upper, lower)

    def _chunk(self, which: slice | Tensor, squares: Tensor, labels: Tensor, upper: Tensor, lower: Tensor) -> None:
        lengths = squares.sqrt()
        best, second, found = self._bounds(self.points.fast_rows(which), self.fast, lengths, self.rough)
        unsure = (second >= best).nonzero()[:, 0]
        if len(unsure) and self.points.fast != torch.float32:
            rows = self.points.rows(_pick(which, unsure))
            best[unsure], second[unsure], found[unsure] = self._bounds(
                rows, self.centroids, lengths[unsure], self.exact
            )
            unsure = unsure[second[unsure] >= best[unsure]]
        if len(unsure):
            found[unsure] = self._settle(self.points.rows(_pick(which, unsure)), lengths[unsure])
        labels.copy_(found)
        upper.copy_((squares - 2 * best).clamp_min_(0).sqrt_())
        lower.copy_((squares - 2 * second).clamp_min_(0).sqrt_())

    def _bounds(self, rows: Tensor, centroids: Tensor, lengths: Tensor, error: float) -> tuple[Tensor, Tensor, Tensor]:
        """Return a lower bound of the score of the best centroid, an upper bound of the others', and the best."""
        slack = self.lengths * (float(lengths.max()) * error) + self.half.float() * 2.0**-22
        best, second, found = top_two(rows, centroids, self.half.float() - slack)
        return best - 2 * slack[found], second, found

    def _settle(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """Search in float64; scores that differ by less than its rounding count as equal, and the first wins."""
        centroids = self.centroids.double()
        result = torch.empty(len(rows), dtype=torch.int64, device=rows.device)
        step = max(1, (1 << 22) // len(centroids))
        longest = float(self.lengths.max())
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            scores = rows[part].double() @ centroids.T - self.half
            limit = scores.amax(1, keepdim=True) - (lengths[part, None].double() * longest + longest**2) * 1e-13
            result[part] = (scores >= limit).to(torch.uint8).argmax(1)
        return result


def top_two(rows: Tensor, centroids: Tensor, half: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the best score, the second best and the index of the best for each row: `x.c - |c|^2 / 2`."""
    best = second = found = None
    for start in range(0, len(centroids), BLOCK):
        scores = torch.mm(rows, centroids[start : start + BLOCK].T)
        if scores.dtype == torch.float32:
            scores.sub_(half[start : start + BLOCK])
        else:
            scores = scores - half[start : start + BLOCK]
        where = first_max(scores)
        top = scores.gather(1, where[:, None])[:, 0]
        scores.scatter_(1, where[:, None], -torch.inf)
        runner = scores.amax(1)
        if best is None or second is None or found is None:
            best, second, found = top, runner, where
            continue
        second = torch.maximum(torch.maximum(second, runner), torch.minimum(top, best))
        found = torch.where(top > best, where + start, found)
        best = torch.maximum(top, best)
    if best is None or second is None or found is None:
        raise ValueError("no centroids to search")
    return best, second, found


def first_max(scores: Tensor) -> Tensor:
    """Return the column (M,) int64 of each row's largest value, the first of equals."""
    if scores.device.type == "cpu":
        # NumPy's argmax is vectorised and about eight times as fast as torch's
        return torch.from_numpy(scores.numpy().argmax(1))
    return scores.argmax(1)


def _pick(which: slice | Tensor, inside: Tensor) -> Tensor:
    return inside + which.start if isinstance(which, slice) else which[inside]
