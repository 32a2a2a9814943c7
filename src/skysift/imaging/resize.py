"""Resizing images with invalid pixels: these weigh nothing."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import interpolate

LEAST_WEIGHT = 0.5


def resize(images: Tensor, valid: Tensor, size: int, *, whole: bool | None = None) -> tuple[Tensor, Tensor]:
    """Resize by antialiased bilinear interpolation, normalised by the weight of valid pixels.

    Parameters
    ----------
    images : Tensor
        (B, C, H, W), 0 where invalid.
    valid : Tensor
        (B, 1, H, W) bool.
    size : int
        Side of the result [pixel].
    whole : bool, optional
        Whether all pixels are valid; found out where not said.

    Returns
    -------
    images : Tensor
        (B, C, S, S), 0 where invalid.
    valid : Tensor
        (B, 1, S, S) bool: where valid pixels have at least half of the weight.
    """
    if images.shape[-2:] == (size, size):
        return images, valid
    scaled = interpolate(images, (size, size), mode="bilinear", antialias=True, align_corners=False)
    if bool(valid.all()) if whole is None else whole:
        return scaled, valid.new_ones((*valid.shape[:2], size, size))
    weight = interpolate(valid.to(images.dtype), (size, size), mode="bilinear", antialias=True, align_corners=False)
    kept = weight >= LEAST_WEIGHT
    return (scaled / weight.clamp_min(1e-6)) * kept, kept
