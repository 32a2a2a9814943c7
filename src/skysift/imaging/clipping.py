"""Sigma clipping on the CPU, an image at a time, without sorting it.

The median of what survives never moves far from the first one, so only a band of pixels around it is sorted; what
is clipped lies in the tails, and is taken out of the sums.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLE = 1024
BAND = 0.06


class Row:
    """The valid pixels of one image, (N,) float32, ready for order statistics near the median and for moments."""

    def __init__(self, values: NDArray[np.float32]) -> None:
        self.values, self.number = values, len(values)
        self.smallest, self.largest = float(values.min()), float(values.max())
        self._first = 0
        self._band = self._middle()
        self.centre = self.median(0, self.number)
        moved = values.astype(np.float64)
        moved -= self.centre
        self.first, self.second = float(moved.sum()), float(moved @ moved)

    def median(self, start: int, stop: int) -> float:
        """Return the median of the pixels whose ranks are `start` to `stop`."""
        number = stop - start
        return 0.5 * (self._at(start + (number - 1) // 2) + self._at(start + number // 2))

    def below(self, bound: float) -> NDArray[np.float64]:
        """Return the pixels below a bound."""
        return self.values[self.values < bound].astype(np.float64) if self.smallest < bound else np.empty(0)

    def above(self, bound: float) -> NDArray[np.float64]:
        """Return the pixels above a bound."""
        return self.values[self.values > bound].astype(np.float64) if self.largest > bound else np.empty(0)

    def _middle(self) -> NDArray[np.float32]:
        """Sort the pixels between two quantiles that a sample puts around the median."""
        stride = self.number // SAMPLE
        if stride < 8:
            return np.sort(self.values)
        sample = np.sort(self.values[::stride])
        low = sample[int((0.5 - BAND) * len(sample))]
        high = sample[int((0.5 + BAND) * len(sample))]
        at_least = self.values >= low
        self._first = self.number - int(np.count_nonzero(at_least))
        at_least &= self.values <= high
        return np.sort(self.values[at_least])

    def _at(self, rank: int) -> float:
        place = rank - self._first
        if not 0 <= place < len(self._band):
            self._first, self._band, place = 0, np.sort(self.values), rank
        return float(self._band[place])


def clip_bounds(values: NDArray[np.float32], low: float, high: float, iterations: int) -> tuple[float, float]:
    """Return the bounds of iterated sigma clipping about the median of one image.

    Parameters
    ----------
    values : array
        (N,) float32, valid pixels only.
    low, high : float
        Bounds below and above the median [standard deviations].
    iterations : int
        Most iterations.

    Returns
    -------
    tuple of float
        As `astropy.stats.sigma_clip(..., return_bounds=True)`; zeros for no pixels.
    """
    if not len(values):
        return 0.0, 0.0
    row = Row(values)
    start, stop = 0, row.number
    first, second = row.first, row.second
    bounds = (row.centre, row.centre)
    for _ in range(iterations):
        number = stop - start
        mean = first / number
        std = max(second / number - mean * mean, 0.0) ** 0.5
        middle = row.median(start, stop)
        bounds = (middle - low * std, middle + high * std)
        under, over = row.below(bounds[0]), row.above(bounds[1])
        before = (start, stop)
        start, stop = max(start, len(under)), min(stop, row.number - len(over))
        if (start, stop) == before:
            break
        gone = np.concatenate([under, over]) - row.centre
        first, second = row.first - float(gone.sum()), row.second - float(gone @ gone)
    return bounds
