"""IRAF's zscale for a batch of images, equal to astropy's `ZScaleInterval`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLES = 1000
MAX_REJECT = 0.5
MIN_PIXELS = 5
KREJ = 2.5
ITERATIONS = 5
GROW = 0.01

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class ZScaleFit:
    """What zscale learns from the sorted samples of images; (B,) each, all but two float64.

    Attributes
    ----------
    smallest, largest, median : array
        Of the samples.
    slope : array
        Of the line fitted to the sorted samples, per sample.
    count : array
        (B,) int64, number of samples.
    stands : array
        (B,) bool: enough samples survived the fit.
    """

    smallest: Floats
    largest: Floats
    median: Floats
    slope: Floats
    count: NDArray[np.int64]
    stands: Flags

    def limits(self, contrast: float) -> tuple[Floats, Floats]:
        """Return the limits for a contrast, (B,) float64 each."""
        steep = self.slope / contrast
        centre = (self.count - 1) // 2
        low = np.maximum(self.smallest, self.median - (centre - 1) * steep)
        high = np.minimum(self.largest, self.median + (self.count - centre) * steep)
        return np.where(self.stands, low, self.smallest), np.where(self.stands, high, self.largest)


def fit_zscale(samples: NDArray[np.float32], count: NDArray[np.int64]) -> ZScaleFit:
    """Fit lines to sorted samples, throwing out what is off them.

    Parameters
    ----------
    samples : array
        (B, N) float32, N at most `SAMPLES`; NaN after the first `count` of a row.
    count : array
        (B,) int64, number of samples.

    Notes
    -----
    At most five times a least-squares line is fitted, and samples off it by more than 2.5 standard deviations are
    thrown out with their neighbours, until none is or fewer than half (or five) are left.
    """
    ordered = np.sort(samples, axis=1).astype(np.float64)
    there = np.arange(samples.shape[1]) < count[:, None]
    missing = None if there.all() else ~there
    if missing is not None:
        ordered[missing] = 0.0
    row, last = np.arange(len(count)), np.maximum(count - 1, 0)
    median = 0.5 * (ordered[row, last // 2] + ordered[row, count // 2])
    y = ordered - median[:, None]
    if missing is not None:
        y[missing] = 0.0
    slope, left = _fit_lines(y, there, count)
    return ZScaleFit(ordered[:, 0], ordered[row, last], median, slope, count, left >= _least(count))


def _fit_lines(y: Floats, there: Flags, count: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Fit lines to samples y (B, N); return their slopes and how many samples survived, (B,) each."""
    lines = _Lines(y)
    good, left, before = there, lines.weigh(there), count + 1.0
    slope = np.zeros(len(y))
    dilation = _Dilation(np.maximum((count * GROW).astype(np.int64), 1))
    for _ in range(ITERATIONS):
        active = (left < before) & (left >= _least(count))
        if not active.any():
            break
        steepness, off = lines.fit()
        off |= good < there
        off = dilation.spread(off)
        off[~active] = False
        good = good > off
        slope = np.where(active, steepness, slope)
        before, left = np.where(active, left, before), lines.weigh(good)
    return slope, left


def _least(count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many samples must survive."""
    return np.maximum((count * MAX_REJECT).astype(np.int64), MIN_PIXELS)


class _Lines:
    """Least-squares lines through samples y (B, N); all sums are made row by row, so that no row depends on others."""

    def __init__(self, y: Floats) -> None:
        x = np.arange(y.shape[1]) - y.shape[1] / 2
        self._powers = np.stack([np.ones_like(x), x])
        self._y, self._xx, self._xy = y, x * x, x * y
        self._weight, self._away = np.empty_like(y), np.empty_like(y)
        self._number = np.zeros(len(y))

    def weigh(self, good: Flags) -> Floats:
        """Choose the samples (B, N) that count, and return their number (B,)."""
        self._weight[:] = good
        self._number = np.vecdot(self._weight, self._powers[0])
        return self._number

    def fit(self) -> tuple[Floats, Flags]:
        """Fit to the samples that count; return the slopes (B,), and which of the samples are off the lines (B, N)."""
        weight, away, number = self._weight, self._away, np.maximum(self._number, 1.0)
        sum_x, sum_xx, sum_y, sum_xy = (
            np.vecdot(weight, values) for values in (self._powers[1], self._xx, self._y, self._xy)
        )
        spread = number * sum_xx - sum_x * sum_x
        slope = np.where(spread > 0, (number * sum_xy - sum_x * sum_y) / np.where(spread > 0, spread, 1.0), 0.0)
        intercept = (sum_y - slope * sum_x) / number
        np.matmul(np.stack([intercept, slope], axis=1)[:, None], self._powers, out=away[:, None])
        away -= self._y
        away *= weight
        limit = KREJ * np.sqrt(np.vecdot(away, away) / number)
        return slope, np.abs(away, out=away) > limit[:, None]


class _Dilation:
    """Spreads flags as `np.convolve(flags, np.ones(width), "same")` does, in each row by the width of its own."""

    def __init__(self, widths: NDArray[np.int64]) -> None:
        alike = np.unique(widths).tolist()
        self._groups = [(width, widths == width if len(alike) > 1 else slice(None)) for width in alike]

    def spread(self, flags: Flags) -> Flags:
        """Return spread flags (B, N)."""
        spread = np.empty_like(flags)
        for width, rows in self._groups:
            spread[rows] = _dilate(flags[rows], width)
        return spread


def _dilate(flags: Flags, width: int) -> Flags:
    """Spread all rows by one width; gaps keep the rows apart, so that they can be worked on as one."""
    gapped = np.zeros((len(flags), flags.shape[1] + width), dtype=bool)
    gapped[:, :-width] = flags
    source = gapped.ravel()
    spread = source.copy()
    for step in range(1, width // 2 + 1):
        spread[step:] |= source[:-step]
    for step in range(1, (width - 1) // 2 + 1):
        spread[:-step] |= source[step:]
    return spread.reshape(gapped.shape)[:, :-width]
