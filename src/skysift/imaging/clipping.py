"""Sigma clipping about the median, equal to astropy's: image by image on the CPU, or a sorted batch on any device."""

from __future__ import annotations

import math
from functools import cached_property
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skysift.imaging.order import Ordered

SAMPLE = 2048
LEAST_STRIDE = 4
SLACKS = (8, 32, 128)
MARGIN = 0.9
BLOCK = 512
ONES = np.ones(BLOCK, np.float32)
SQUARE_FITS = (1e-15, 1e15)
"""Numbers of a size between these have squares that float32 can hold."""


class Row:
    """The valid pixels of one image, (N,) float32, at least one for all but the extent: order statistics.

    A sorted sample tells about which pixels are wanted, so that few are looked at more than once.
    """

    def __init__(self, values: NDArray[np.float32]) -> None:
        self.values, self.number = values, len(values)
        self.smallest, self.largest = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
        self._stride = max(1, self.number // SAMPLE)
        self._near, self._first = values[:0], 0

    def median(self, start: int, stop: int) -> float:
        """Return the median of the pixels whose ranks are `start` to `stop`."""
        return 0.5 * (self.at((start + stop - 1) // 2) + self.at((start + stop) // 2))

    def at(self, rank: int) -> float:
        """Return the pixel of a rank, 0 being the smallest."""
        if not self._first <= rank < self._first + len(self._near):
            self.look_at(rank, rank)
        return float(self._near[rank - self._first])

    def guess(self, rank: int) -> np.float32:
        """Return a pixel that has about this rank."""
        return cast(np.float32, self._sample[min(max(rank // self._stride, 0), len(self._sample) - 1)])

    def look_at(self, first: int, last: int) -> None:
        """Sort the pixels of the ranks `first` to `last`.

        Counting what is smaller than a guess tells how far off it is. (Taking all that might be near would be slower:
        the processor can't foresee which those are.)
        """
        if self._stride >= LEAST_STRIDE:
            middle = (first + last) // 2
            off = int(np.count_nonzero(self.values < self.guess(middle))) - middle
            for slack in SLACKS:
                inside = self.values >= self.guess(first - off - slack * self._stride)
                below = self.number - int(np.count_nonzero(inside))
                inside &= self.values <= self.guess(last - off + slack * self._stride)
                near = self.values.compress(inside)
                if below <= first and last < below + len(near):
                    self._near, self._first = np.sort(near), below
                    return
        self._near, self._first = np.sort(self.values), 0

    @cached_property
    def _sample(self) -> NDArray[np.float32]:
        return np.sort(self.values[:: self._stride])


class Moments:
    """Mean and standard deviation of the pixels between two bounds, quick for bounds that lie outside of two levels.

    The squares of the pixels between the levels are of like size, so that float32 serves for their sums over small
    blocks. The few pixels outside of the levels are kept apart, in float64.

    Parameters
    ----------
    row : Row
        Pixels, at least one.
    low, high : float32
        Levels.
    """

    def __init__(self, row: Row, low: np.float32, high: np.float32) -> None:
        self.low, self.high, self._number = low, high, row.number
        outside = row.values > high
        if row.smallest < low:
            outside |= row.values < low
        places = outside.nonzero()[0]
        centre = row.guess(row.number // 2)
        self._far = np.sort(row.values[places]).astype(np.float64)
        moved = self._far - centre
        self._sums = np.zeros((2, len(moved) + 1))
        np.add.accumulate(moved, out=self._sums[0, 1:])
        np.add.accumulate(moved * moved, out=self._sums[1, 1:])
        reach = max(float(high) - float(centre), float(centre) - float(low))
        exact = not (reach == 0 or SQUARE_FITS[0] < reach < SQUARE_FITS[1])
        blocks = np.empty((-(-row.number // BLOCK), BLOCK), np.float64 if exact else np.float32)
        near = blocks.ravel()
        np.subtract(row.values, centre, out=near[: row.number])
        near[places] = 0
        near[row.number :] = 0
        self._first = float(np.vecdot(blocks, ONES).sum(dtype=np.float64))
        self._second = float(np.vecdot(blocks, blocks).sum(dtype=np.float64))

    @property
    def ranks(self) -> tuple[int, int]:
        """The first and last rank that the median has for any bounds outside of the levels."""
        below = int(self._far.searchsorted(self.low))
        above = len(self._far) - below
        return (self._number - above - 1) // 2, (self._number + below) // 2

    def between(self, least: float, most: float) -> tuple[int, int, float]:
        """Return the rank of the first pixel between bounds, that of the first above them, and the deviation."""
        first, last = int(self._far.searchsorted(least, "left")), int(self._far.searchsorted(most, "right"))
        start, stop = first, last + self._number - len(self._far)
        number = max(stop - start, 1)
        mean = (self._first + float(self._sums[0, last] - self._sums[0, first])) / number
        square = (self._second + float(self._sums[1, last] - self._sums[1, first])) / number
        return start, stop, math.sqrt(max(square - mean * mean, 0.0))


def clip_bounds(row: Row, low: float, high: float, iterations: int) -> tuple[float, float]:
    """Return the bounds of iterated sigma clipping about the median of one image.

    Little is clipped, so it is taken out of the sums of all pixels.

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
        As `astropy.stats.sigma_clip(..., return_bounds=True)`; the last ones where they leave nothing, and zeros for
        no pixels.
    """
    if not row.number:
        return 0.0, 0.0
    moments = Moments(row, *_likely_levels(row, low, high))
    row.look_at(*moments.ranks)
    least, most = -math.inf, math.inf
    start, stop, std = moments.between(least, most)
    for _ in range(iterations):
        middle = row.median(start, stop)
        bounds = (middle - low * std, middle + high * std)
        least, most = max(least, bounds[0]), min(most, bounds[1])
        if least > moments.low or most < moments.high:
            moments = Moments(row, max(_not_below(least), moments.low), min(-_not_below(-most), moments.high))
        before = (start, stop)
        start, stop, std = moments.between(least, most)
        if (start, stop) == before or start >= stop:
            break
    return bounds


def _likely_levels(row: Row, low: float, high: float) -> tuple[np.float32, np.float32]:
    """Return levels that the bounds will hardly pass: what surrounds the sources is seldom less than a normal noise."""
    centre, lower, upper = (row.guess(int(part * row.number)) for part in (0.5, 0.16, 0.84))
    spread = MARGIN * 0.5 * (float(upper) - float(lower))
    return np.float32(centre - low * spread), np.float32(centre + high * spread)


def _not_below(bound: float) -> np.float32:
    """Round up to float32."""
    level = np.float32(bound)
    return level if level >= bound else np.nextafter(level, np.float32(np.inf))


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
        Lower and upper bound, (B,) float64, as `clip_bounds`.
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
        middle, some = ordered.median(start, stop), start < stop
        bounds = torch.where(some, middle - low * std, bounds[0]), torch.where(some, middle + high * std, bounds[1])
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
