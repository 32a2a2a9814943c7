"""Preprocessing a whole batch at once, on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from skysift.imaging.options import Preprocess
from skysift.imaging.order import medians
from skysift.imaging.pixels import learn_by_sorting
from skysift.imaging.planes import FAR_BELOW, Planes
from skysift.imaging.resize import resize


def fill_batch(images: Tensor, spec: Preprocess, seeds: Tensor | None, out: Tensor, kept: Tensor) -> None:
    """Fill in (B, C, S, S) images and (B, 1, S, S) masks: clamp or stretch, resize, fill, scale.

    Parameters
    ----------
    images : Tensor
        (B, H, W) float32; values that are not finite are no data.
    spec : Preprocess
        What to do.
    seeds : Tensor, optional
        (B,) int64, for `OneOf`.
    out, kept : Tensor
        What to fill.
    """
    pixels = learn_by_sorting(images, spec.clips, zero_is_invalid=spec.zero_is_invalid)
    planes = Planes(spec, pixels, seeds)
    bottom, span, scale = (
        torch.from_numpy(values).to(images.device)[:, :, None, None]
        for values in (planes.bottom, planes.span, planes.scale)
    )
    shown = torch.where(pixels.valid, images, FAR_BELOW)[:, None] - bottom
    shown = torch.minimum(shown.clamp_min_(0), span)
    for plane in planes.bent:
        planes.bend(plane, slice(None), shown[:, plane])
    made, seen = resize(shown, pixels.valid[:, None], spec.size)
    if spec.fill == "median":
        made = torch.where(seen, made, medians(shown, pixels.valid)[:, :, None, None])
    out.copy_((made * scale)[:, planes.place])
    kept.copy_(seen)
