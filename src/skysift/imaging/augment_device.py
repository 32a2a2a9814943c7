"""Augmentation on a GPU: all images through every step, and no shape or branch that depends on data.

Nothing here makes the host wait for the device, and `torch.compile` takes it as one graph. What a step costs is
memory traffic, so crop, flips and turns are one interpolation, blurring is two matrix products, and percentiles are
found by counting instead of sorting.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skysift.imaging.colour import jitter
from skysift.imaging.draws import Draws
from skysift.imaging.filters import TRUNCATE
from skysift.imaging.geometry import crop_at_angle, orientation, places, sample_valid


def augment_piece(images: Tensor, valid: Tensor, draws: Draws) -> Tensor:
    """Augment images (B, C, S, S) with masks (B, 1, S, S); the same as image by image, up to rounding."""
    spec = draws.spec
    turn = orientation(*draws.turns())
    angle = draws.angle()
    if angle is not None:
        images, valid = turn_only(*crop_at_angle(images, valid, *draws.crop(), angle), turn)
    elif spec.crop is not None:
        images, valid = crop_and_turn(images, valid, draws.crop(), turn)
    elif spec.flip_horizontal or spec.flip_vertical or spec.rotate_probability:
        images, valid = turn_only(images, valid, turn)
    if spec.gamma is not None:
        images = images.clamp_min(0).pow(_wide(draws.gamma()))
    if spec.jitter_probability > 0:
        changed = jitter(images, valid, **draws.jitter(images.shape[1]))
        images = torch.where(_wide(draws.jittered()), changed, images)
    if spec.blur_probability > 0:
        changed = blur(images, valid, draws.blur_sigma(), largest=spec.blur_sigma[1])
        images = torch.where(_wide(draws.blurred()), changed, images)
    if spec.threshold_probability > 0:
        level = percentile(images, valid, draws.threshold_share(images.shape[1]))
        images = torch.where(_wide(draws.thresholded()) & (images < level), 0.0, images)
    return images


def crop_and_turn(
    images: Tensor, valid: Tensor, crop: tuple[Tensor, Tensor, Tensor], turn: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Crop, flip and turn in one interpolation: `crop_resize` and then `dihedral`."""
    size = images.shape[-1]
    side, across, down = crop
    grid = _lattice(places(size, side, across), places(size, side, down), turn)
    return sample_valid(images, valid, grid)


def turn_only(images: Tensor, valid: Tensor, turn: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Flip and turn without interpolation: `dihedral`."""
    size = images.shape[-1]
    steps = torch.arange(size, device=images.device).expand(len(images), size)
    grid = _lattice(steps, steps, turn)
    index = (grid[..., 1] * size + grid[..., 0]).flatten(1)[:, None]

    def moved(values: Tensor) -> Tensor:
        return values.flatten(2).gather(2, index.expand(-1, values.shape[1], -1)).view_as(values)

    return moved(images), moved(valid)


def blur(images: Tensor, valid: Tensor, sigma: Tensor, *, largest: float) -> Tensor:
    """Blur as `filters.blur` does, where no sigma exceeds `largest`: a banded matrix from either side."""
    size = images.shape[-1]
    radius = min(math.ceil(TRUNCATE * largest), size - 1)
    offset = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    total = _gaussian(offset, sigma[:, None]).sum(1)
    here = torch.arange(size, device=images.device, dtype=images.dtype)
    there, width = here[:, None], sigma[:, None, None]
    matrix = _gaussian(there - here, width)
    for mirrored, is_mirrored in ((-there, there > 0), (2 * (size - 1) - there, there < size - 1)):
        reaches = is_mirrored & ((mirrored - here).abs() <= radius)
        matrix = matrix + torch.where(reaches, _gaussian(mirrored - here, width), 0.0)
    matrix = matrix / total[:, None, None]
    weight = valid.to(images.dtype)
    spread = torch.cat([images * weight, weight], 1)
    for _ in range(2):
        spread = (spread.flatten(1, 2) @ matrix).view_as(spread).transpose(2, 3)
    return torch.where(valid, spread[:, :-1] / spread[:, -1:].clamp_min(1e-6), 0.0)


def percentile(images: Tensor, valid: Tensor, share: Tensor) -> Tensor:
    """Return the level (B, C, 1, 1) below which a share (B, C) of the valid pixels lies, as `filters.threshold`."""
    number, channels = images.shape[:2]
    rows = torch.where(valid, images, torch.inf).flatten(2).flatten(0, 1)
    count = valid.flatten(1).sum(1).repeat_interleave(channels, output_size=number * channels)
    place = share.flatten().double() * (count - 1).clamp_min(0)
    low = place.floor().long()
    below = value_of_rank(rows, low)
    not_above = (rows <= below[:, None]).sum(1)
    next_one = torch.where(rows > below[:, None], rows, torch.inf).amin(1)
    above = torch.where((low + 1 < not_above) | (low + 1 >= count), below, next_one)
    level = below + (above - below) * (place - low).to(images.dtype)
    return torch.where(count > 0, level, 0.0).view(number, channels, 1, 1)


def value_of_rank(rows: Tensor, rank: Tensor) -> Tensor:
    """Return the value of a rank (R,), 0 being the smallest, in each row (R, n) of float32: exact, by counting.

    The bits of a float, read as an integer, sort like the float (those of negative ones once turned round). Two bits
    of the result at a time, from the highest down: of four candidates it is the largest that has at most `rank`
    values below. Sixteen readings of the rows, where sorting would move them some ten times over.
    """
    bits = rows.view(torch.int32)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    found = torch.full_like(rank, -(2**31), dtype=torch.int32)
    quarter = torch.full_like(found, 2**30)  # a tensor, so that all sixteen compile to one kernel
    for _ in range(16):
        candidate, reached = found, torch.zeros_like(found)
        for _ in range(3):
            candidate = candidate + quarter
            reached = reached + ((ordered < candidate[:, None]).sum(1) <= rank).int()
        found, quarter = found + quarter * reached, quarter >> 2
    return (found ^ ((found >> 31) & 0x7FFFFFFF)).view(torch.float32)


def _lattice(across: Tensor, down: Tensor, turn: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Return where each pixel of a turned image comes from, (B, S, S, 2), given the places (B, S) along each axis."""
    transposed, upside_down, mirrored = (flag[:, None] for flag in turn)
    by_row = torch.where(transposed, across, down)
    by_column = torch.where(transposed, down, across)
    by_row = torch.where(upside_down, by_row.flip(1), by_row)[:, :, None]
    by_column = torch.where(mirrored, by_column.flip(1), by_column)[:, None, :]
    swapped = transposed[..., None]
    return torch.stack([torch.where(swapped, by_row, by_column), torch.where(swapped, by_column, by_row)], -1)


def _gaussian(distance: Tensor, sigma: Tensor) -> Tensor:
    scaled = distance / sigma
    return torch.exp(-0.5 * scaled.square()) * (scaled.abs() <= TRUNCATE + 1e-6)


def _wide(flag: Tensor) -> Tensor:
    return flag[:, None, None, None]
