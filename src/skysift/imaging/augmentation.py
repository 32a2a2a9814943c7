"""Augmenting a whole batch on its device, each image by its own seed.

On the CPU a step works on the images alone that chance has chosen for it, a few at a time, so that they stay in the
processor's cache. On a GPU choosing would mean waiting to learn which: there every step works on all images and keeps
the result where it was to happen, without a shape that depends on data (`augment_device`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from skysift.imaging.augment_device import augment_piece as augment_on_device
from skysift.imaging.augment_options import Augment
from skysift.imaging.colour import jitter
from skysift.imaging.draws import Draws
from skysift.imaging.filters import blur, threshold
from skysift.imaging.geometry import crop_resize, dihedral

CACHED_VALUES = 1 << 18
DEVICE_VALUES = 1 << 27
"""Values that a GPU works on at once: half a gigabyte of float32, and a few times that in intermediate results."""


@torch.no_grad()
def augment(images: Tensor, valid: Tensor, spec: Augment, seeds: Tensor, *, compiled: bool = False) -> Tensor:
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
    compiled : bool
        Fuse the steps with `torch.compile`, which a GPU gains from; on the CPU nothing changes.

    Returns
    -------
    Tensor
        (B, C, S, S), in [0, 1] up to rounding; pixels without data stay 0.
    """
    if not len(images):
        return images
    on_cpu = images.device.type == "cpu"
    work = _augment_piece if on_cpu else (_compiled() if compiled else augment_on_device)
    pieces = min(len(images), -(-images.numel() // (CACHED_VALUES if on_cpu else DEVICE_VALUES)))
    at_once = -(-len(images) // pieces)
    draws = Draws.of(spec, seeds.to(images.device))
    if at_once >= len(images):
        return work(images, valid, draws)
    out = torch.empty_like(images)
    for start in range(0, len(images), at_once):
        piece = slice(start, start + at_once)
        out[piece] = work(images[piece], valid[piece], Draws(spec, draws.u[piece]))
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


@cache
def _compiled() -> Callable[[Tensor, Tensor, Draws], Tensor]:
    """Compile the work of a GPU, for each shape of batch by itself."""
    return torch.compile(augment_on_device, dynamic=False)


def _augment_piece(images: Tensor, valid: Tensor, draws: Draws) -> Tensor:
    """Augment a few images on the CPU, as many as stay in the processor's cache."""
    spec = draws.spec
    seen = None if bool(valid.all()) else valid
    if spec.crop is not None:
        images, seen = crop_resize(images, seen, *draws.crop(), draws.angle())
    if spec.gamma is not None:
        images = images.clamp_min(0).pow(draws.gamma()[:, None, None, None])
    if spec.jitter_probability > 0:
        images = _jitter(images, seen, draws, own=spec.crop is not None)
    images, seen = dihedral(images, seen, *draws.turns())
    if spec.blur_probability > 0:
        rows = draws.blurred().nonzero()[:, 0]
        if len(rows):
            sigma, largest = draws.blur_sigma()[rows], spec.blur_sigma[1]
            images.index_copy_(0, rows, blur(images.index_select(0, rows), _of(seen, rows), sigma, largest=largest))
    if spec.threshold_probability > 0:
        rows = draws.thresholded().nonzero()[:, 0]
        if len(rows):
            share = draws.threshold_share(images.shape[1])[rows]
            images.index_copy_(0, rows, threshold(images.index_select(0, rows), _of(seen, rows), share))
    return images


def _jitter(images: Tensor, valid: Tensor | None, draws: Draws, *, own: bool) -> Tensor:
    """Jitter the colours of the images that were drawn for it, in place if they are our `own`."""
    rows = draws.jittered().nonzero()[:, 0]
    if not len(rows):
        return images
    factors = {name: factor[rows] for name, factor in draws.jitter(images.shape[1]).items()}
    changed = jitter(images.index_select(0, rows), _of(valid, rows), **factors)
    if len(rows) == len(images):
        return changed
    return (images if own else images.clone()).index_copy_(0, rows, changed)


def _of(valid: Tensor | None, rows: Tensor) -> Tensor | None:
    return None if valid is None else valid.index_select(0, rows)
