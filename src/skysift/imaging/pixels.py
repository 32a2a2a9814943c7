"""The valid pixels of a batch of images and what is learnt from them: extent, clipping bounds, samples for zscale."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from skysift.imaging.clipping import Row, clip_bounds, sorted_clip_bounds
from skysift.imaging.order import Ordered, order
from skysift.imaging.zscale import SAMPLES

Pair = tuple[Tensor, Tensor]


class Pixels(Protocol):
    """The valid pixels of images; images without any have zero for everything."""

    def extent(self) -> Pair:
        """Return the smallest and largest pixel, (B,) float64."""
        ...

    def clip_bounds(self, low: float, high: float, iterations: int) -> Pair:
        """Return the bounds of sigma clipping, (B,) float64, as `astropy.stats.sigma_clip(return_bounds=True)`."""
        ...

    def samples(self) -> Pair:
        """Take every n-th pixel as `ZScaleInterval` does: (B, N) float32, then NaN, and their number (B,)."""
        ...


class RowPixels:
    """On the CPU, image by image.

    Parameters
    ----------
    images : Tensor
        (B, H, W) float32.
    valid : Tensor, optional
        (B, H, W) bool; all pixels if not given.
    """

    def __init__(self, images: Tensor, valid: Tensor | None) -> None:
        rows = list(images.flatten(1).numpy())
        if valid is not None:
            rows = [row[mask] for row, mask in zip(rows, valid.flatten(1).numpy(), strict=True)]
        self.rows = [Row(row) for row in rows]

    def extent(self) -> Pair:
        """Return the smallest and largest pixel."""
        return self._columns([(row.smallest, row.largest) for row in self.rows])

    def clip_bounds(self, low: float, high: float, iterations: int) -> Pair:
        """Return the bounds of sigma clipping."""
        return self._columns([clip_bounds(row, low, high, iterations) for row in self.rows])

    def samples(self) -> Pair:
        """Take every n-th pixel."""
        taken = [row.values[:: max(1, row.number // SAMPLES)][:SAMPLES] for row in self.rows]
        samples = np.full((len(taken), max(1, *map(len, taken))), np.nan, np.float32)
        for target, source in zip(samples, taken, strict=True):
            target[: len(source)] = source
        return torch.from_numpy(samples), torch.tensor([len(source) for source in taken])

    @staticmethod
    def _columns(pairs: list[tuple[float, float]]) -> Pair:
        low, high = torch.tensor(pairs, dtype=torch.float64).unbind(1)
        return low, high


class SortedPixels:
    """On any device, all images at once.

    Parameters
    ----------
    images : Tensor
        (B, H, W) float32.
    valid : Tensor, optional
        (B, H, W) bool; all pixels if not given.
    """

    def __init__(self, images: Tensor, valid: Tensor | None) -> None:
        self.valid = torch.ones_like(images, dtype=torch.bool) if valid is None else valid
        self.images = torch.where(self.valid, images, torch.nan)

    def extent(self) -> Pair:
        """Return the smallest and largest pixel."""
        return self._ordered.at(torch.zeros_like(self._ordered.count)), self._ordered.at(self._ordered.count - 1)

    def clip_bounds(self, low: float, high: float, iterations: int) -> Pair:
        """Return the bounds of sigma clipping."""
        return sorted_clip_bounds(self._ordered, low, high, iterations)

    def samples(self) -> Pair:
        """Take every n-th pixel."""
        flat = self.images.flatten(1)
        counts, pixels = self._ordered.count, flat.shape[1]
        stride = (counts // SAMPLES).clamp_min(1)
        number = ((counts + stride - 1) // stride).clamp_max(SAMPLES)
        place = torch.arange(min(SAMPLES, pixels), device=flat.device)
        index = torch.searchsorted(self.valid.flatten(1).cumsum(1), place * stride[:, None] + 1)
        samples = flat.gather(1, index.clamp_max(pixels - 1))
        return torch.where(place < number[:, None], samples, torch.nan), number

    @cached_property
    def _ordered(self) -> Ordered:
        return order(self.images, self.valid)


def pixels_of(images: Tensor, valid: Tensor | None) -> Pixels:
    """Choose how to look at the pixels by where they are."""
    return (RowPixels if images.device.type == "cpu" else SortedPixels)(images, valid)


def finite(images: Tensor) -> Tensor:
    """Return which pixels are finite, (B, H, W) bool. On CPU by NumPy, where it is vectorised."""
    if images.device.type == "cpu":
        return torch.from_numpy(np.isfinite(images.numpy()))
    return torch.isfinite(images)
