"""What is learnt from the valid pixels of images: extent, clipping bounds, samples for zscale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skysift.imaging.clipping import Row, clip_bounds, sorted_clip_bounds
from skysift.imaging.options import SigmaClip
from skysift.imaging.order import order
from skysift.imaging.zscale import SAMPLES, ZScaleFit, fit_zscale

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Pixels:
    """The valid pixels of images; those without any have zero for everything. All but `valid` lies on the CPU.

    Attributes
    ----------
    valid : Tensor
        (B, H, W) bool.
    whole : sequence of bool
        Whether all pixels of an image are valid.
    extent : tuple of array
        Smallest and largest pixel, (B,) float64.
    clipped : mapping
        Lower and upper bound of each sigma clipping, (B,) float64.
    samples : tuple of array
        Every n-th pixel as `ZScaleInterval` takes them, (B, N) float32, then NaN; their number, (B,) int64.
    """

    valid: Tensor
    whole: Sequence[bool]
    extent: Pair
    clipped: Mapping[SigmaClip, Pair]
    samples: tuple[NDArray[np.float32], NDArray[np.int64]]

    @cached_property
    def zscale(self) -> ZScaleFit:
        """The lines that zscale fits."""
        return fit_zscale(*self.samples)


def learn_by_row(images: Tensor, clips: Sequence[SigmaClip], *, zero_is_invalid: bool = False) -> Pixels:
    """Look at one image after the other, while it is in the processor's cache.

    Parameters
    ----------
    images : Tensor
        (B, H, W) float32, on the CPU; values that are not finite are no data.
    clips : sequence of SigmaClip
        Which clipping bounds are wanted.
    zero_is_invalid : bool
        Exact zeros are no data either.
    """
    valid = np.ones(images.shape, dtype=bool)
    samples = np.full((len(images), min(images[0].numel(), SAMPLES)), np.nan, np.float32)
    count = np.zeros(len(images), np.int64)
    whole, extent = [], []
    bounds: dict[SigmaClip, list[tuple[float, float]]] = {clip: [] for clip in clips}
    for number, (image, mask) in enumerate(zip(images.numpy(), valid, strict=True)):
        row = Row(image.ravel())
        if zero_is_invalid or not (isfinite(row.smallest) and isfinite(row.largest)):
            np.isfinite(image, out=mask)
            if zero_is_invalid:
                mask &= image != 0
            row = Row(row.values[mask.ravel()])
        whole.append(row.number == image.size)
        extent.append((row.smallest, row.largest))
        taken = row.values[:: max(1, row.number // SAMPLES)][:SAMPLES]
        count[number] = len(taken)
        samples[number, : len(taken)] = taken
        for clip in bounds:
            bounds[clip].append(clip_bounds(row, clip.low, clip.high, clip.iterations))
    return Pixels(
        valid=torch.from_numpy(valid),
        whole=whole,
        extent=_columns(extent),
        clipped={clip: _columns(pairs) for clip, pairs in bounds.items()},
        samples=(samples, count),
    )


def learn_by_sorting(images: Tensor, clips: Sequence[SigmaClip], *, zero_is_invalid: bool = False) -> Pixels:
    """Sort all images at once, on any device; parameters as for `learn_by_row`."""
    valid = torch.isfinite(images)
    if zero_is_invalid:
        valid &= images != 0
    ordered = order(torch.where(valid, images, torch.nan), valid)
    count = ordered.count
    return Pixels(
        valid=valid,
        whole=(count == valid[0].numel()).tolist(),
        extent=_on_cpu(ordered.at(torch.zeros_like(count)), ordered.at(count - 1)),
        clipped={clip: _on_cpu(*sorted_clip_bounds(ordered, clip.low, clip.high, clip.iterations)) for clip in clips},
        samples=_gathered(images.flatten(1), valid.flatten(1), count),
    )


def _columns(pairs: list[tuple[float, float]]) -> Pair:
    low, high = np.array(pairs, dtype=np.float64).T
    return low, high


def _on_cpu(low: Tensor, high: Tensor) -> Pair:
    return low.cpu().numpy(), high.cpu().numpy()


def _gathered(images: Tensor, valid: Tensor, count: Tensor) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Take every n-th valid pixel of each image, (B, H*W), at most `SAMPLES`."""
    pixels = images.shape[1]
    stride = (count // SAMPLES).clamp_min(1)
    number = ((count + stride - 1) // stride).clamp_max(SAMPLES)
    place = torch.arange(min(SAMPLES, pixels), device=images.device)
    index = torch.searchsorted(valid.cumsum(1), place * stride[:, None] + 1).clamp_max(pixels - 1)
    samples = torch.where(place < number[:, None], images.gather(1, index), torch.nan)
    return samples.cpu().numpy(), number.cpu().numpy()
