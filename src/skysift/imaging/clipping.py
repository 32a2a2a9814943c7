"""Sigma clipping about the median, equal to astropy's: image by image on the CPU, or a sorted batch on any device."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skysift.imaging.order import Ordered

SAMPLE = 1024
COUNTS = 2
SLACK = 6
REACH = 256


class Row:
    """The valid pixels of one image, (N,) float32, with the order statistics around the median."""

    def __init__(self, values: NDArray[np.float32]) -> None:
        self.values, self.number = values, len(values)
        self.smallest, self.largest = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
        self._near, self._first = values[:0], 0

    def median(self, start: int, stop: int) -> float:
        """Return the median of the pixels whose ranks are `start` to `stop`."""
        low, high = (start + stop - 1) // 2, (start + stop) // 2
        if low < self._first or high >= self._first + len(self._near):
            self._look_around(low)
        return 0.5 * (float(self._near[low - self._first]) + float(self._near[high - self._first]))

    def below(self, bound: float) -> NDArray[np.float64]:
        """Return the pixels below a bound."""
        return self.values[self.values < bound].astype(np.float64) if self.smallest < bound else np.empty(0)

    def above(self, bound: float) -> NDArray[np.float64]:
        """Return the pixels above a bound."""
        return self.values[self.values > bound].astype(np.float64) if self.largest > bound else np.empty(0)

    def _look_around(self, rank: int) -> None:
        """Sort the pixels of the ranks around one, as far as clipping usually moves the median."""
        reach = 8 + self.number // REACH
        band, below = self._band(rank, reach)
        low, high = max(rank - reach - below, 0), min(rank + reach - below, len(band) - 1)
        self._near, self._first = np.sort(np.partition(band, (low, high))[low : high + 1]), below + low

    def _band(self, rank: int, reach: int) -> tuple[NDArray[np.float32], int]:
        """Return the pixels of the ranks around one, unsorted, and the number of those before.

        A sorted sample tells about which pixel has a rank; counting the pixels that are smaller tells how far off
        that is. (Taking all pixels near the sample's median would be slower: the processor can't foresee which.)
        """
        stride = self.number // SAMPLE
        if stride < 4:
            return self.values, 0
        sample = np.sort(self.values[::stride])
        guess = rank
        for _ in range(COUNTS):
            guess += rank - int(np.count_nonzero(self.values < sample[self._place(guess, stride, sample)]))
        half = reach + SLACK * stride
        inside = self.values >= sample[self._place(guess - half, stride, sample)]
        below = self.number - int(np.count_nonzero(inside))
        inside &= self.values <= sample[self._place(guess + half, stride, sample)]
        band = self.values[inside]
        found = below <= rank and rank + 1 < below + len(band)
        return (band, below) if found else (self.values, 0)

    @staticmethod
    def _place(rank: int, stride: int, sample: NDArray[np.float32]) -> int:
        return min(max(rank // stride, 0), len(sample) - 1)


def clip_bounds(row: Row, low: float, high: float, iterations: int) -> tuple[float, float]:
    """Return the bounds of iterated sigma clipping about the median of one image.

    Little is clipped, so it is taken out of the sums (float64, about the median) of all pixels.

    Parameters
    ----------
    row : Row
        Valid pixels.
    low, high : float
        Bounds below and above the median [standard deviations].
    iterations : int
        Most iterations.

    Returns
    -------
    tuple of float
        As `astropy.stats.sigma_clip(..., return_bounds=True)`; zeros for no pixels.
    """
    if not row.number:
        return 0.0, 0.0
    start, stop = 0, row.number
    centre = row.median(start, stop)
    moved = row.values.astype(np.float64)
    moved -= centre
    all_first, all_second = float(moved.sum()), float(np.einsum("i,i->", moved, moved))
    first, second = all_first, all_second
    least, most = -math.inf, math.inf
    bounds = (centre, centre)
    for _ in range(iterations):
        number = stop - start
        mean = first / number
        std = math.sqrt(max(second / number - mean * mean, 0.0))
        middle = row.median(start, stop)
        bounds = (middle - low * std, middle + high * std)
        least, most = max(least, bounds[0]), min(most, bounds[1])
        under, over = row.below(least), row.above(most)
        if (start, stop) == (len(under), row.number - len(over)):
            break
        start, stop = len(under), row.number - len(over)
        gone = np.concatenate([under, over]) - centre
        first, second = all_first - float(gone.sum()), all_second - float(gone @ gone)
    return bounds


def sorted_clip_bounds(ordered: Ordered, low: float, high: float, iterations: int) -> tuple[Tensor, Tensor]:
    """Return the bounds of iterated sigma clipping from sorted pixels, for all images at once.

    What survives is a run of the sorted pixels, so prefix sums (float64, about the median) give every standard
    deviation.

    Parameters
    ----------
    ordered : Ordered
        (B, N) sorted pixels.
    low, high : float
        Bounds below and above the median [standard deviations].
    iterations : int
        Most iterations.

    Returns
    -------
    tuple of Tensor
        Lower and upper bound, (B,) float64.
    """
    start = torch.zeros_like(ordered.count)
    stop = ordered.count
    centre = ordered.median(start, stop)
    inside = torch.arange(ordered.values.shape[1], device=stop.device) < stop[:, None]
    moved = torch.where(inside, ordered.values.double() - centre[:, None], 0.0)
    first = torch.nn.functional.pad(moved.cumsum(1), (1, 0))
    second = torch.nn.functional.pad(moved.square_().cumsum(1), (1, 0))
    bounds = (centre, centre)
    for _ in range(iterations):
        number = (stop - start).clamp_min(1)
        mean = _between(first, start, stop) / number
        std = (_between(second, start, stop) / number - mean.square()).clamp_min(0).sqrt()
        middle = ordered.median(start, stop)
        bounds = (middle - low * std, middle + high * std)
        before = (start, stop)
        start = torch.maximum(start, _rank(ordered, bounds[0], right=False))
        stop = torch.minimum(stop, _rank(ordered, bounds[1], right=True))
        if torch.equal(before[0], start) and torch.equal(before[1], stop):
            break
    return bounds


def _between(sums: Tensor, start: Tensor, stop: Tensor) -> Tensor:
    return (sums.gather(1, stop[:, None]) - sums.gather(1, start[:, None]))[:, 0]


def _rank(ordered: Ordered, bound: Tensor, *, right: bool) -> Tensor:
    """Count the pixels below a float64 bound, or (`right`) not above it; by bisection."""
    width = ordered.values.shape[1]
    low, high = torch.zeros_like(ordered.count), ordered.count.clone()
    for _ in range(max(width, 2).bit_length() + 1):
        middle = (low + high) // 2
        value = ordered.values.gather(1, middle.clamp_max(width - 1)[:, None])[:, 0].double()
        goes_right = (value <= bound) if right else (value < bound)
        searching = low < high
        low = torch.where(searching & goes_right, middle + 1, low)
        high = torch.where(searching & ~goes_right, middle, high)
    return low
