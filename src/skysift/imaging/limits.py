"""Limits that values are clamped to: sigma clipping and zscale, equal to astropy's."""

from __future__ import annotations

import torch
from torch import Tensor

from skysift.imaging.clipping import clip_bounds
from skysift.imaging.order import Ordered, order, sort_rows

SAMPLES = 1000
MAX_REJECT = 0.5
MIN_PIXELS = 5
KREJ = 2.5
ITERATIONS = 5


def sigma_limits(
    images: Tensor, valid: Tensor | None, low: float, high: float, iterations: int
) -> tuple[Tensor, Tensor]:
    """Return the bounds of iterated sigma clipping about the median.

    Equal to `astropy.stats.sigma_clip(..., return_bounds=True)`.

    Parameters
    ----------
    images : Tensor
        (B, H, W) float32, NaN where not valid.
    valid : Tensor, optional
        (B, H, W) bool; all pixels if not given.
    low, high : float
        Bounds below and above the median [standard deviations].
    iterations : int
        Most iterations.

    Returns
    -------
    tuple of Tensor
        Lower and upper bound, (B,) float64.
    """
    if images.device.type != "cpu":
        seen = valid if valid is not None else torch.ones_like(images, dtype=torch.bool)
        return sorted_sigma_limits(order(images, seen), low, high, iterations)
    rows = list(images.flatten(1).numpy())
    if valid is not None:
        rows = [row[mask] for row, mask in zip(rows, valid.flatten(1).numpy(), strict=True)]
    bounds = [clip_bounds(row, low, high, iterations) for row in rows]
    lower, upper = torch.tensor(bounds, dtype=torch.float64).reshape(-1, 2).unbind(1)
    return lower, upper


def sorted_sigma_limits(ordered: Ordered, low: float, high: float, iterations: int) -> tuple[Tensor, Tensor]:
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
        start = torch.maximum(start, _first_not_below(ordered, bounds[0]))
        stop = torch.minimum(stop, _first_above(ordered, bounds[1]))
        if torch.equal(before[0], start) and torch.equal(before[1], stop):
            break
    return bounds


def zscale_slopes(images: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Fit lines to sorted samples of images, as IRAF's zscale does.

    Every image is sampled with the stride that astropy's `ZScaleInterval` takes over its valid pixels.

    Parameters
    ----------
    images : Tensor
        (B, H, W) float32, NaN where not valid.
    valid : Tensor, optional
        (B, H, W) bool; all pixels if not given.

    Returns
    -------
    tuple of Tensor
        Smallest sample, largest sample, median, slope, number of samples (each (B,)), and whether the fit stands.
    """
    samples, count = _samples(images, valid)
    width = samples.shape[1]
    place = torch.arange(width, device=samples.device).expand_as(samples)
    there = place < count[:, None]
    ordered = Ordered(sort_rows(torch.where(there, samples, torch.nan)), count)
    values = torch.where(there, ordered.values.double(), 0.0)
    least = torch.maximum(torch.full_like(count, MIN_PIXELS), (count * MAX_REJECT).long())
    grow = torch.clamp_min((count * 0.01).long(), 1)
    good, last = count, count + 1
    bad = torch.zeros_like(there)
    slope = torch.zeros_like(count, dtype=torch.float64)
    x = place.double()
    for _ in range(ITERATIONS):
        active = (good < last) & (good >= least)
        if not bool(active.any()):
            break
        fitted_slope, intercept = _line(x, values, there & ~bad)
        flat = values - fitted_slope[:, None] * x - intercept[:, None]
        threshold = KREJ * _std(flat, there & ~bad)
        rejected = _dilate(there & (bad | (flat.abs() > threshold[:, None])), grow) & there
        bad = torch.where(active[:, None], rejected, bad)
        slope = torch.where(active, fitted_slope, slope)
        last = torch.where(active, good, last)
        good = torch.where(active, (there & ~bad).sum(1), good)
    start = torch.zeros_like(count)
    return ordered.at(start), ordered.at(count - 1), ordered.median(start, count), slope, count, good >= least


def zscale_limits(fit: tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], contrast: float) -> tuple[Tensor, Tensor]:
    """Return zscale's limits for a contrast, (B,) float64 each, from `zscale_slopes`."""
    smallest, largest, median, slope, count, stands = fit
    steep = slope / contrast
    centre = (count - 1) // 2
    low = torch.maximum(smallest, median - (centre - 1) * steep)
    high = torch.minimum(largest, median + (count - centre) * steep)
    return torch.where(stands, low, smallest), torch.where(stands, high, largest)


def _samples(images: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Take every n-th valid pixel of each image, at most 1000."""
    flat = images.flatten(1)
    pixels = flat.shape[1]
    if valid is None:
        taken = flat[:, :: max(1, int(pixels / SAMPLES))][:, :SAMPLES]
        return taken, torch.full((len(flat),), taken.shape[1], device=flat.device)
    counts = valid.flatten(1).sum(1)
    stride = (counts.double() / SAMPLES).clamp_min(1).long()
    number = torch.clamp_max((counts + stride - 1) // stride, SAMPLES)
    rank = valid.flatten(1).cumsum(1)
    wanted = torch.arange(min(SAMPLES, pixels), device=flat.device) * stride[:, None] + 1
    index = torch.searchsorted(rank, wanted).clamp_max(pixels - 1)
    return flat.gather(1, index), number


def _line(x: Tensor, y: Tensor, use: Tensor) -> tuple[Tensor, Tensor]:
    """Fit y = slope x + intercept by least squares over the pixels in use, row by row."""
    weight = use.double()
    number = weight.sum(1).clamp_min(1)
    mean_x = (weight * x).sum(1) / number
    mean_y = (weight * y).sum(1) / number
    away = (x - mean_x[:, None]) * weight
    variance = (away * x).sum(1)
    slope = torch.where(variance > 0, (away * y).sum(1) / variance.clamp_min(1e-300), 0.0)
    return slope, mean_y - slope * mean_x


def _std(values: Tensor, use: Tensor) -> Tensor:
    number = use.sum(1).clamp_min(1)
    mean = torch.where(use, values, 0.0).sum(1) / number
    return (torch.where(use, values - mean[:, None], 0.0).square().sum(1) / number).sqrt()


def _dilate(bad: Tensor, grow: Tensor) -> Tensor:
    """Spread flags as `np.convolve(bad, np.ones(grow), "same")` does, with a window of its own in each row."""
    width = bad.shape[1]
    total = torch.nn.functional.pad(bad.long().cumsum(1), (1, 0))
    place = torch.arange(width, device=bad.device)
    ahead = (grow - 1) // 2
    behind = grow - 1 - ahead
    stop = (place + ahead[:, None] + 1).clamp(0, width)
    start = (place - behind[:, None]).clamp(0, width)
    return total.gather(1, stop) > total.gather(1, start)


def _between(sums: Tensor, start: Tensor, stop: Tensor) -> Tensor:
    return (sums.gather(1, stop[:, None]) - sums.gather(1, start[:, None]))[:, 0]


def _first_not_below(ordered: Ordered, bound: Tensor) -> Tensor:
    return torch.minimum(_search(ordered, bound, right=False), ordered.count)


def _first_above(ordered: Ordered, bound: Tensor) -> Tensor:
    return torch.minimum(_search(ordered, bound, right=True), ordered.count)


def _search(ordered: Ordered, bound: Tensor, *, right: bool) -> Tensor:
    """Find where a float64 bound belongs among float32 values; fillers (NaN) come last."""
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
