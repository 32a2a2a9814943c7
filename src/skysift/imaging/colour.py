"""Colour jitter, as torchvision's functions of the same names, in the fixed order in which they are listed."""

from __future__ import annotations

import torch
from torch import Tensor

GREY = (0.299, 0.587, 0.114)


def jitter(
    images: Tensor,
    valid: Tensor,
    *,
    brightness: Tensor | None = None,
    contrast: Tensor | None = None,
    saturation: Tensor | None = None,
    hue: Tensor | None = None,
) -> Tensor:
    """Change brightness, contrast, saturation and hue, each image by its own factors.

    Parameters
    ----------
    images : Tensor
        (B, C, S, S) in [0, 1].
    valid : Tensor
        (B, 1, S, S) bool; the mean that contrast is about is that of valid pixels, and the others stay 0.
    brightness, contrast, saturation : Tensor, optional
        (B,) factors; 1 changes nothing. Saturation needs three channels.
    hue : Tensor, optional
        (B,) turns of the hue, in [-0.5, 0.5]; three channels.

    Returns
    -------
    Tensor
        (B, C, S, S) in [0, 1].
    """
    if brightness is not None:
        images = (images * _wide(brightness)).clamp_(0, 1)
    if contrast is not None:
        grey = grey_of(images) if images.shape[1] == 3 else images.mean(1, keepdim=True)
        number = valid.flatten(1).sum(1).clamp_min(1)
        mean = torch.where(valid, grey, 0.0).flatten(1).sum(1) / number
        factor = _wide(contrast)
        images = (images * factor + (1 - factor) * _wide(mean)).clamp_(0, 1)
    if saturation is not None:
        factor = _wide(saturation)
        images = (images * factor + (1 - factor) * grey_of(images)).clamp_(0, 1)
    if hue is not None:
        images = turn_hue(images, hue)
    return torch.where(valid, images, 0.0)


def grey_of(images: Tensor) -> Tensor:
    """Return the luminance, (B, 1, S, S), of images with three channels."""
    red, green, blue = images.unbind(1)
    return (GREY[0] * red + GREY[1] * green + GREY[2] * blue)[:, None]


def turn_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of images with three channels by a share of the circle, at constant value and saturation."""
    high, which = images.max(1)
    span = high - images.amin(1)
    red, green, blue = images.unbind(1)
    across = torch.stack([green - blue, blue - red, red - green], 1).gather(1, which[:, None])[:, 0]
    safe = torch.where(span > 0, span, 1.0)
    sector = across / safe + 2 * which.to(images.dtype)
    sector = sector + 6 * turn.to(images.dtype)[:, None, None]
    channels = []
    for offset in (5.0, 3.0, 1.0):
        k = (sector + offset).remainder(6)
        channels.append(high - span * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, 1)


def _wide(factor: Tensor) -> Tensor:
    return factor[:, None, None, None]
