"""Blurring and random thresholding, blind to invalid pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from skysift.imaging.clipping import Row

TRUNCATE = 3.0


def blur(images: Tensor, valid: Tensor | None, sigma: Tensor, *, largest: float | None = None) -> Tensor:
    """Blur each image with a Gaussian of its own.

    Parameters
    ----------
    images : Tensor
        (B, C, S, S), 0 where invalid.
    valid : Tensor, optional
        (B, 1, S, S) bool; without it all pixels are valid.
    sigma : Tensor
        (B,) scatter [pixel].
    largest : float, optional
        The kernel ends at three times this scatter [pixel]; by default at three times the largest in the batch.

    Returns
    -------
    Tensor
        (B, C, S, S): a mean over valid pixels, weighted by the kernel (reflected at the edges); 0 where invalid.
    """
    widest = float(sigma.max()) if largest is None else largest
    radius = min(math.ceil(TRUNCATE * widest), images.shape[-1] - 1, images.shape[-2] - 1)
    offset = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    scaled = offset / sigma.to(images.dtype)[:, None]
    kernel = torch.exp(-0.5 * scaled.square()) * (scaled.abs() <= TRUNCATE + 1e-6)
    kernel = kernel / kernel.sum(1, keepdim=True)
    if valid is None:
        spread = _separable(torch.cat([images, torch.ones_like(images[:, :1])], 1), kernel)
        return spread[:, :-1] / spread[:, -1:].clamp_min(1e-6)
    weight = valid.to(images.dtype)
    spread = _separable(torch.cat([images * weight, weight], 1), kernel)
    return torch.where(valid, spread[:, :-1] / spread[:, -1:].clamp_min(1e-6), 0.0)


def threshold(images: Tensor, valid: Tensor | None, share: Tensor) -> Tensor:
    """Set pixels below a percentile of their channel's valid pixels to zero.

    Parameters
    ----------
    images : Tensor
        (B, C, S, S).
    valid : Tensor, optional
        (B, 1, S, S) bool; without it all pixels are valid.
    share : Tensor
        (B, C) share of valid pixels, in [0, 1]; the percentile is interpolated linearly, as NumPy's.
    """
    number, channels = images.shape[:2]
    seen = images if valid is None else torch.where(valid, images, torch.inf)
    flat = seen.flatten(2).flatten(0, 1)
    if valid is None:
        count = torch.full((number * channels,), flat.shape[1], device=images.device)
    else:
        count = valid.flatten(1).sum(1).repeat_interleave(channels)
    place = share.flatten().double() * (count - 1).clamp_min(0)
    low = place.floor().long()
    high = torch.minimum(low + 1, (count - 1).clamp_min(0))
    below, above = _ranked(flat, low, high)
    level = below + (above - below) * (place - low).to(images.dtype)
    level = torch.where(count > 0, level, 0.0).view(number, channels, 1, 1)
    return torch.where(images < level, 0.0, images)


def _ranked(rows: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return the values of rank `low` and `high` in each row."""
    if rows.device.type == "cpu":
        images = [Row(row) for row in rows.numpy()]
        ranks = zip(images, low.tolist(), high.tolist(), strict=True)
        pair = torch.tensor([(row.at(a), row.at(b)) for row, a, b in ranks], dtype=rows.dtype)
        return pair[:, 0], pair[:, 1]
    ordered = rows.sort(dim=1).values
    return ordered.gather(1, low[:, None])[:, 0], ordered.gather(1, high[:, None])[:, 0]


def _separable(images: Tensor, kernel: Tensor) -> Tensor:
    """Convolve along both axes with a kernel for each image, (B, K), reflecting at the edges."""
    number, channels, height, width = images.shape
    radius = kernel.shape[1] // 2
    weights = kernel.repeat_interleave(channels, 0)[:, None]
    flat = images.reshape(1, number * channels, height, width)
    flat = conv2d(pad(flat, (radius, radius, 0, 0), mode="reflect"), weights[:, :, None], groups=number * channels)
    flat = conv2d(pad(flat, (0, 0, radius, radius), mode="reflect"), weights[..., None], groups=number * channels)
    return flat.view(number, channels, height, width)
