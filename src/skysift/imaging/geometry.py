"""Crops, flips and quarter turns of a batch, with the validity of the pixels carried along."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

LEAST_WEIGHT = 0.5


def crop_resize(
    images: Tensor, valid: Tensor, side: Tensor, across: Tensor, down: Tensor, *, whole: bool = False
) -> tuple[Tensor, Tensor]:
    """Crop a square from each image and enlarge it to the image's size, bilinearly.

    Parameters
    ----------
    images, valid : Tensor
        (B, C, S, S), 0 where invalid; (B, 1, S, S) bool.
    side : Tensor
        (B,) side of the crop, as a share of S.
    across, down : Tensor
        (B,) where it lies, from 0 (left, top) to 1.
    whole : bool
        All pixels are valid.

    Returns
    -------
    tuple of Tensor
        The same shapes. Invalid pixels weigh nothing; a pixel that is more than half made of them is invalid.
    """
    number, channels, height, width = images.shape
    theta = images.new_zeros((number, 2, 3), dtype=torch.float32)
    theta[:, 0, 0] = theta[:, 1, 1] = side
    theta[:, 0, 2] = (2 * across - 1) * (1 - side)
    theta[:, 1, 2] = (2 * down - 1) * (1 - side)
    grid = torch.nn.functional.affine_grid(theta, [number, 1, height, width], align_corners=False).to(images.dtype)
    if whole:
        return grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False), valid
    both = torch.cat([images, valid.to(images.dtype)], 1)
    sampled = grid_sample(both, grid, mode="bilinear", padding_mode="border", align_corners=False)
    weight = sampled[:, channels:]
    kept = weight >= LEAST_WEIGHT
    return torch.where(kept, sampled[:, :channels] / weight.clamp_min(1e-6), 0.0), kept


def dihedral(
    images: Tensor, valid: Tensor, horizontal: Tensor, vertical: Tensor, quarter: Tensor
) -> tuple[Tensor, Tensor]:
    """Flip, then turn by quarters: exact, by moving pixels.

    Parameters
    ----------
    images, valid : Tensor
        (B, C, S, S) and (B, 1, S, S).
    horizontal, vertical : Tensor
        (B,) bool: exchange left and right, top and bottom.
    quarter : Tensor
        (B,) int64: quarter turns, anticlockwise.
    """
    code = horizontal.long() + 2 * vertical.long() + 4 * quarter
    out, seen = torch.empty_like(images), torch.empty_like(valid)
    for value in code.unique().tolist():
        rows = (code == value).nonzero()[:, 0]
        axes = [axis for bit, axis in ((1, 3), (2, 2)) if value & bit]
        for source, target in ((images, out), (valid, seen)):
            target[rows] = torch.rot90(source[rows].flip(axes), value // 4, (2, 3))
    return out, seen
