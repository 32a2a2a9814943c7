"""IRAF's zscale for a batch of images, equal to astropy's `ZScaleInterval`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool1d, pad

from skysift.imaging.order import Ordered, sort_rows

SAMPLES = 1000
MAX_REJECT = 0.5
MIN_PIXELS = 5
KREJ = 2.5
ITERATIONS = 5
GROW = 0.01


@dataclass(frozen=True)
class ZScaleFit:
    """What zscale learns from the sorted samples of images; (B,) each, all but two float64.

    Attributes
    ----------
    smallest, largest, median : Tensor
        Of the samples.
    slope : Tensor
        Of the line fitted to the sorted samples, per sample.
    count : Tensor
        (B,) int64, number of samples.
    stands : Tensor
        (B,) bool: enough samples survived the fit.
    """

    smallest: Tensor
    largest: Tensor
    median: Tensor
    slope: Tensor
    count: Tensor
    stands: Tensor

    def limits(self, contrast: float) -> tuple[Tensor, Tensor]:
        """Return the limits for a contrast, (B,) float64 each."""
        steep = self.slope / contrast
        centre = (self.count - 1) // 2
        low = torch.maximum(self.smallest, self.median - (centre - 1) * steep)
        high = torch.minimum(self.largest, self.median + (self.count - centre) * steep)
        return torch.where(self.stands, low, self.smallest), torch.where(self.stands, high, self.largest)


def fit_zscale(samples: Tensor, count: Tensor) -> ZScaleFit:
    """Fit lines to sorted samples, throwing out what is off them.

    Parameters
    ----------
    samples : Tensor
        (B, N) float32, N at most `SAMPLES`; NaN after the first `count` of a row.
    count : Tensor
        (B,) int64, number of samples.

    Notes
    -----
    At most five times a least-squares line is fitted, and samples off it by more than 2.5 standard deviations are
    thrown out with their neighbours, until none is or fewer than half (or five) are left.
    """
    ordered = Ordered(sort_rows(samples), count)
    start = torch.zeros_like(count)
    median = ordered.median(start, count)
    place = torch.arange(samples.shape[1], device=samples.device)
    there = place < count[:, None]
    x = place.double() - samples.shape[1] / 2
    y = torch.where(there, ordered.values.double() - median[:, None], 0.0)
    least = torch.clamp_min((count * MAX_REJECT).long(), MIN_PIXELS)
    windows = _windows(torch.clamp_min((count * GROW).long(), 1))
    good, left, before = there, count, count + 1
    slope = torch.zeros_like(median)
    for _ in range(ITERATIONS):
        active = (left < before) & (left >= least)
        if not bool(active.any()):
            break
        steepness, off = _off_line(x, y, good)
        good = good & ~(_dilate(~good | off, windows) & active[:, None])
        slope = torch.where(active, steepness, slope)
        before, left = torch.where(active, left, before), good.sum(1)
    return ZScaleFit(ordered.at(start), ordered.at(count - 1), median, slope, count, left >= least)


def _off_line(x: Tensor, y: Tensor, good: Tensor) -> tuple[Tensor, Tensor]:
    """Fit a line to the good samples y (B, N) at x (N,); return its slope (B,), and which are off it (B, N)."""
    weight = good.double()
    weighted = weight * y
    number = weight.sum(1).clamp_min(1)
    sum_x, sum_xx = weight.mv(x), weight.mv(x.square())
    sum_y, sum_xy = weighted.sum(1), weighted.mv(x)
    spread = number * sum_xx - sum_x.square()
    slope = torch.where(spread > 0, (number * sum_xy - sum_x * sum_y) / spread.clamp_min(1e-300), 0.0)
    intercept = (sum_y - slope * sum_x) / number
    away = (slope[:, None] * x).add_(intercept[:, None]).sub_(y).mul_(weight)
    std = ((away * away).sum(1) / number).sqrt()
    return slope, away.abs_() > KREJ * std[:, None]


def _windows(widths: Tensor) -> list[tuple[int, Tensor]]:
    """Group rows by the width of their window: (width, rows) each."""
    return [(width, (widths == width).nonzero()[:, 0]) for width in widths.unique().tolist()]


def _dilate(bad: Tensor, windows: list[tuple[int, Tensor]]) -> Tensor:
    """Spread flags (B, N) as `np.convolve(bad, np.ones(width), "same")` does, in each row by the width of its own."""
    spread = bad.float()
    for width, rows in windows:
        padded = pad(spread[rows][:, None], (width // 2, (width - 1) // 2))
        spread[rows] = max_pool1d(padded, width, stride=1)[:, 0]
    return spread > 0
