"""Colour jitter, as torchvision's functions of the same names, in the fixed order in which they are listed."""

from __future__ import annotations

import torch
from torch import Tensor

GREY = (0.299, 0.587, 0.114)


def jitter(
    images: Tensor,
    valid: Tensor | None,
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
    valid : Tensor, optional
        (B, 1, S, S) bool; the mean that contrast is about is that of valid pixels, and the others stay 0. Without it
        all pixels are valid.
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
        grey = grey_of(images)
        if valid is None:
            mean = grey.flatten(1).sum(1) / grey[0].numel()
        else:
            mean = torch.where(valid, grey, 0.0).flatten(1).sum(1) / valid.flatten(1).sum(1).clamp_min(1)
        images = torch.lerp(_wide(mean), images, _wide(contrast)).clamp_(0, 1)
    if saturation is not None:
        images = torch.lerp(grey_of(images), images, _wide(saturation)).clamp_(0, 1)
    if hue is not None:
        images = turn_hue(images, hue)
    return images if valid is None else torch.where(valid, images, 0.0)


def grey_of(images: Tensor) -> Tensor:
    """Return the luminance, (B, 1, S, S), of images with three channels; the mean of any other number of them."""
    if images.shape[1] != len(GREY):
        return images.mean(1, keepdim=True)
    red, green, blue = images.split(1, dim=1)
    return (red * GREY[0]).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2])


def turn_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of images with three channels by a share of the circle, at constant value and saturation.

    The hue goes round in six sectors; a channel is at its highest within one sector of its own hue (red 0, green 2,
    blue 4), at its lowest beyond two, and falls linearly between.
    """
    red, green, blue = images.unbind(1)
    high = torch.maximum(torch.maximum(red, green), blue)
    span = high - torch.minimum(torch.minimum(red, green), blue)
    safe = torch.where(span > 0, span, 1.0)
    of_green = torch.where(green == high, (blue - red).div_(safe).add_(2), (red - green).div_(safe).add_(4))
    hue = torch.where(red == high, (green - blue).div_(safe), of_green)
    hue += 6 * turn.to(images.dtype)[:, None, None]
    turned = []
    for own_hue in (0.0, 2.0, 4.0):
        away = hue - own_hue
        away -= (away / 6).round_().mul_(6)
        turned.append(high - away.abs_().sub_(1).clamp_(0, 1).mul_(span))
    return torch.stack(turned, dim=1)


def _wide(factor: Tensor) -> Tensor:
    return factor[:, None, None, None]
