"""Crops, flips and turns of a batch, with the validity of the pixels carried along."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

LEAST_WEIGHT = 0.5


def crop_resize(
    images: Tensor,
    valid: Tensor | None,
    side: Tensor,
    across: Tensor,
    down: Tensor,
    angle: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Crop a square from each image and enlarge it to the image's size, bilinearly.

    Parameters
    ----------
    images : Tensor
        (B, C, S, S), 0 where invalid.
    valid : Tensor, optional
        (B, 1, S, S) bool; without it all pixels are valid.
    side : Tensor
        (B,) side of the crop, as a share of S.
    across, down : Tensor
        (B,) where it lies, from 0 (left, top) to 1.
    angle : Tensor, optional
        (B,) by which the square is turned about its centre, anticlockwise as one sees the image [radian].

    Returns
    -------
    tuple of Tensor
        The same shapes, and no mask where all pixels are valid. Invalid pixels weigh nothing, nor does what a turned
        square reaches outside of the image; a pixel that is more than half made of those is invalid.
    """
    if angle is not None:
        return crop_at_angle(images, valid, side, across, down, angle)
    number, _, height, width = images.shape
    grid = images.new_empty((number, height, width, 2))
    grid[..., 0] = places(width, side, across)[:, None, :]
    grid[..., 1] = places(height, side, down)[:, :, None]
    if valid is None:
        return grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False), None
    return sample_valid(images, valid, grid)


def crop_at_angle(
    images: Tensor, valid: Tensor | None, side: Tensor, across: Tensor, down: Tensor, angle: Tensor
) -> tuple[Tensor, Tensor]:
    """Crop a turned square, as `crop_resize` does."""
    size = images.shape[-1]
    centre = torch.stack([(2 * across - 1) * (1 - side), (2 * down - 1) * (1 - side)], -1)
    steps = (2 * torch.arange(size, device=side.device) + 1) / size - 1
    cosine, sine = ((side * part)[:, None, None] for part in (angle.cos(), angle.sin()))
    x, y = steps[None, None, :], steps[None, :, None]
    grid = torch.stack([cosine * x - sine * y, sine * x + cosine * y], -1) + centre[:, None, None]
    valid = torch.ones_like(images[:, :1], dtype=torch.bool) if valid is None else valid
    return sample_valid(images, valid, grid, beyond="zeros")


def sample_valid(images: Tensor, valid: Tensor, grid: Tensor, *, beyond: str = "border") -> tuple[Tensor, Tensor]:
    """Interpolate at the places of a grid (B, S, S, 2), as `crop_resize` does."""
    both = torch.cat([images, valid.to(images.dtype)], 1)
    sampled = grid_sample(both, grid, mode="bilinear", padding_mode=beyond, align_corners=False)
    weight = sampled[:, -1:]
    kept = weight >= LEAST_WEIGHT
    return torch.where(kept, sampled[:, :-1] / weight.clamp_min(1e-6), 0.0), kept


def places(length: int, side: Tensor, shift: Tensor) -> Tensor:
    """Return where to sample along an axis, (B, length), in units in which the image goes from -1 to 1."""
    centres = (2 * torch.arange(length, device=side.device) + 1) / length - 1
    return side[:, None] * centres + ((2 * shift - 1) * (1 - side))[:, None]


def orientation(horizontal: Tensor, vertical: Tensor, quarter: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what flips and quarter turns (B,) come to, one after the other: transposed, upside down, mirrored."""
    transposed = (quarter % 2).bool()
    upside_down = torch.where(transposed, horizontal ^ (quarter == 1), vertical ^ (quarter == 2))
    mirrored = torch.where(transposed, vertical ^ (quarter == 3), horizontal ^ (quarter == 2))
    return transposed, upside_down, mirrored


def dihedral(
    images: Tensor, valid: Tensor | None, horizontal: Tensor, vertical: Tensor, quarter: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Flip, then turn by quarters: exact, by moving pixels.

    Parameters
    ----------
    images : Tensor
        (B, C, S, S).
    valid : Tensor, optional
        (B, 1, S, S) bool, moved likewise.
    horizontal, vertical : Tensor
        (B,) bool: exchange left and right, top and bottom.
    quarter : Tensor
        (B,) int64: quarter turns, anticlockwise.
    """
    transposed, upside_down, mirrored = orientation(horizontal, vertical, quarter)
    code = 4 * transposed.long() + 2 * upside_down.long() + mirrored.long()
    moved = [(images, torch.empty_like(images))]
    if valid is not None:
        moved.append((valid, torch.empty_like(valid)))
    for value in code.unique().tolist():
        rows = (code == value).nonzero()[:, 0]
        axes = [axis for bit, axis in ((2, 2), (1, 3)) if value & bit]
        for source, target in moved:
            part = source.index_select(0, rows)
            part = part.transpose(2, 3) if value & 4 else part
            target.index_copy_(0, rows, part.flip(axes) if axes else part)
    return moved[0][1], None if valid is None else moved[1][1]
