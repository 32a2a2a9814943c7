"""Sigma clipping about the median, equal to astropy's: image by image on the CPU, or a sorted batch on any device."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skysift.imaging.order import Ordered

SAMPLE = 1024
LEAST_STRIDE = 4
TAIL = 0.01
SLACK = 10
BLOCK = 8192
REACH = 512


class Row:
    """The valid pixels of one image, (N,) float32: order statistics, moments and tails.

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
            self._look_around(rank)
        return float(self._near[rank - self._first])

    def moments(self, centre: float) -> tuple[float, float]:
        """Return the sums of the pixels' distances from a centre, and of their squares."""
        blocks = np.zeros((-(-self.number // BLOCK), BLOCK))
        moved = blocks.ravel()[: self.number]
        moved[:] = self.values
        moved -= centre
        return float(moved.sum()), float(np.vecdot(blocks, blocks).sum())

    def below(self, bound: float) -> NDArray[np.float64]:
        """Return the pixels below a bound."""
        if bound <= self.smallest:
            return np.empty(0)
        level, tail = self._low_tail
        pixels = tail if bound <= level else self.values
        return pixels[pixels < bound].astype(np.float64)

    def above(self, bound: float) -> NDArray[np.float64]:
        """Return the pixels above a bound."""
        if bound >= self.largest:
            return np.empty(0)
        level, tail = self._high_tail
        pixels = tail if bound >= level else self.values
        return pixels[pixels > bound].astype(np.float64)

    @cached_property
    def _sample(self) -> NDArray[np.float32]:
        return np.sort(self.values[:: self._stride])

    @cached_property
    def _low_tail(self) -> tuple[float, NDArray[np.float32]]:
        level = self._sample[int(TAIL * len(self._sample))]
        return float(level), self.values[self.values < level]

    @cached_property
    def _high_tail(self) -> tuple[float, NDArray[np.float32]]:
        level = self._sample[-1 - int(TAIL * len(self._sample))]
        return float(level), self.values[self.values > level]

    def _look_around(self, rank: int) -> None:
        """Sort the pixels of the ranks around one, as far as clipping usually moves a median.

        Counting what is smaller than the sample's guess tells how far off it is. (Taking all that might be near would
        be slower: the processor can't foresee which those are.)
        """
        if self._stride < LEAST_STRIDE:
            self._near, self._first = np.sort(self.values), 0
            return
        guess = 2 * rank - int(np.count_nonzero(self.values < self._guess(rank)))
        reach = self.number // REACH + SLACK * self._stride
        inside = self.values >= self._guess(guess - reach)
        below = self.number - int(np.count_nonzero(inside))
        inside &= self.values <= self._guess(guess + reach)
        band = self.values[inside]
        found = below <= rank < below + len(band)
        self._near, self._first = (np.sort(band), below) if found else (np.sort(self.values), 0)

    def _guess(self, rank: int) -> np.float32:
        """Return the pixel that has about this rank."""
        return np.float32(self._sample[min(max(rank // self._stride, 0), len(self._sample) - 1)])


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
    first, second = sums = row.moments(centre)
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
        first, second = sums[0] - float(gone.sum()), sums[1] - float(gone @ gone)
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
