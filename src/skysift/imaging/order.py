"""Sorted pixels: one sort an image gives median, quantiles and all clipping iterations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Ordered:
    """Valid pixels of a batch in ascending order.

    Attributes
    ----------
    values : Tensor
        (B, N) float32; after the first `count` of a row come fillers.
    count : Tensor
        (B,) int64, number of valid pixels.
    """

    values: Tensor
    count: Tensor

    def at(self, index: Tensor) -> Tensor:
        """Return the value of each row at an index (B,), as float64; rows without pixels give 0."""
        last = (self.count - 1).clamp_min(0)
        index = torch.minimum(index.clamp_min(0), last)
        taken = self.values.gather(1, index[:, None])[:, 0].double()
        return torch.where(self.count > 0, taken, torch.zeros_like(taken))

    def median(self, start: Tensor, stop: Tensor) -> Tensor:
        """Return the median of the pixels in places `start` to `stop` of each row (B,), float64."""
        number = stop - start
        return 0.5 * (self.at(start + (number - 1) // 2) + self.at(start + number // 2))


def sort_rows(values: Tensor) -> Tensor:
    """Sort rows in ascending order; NaN come last. On CPU by NumPy, whose sort is vectorised."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(values.numpy(), axis=1))
    return values.sort(dim=1).values


def order(images: Tensor, valid: Tensor) -> Ordered:
    """Sort the valid pixels of images.

    Parameters
    ----------
    images : Tensor
        (B, H, W) float32; NaN exactly where not valid.
    valid : Tensor
        (B, H, W) bool.
    """
    count = valid.flatten(1).sum(1)
    values = sort_rows(images.flatten(1))
    return Ordered(values, count)


def medians(channels: Tensor, valid: Tensor) -> Tensor:
    """Return the median of the valid pixels (B, H, W) of each channel (B, C, H, W), (B, C); 0 where there are none."""
    middles = []
    for channel in channels.unbind(1):
        ordered = order(torch.where(valid, channel, torch.nan), valid)
        middles.append(ordered.median(torch.zeros_like(ordered.count), ordered.count))
    return torch.stack(middles, 1).to(channels.dtype)
