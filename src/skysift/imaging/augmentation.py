"""Augmenting a whole batch on its device, each image by its own seed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skysift.imaging.augment_options import Augment
from skysift.imaging.colour import jitter
from skysift.imaging.draws import uniforms
from skysift.imaging.filters import blur, threshold
from skysift.imaging.geometry import crop_resize, dihedral

DRAWS = 20
CACHED_VALUES = 1 << 20


@dataclass(frozen=True)
class _Draws:
    """The random numbers of a batch, (B,) each, by what they decide."""

    u: Tensor

    def event(self, index: int, probability: float) -> Tensor:
        """Return (B,) bool: true with this probability."""
        return self.u[:, index] < probability

    def between(self, index: int, low: float, high: float) -> Tensor:
        """Return (B,) float32, uniform."""
        return low + (high - low) * self.u[:, index]


@torch.no_grad()
def augment(images: Tensor, valid: Tensor, spec: Augment, seeds: Tensor) -> Tensor:
    """Change images at random.

    Parameters
    ----------
    images : Tensor
        (B, C, S, S) float in [0, 1]; invalid pixels hold 0.
    valid : Tensor
        (B, 1, S, S) bool.
    spec : Augment
        What to do, how often.
    seeds : Tensor
        (B,) int64. An image's changes depend on its seed alone: not on its neighbours, its place or the device.

    Returns
    -------
    Tensor
        (B, C, S, S), in [0, 1] up to rounding; pixels without data stay 0.
    """
    if not len(images):
        return images
    on_cpu = images.device.type == "cpu"
    step = max(1, CACHED_VALUES // images[0].numel()) if on_cpu else len(images)
    out = torch.empty_like(images)
    for start in range(0, len(images), step):
        piece = slice(start, start + step)
        draws = _Draws(uniforms(seeds[piece].to(images.device), DRAWS))
        out[piece] = _augment_piece(images[piece], valid[piece], spec, draws)
    return out


def two_views(images: Tensor, valid: Tensor, spec: Augment, seeds: Tensor) -> tuple[Tensor, Tensor]:
    """Return two augmented views of each image, of independent draws.

    Parameters
    ----------
    images, valid, spec, seeds
        As for `augment`.

    Returns
    -------
    tuple of Tensor
        Both (B, C, S, S).
    """
    other = seeds ^ 0x5851F42D4C957F2D
    return augment(images, valid, spec, seeds), augment(images, valid, spec, other)


def _augment_piece(images: Tensor, valid: Tensor, spec: Augment, draws: _Draws) -> Tensor:
    """Augment a few images, on CPU as many as stay in the processor's cache."""
    whole = bool(valid.all())
    if spec.crop is not None:
        side = draws.between(0, *spec.crop)
        side = side.sqrt() if spec.crop_is_area else side
        images, valid = crop_resize(images, valid, side, draws.u[:, 1], draws.u[:, 2], whole=whole)
    if spec.jitter_probability > 0:
        images = _jitter(images, valid, spec, draws)
    images, valid = _turn(images, valid, spec, draws)
    if spec.blur_probability > 0:
        rows = draws.event(13, spec.blur_probability).nonzero()[:, 0]
        if len(rows):
            images[rows] = blur(images[rows], valid[rows], draws.between(14, *spec.blur_sigma)[rows])
    if spec.threshold_probability > 0:
        rows = draws.event(15, spec.threshold_probability).nonzero()[:, 0]
        if len(rows):
            low, high = spec.threshold_percentile
            share = (low + (high - low) * draws.u[rows, 16 : 16 + images.shape[1]]) / 100
            images[rows] = threshold(images[rows], valid[rows], share)
    return images


def _jitter(images: Tensor, valid: Tensor, spec: Augment, draws: _Draws) -> Tensor:
    """Jitter the colours of the images that were drawn for it."""
    rows = draws.event(3, spec.jitter_probability).nonzero()[:, 0]
    if not len(rows):
        return images
    s = spec.jitter_strength

    def factor(index: int, range_: float) -> Tensor:
        return draws.between(index, max(0.0, 1 - s * range_), 1 + s * range_)[rows]

    colour = images.shape[1] == 3
    changed = jitter(
        images[rows],
        valid[rows],
        brightness=factor(4, spec.brightness) if spec.brightness else None,
        contrast=factor(5, spec.contrast) if spec.contrast else None,
        saturation=factor(6, spec.saturation) if spec.saturation and colour else None,
        hue=draws.between(7, -s * spec.hue, s * spec.hue)[rows] if spec.hue and colour else None,
    )
    if len(rows) == len(images):
        return changed
    out = images.clone()
    out[rows] = changed
    return out


def _turn(images: Tensor, valid: Tensor, spec: Augment, draws: _Draws) -> tuple[Tensor, Tensor]:
    """Flip and rotate, without interpolation."""
    if spec.flips_exclude_each_other:
        u = draws.u[:, 8]
        horizontal = u < spec.flip_horizontal
        vertical = (u >= spec.flip_horizontal) & (u < spec.flip_horizontal + spec.flip_vertical)
    else:
        horizontal, vertical = draws.event(8, spec.flip_horizontal), draws.event(9, spec.flip_vertical)
    quarter = torch.where(draws.event(10, spec.rotate_probability), 1 + (draws.u[:, 11] * 3).long(), 0)
    return dihedral(images, valid, horizontal, vertical, quarter)
