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
    powers = torch.stack([torch.ones_like(x), x, x.square()], 1)
    y = torch.where(there, ordered.values.double() - median[:, None], 0.0)
    least = torch.clamp_min((count * MAX_REJECT).long(), MIN_PIXELS)
    grow = torch.clamp_min((count * GROW).long(), 1)
    good, left, before = there, count, count + 1
    slope = torch.zeros_like(median)
    for _ in range(ITERATIONS):
        active = (left < before) & (left >= least)
        if not bool(active.any()):
            break
        steepness, off = _off_line(powers, y, good)
        kept = there & ~_dilate(~good | off, grow)
        good = torch.where(active[:, None], kept, good)
        slope = torch.where(active, steepness, slope)
        before, left = torch.where(active, left, before), good.sum(1)
    return ZScaleFit(ordered.at(start), ordered.at(count - 1), median, slope, count, left >= least)


def _off_line(powers: Tensor, y: Tensor, good: Tensor) -> tuple[Tensor, Tensor]:
    """Fit a line to the good samples y (B, N) at x; return its slope (B,), and which of them are off it (B, N).

    `powers` holds 1, x and x squared, (N, 3).
    """
    weight = good.double()
    number, sum_x, sum_xx = (weight @ powers).unbind(1)
    sum_y, sum_xy = ((weight * y) @ powers[:, :2]).unbind(1)
    number = number.clamp_min(1)
    spread = number * sum_xx - sum_x.square()
    slope = torch.where(spread > 0, (number * sum_xy - sum_x * sum_y) / spread.clamp_min(1e-300), 0.0)
    line = torch.stack([(sum_y - slope * sum_x) / number, slope], 1) @ powers[:, :2].T
    away = (y - line).mul_(weight)
    std = (away.square().sum(1) / number).sqrt()
    return slope, away.abs_() > KREJ * std[:, None]


def _dilate(bad: Tensor, grow: Tensor) -> Tensor:
    """Spread flags as `np.convolve(bad, np.ones(grow), "same")` does, with a window of its own in each row."""
    spread = bad.float()
    for width in grow.unique().tolist():
        rows = grow == width
        padded = pad(spread[rows][:, None], (width // 2, (width - 1) // 2))
        spread[rows] = max_pool1d(padded, width, stride=1)[:, 0]
    return spread > 0
