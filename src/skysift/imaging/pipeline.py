"""Preprocessing a batch of cutouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
import torch
from torch import Tensor

from skysift.imaging.batch import fill_batch
from skysift.imaging.options import Preprocess
from skysift.imaging.rows import fill_rows

PIXELS_AT_ONCE = 1 << 22
Images = Tensor | np.ndarray[Any, Any] | Sequence[np.ndarray[Any, Any]]


@overload
def preprocess(
    images: Images,
    spec: Preprocess,
    *,
    device: str | torch.device = ...,
    seeds: Tensor | None = ...,
    return_mask: Literal[False] = ...,
) -> Tensor: ...
@overload
def preprocess(
    images: Images,
    spec: Preprocess,
    *,
    device: str | torch.device = ...,
    seeds: Tensor | None = ...,
    return_mask: Literal[True],
) -> tuple[Tensor, Tensor]: ...
def preprocess(
    images: Images,
    spec: Preprocess,
    *,
    device: str | torch.device = "cpu",
    seeds: Tensor | None = None,
    return_mask: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Turn cutouts with NaN into images.

    Parameters
    ----------
    images : array or Tensor (B, H, W), or sequence of arrays (H, W) of any sizes
        Pixels; NaN and infinite values are no data.
    spec : Preprocess
        What to do.
    device : str
        Where to work; a Tensor stays where it is.
    seeds : Tensor, optional
        (B,) int64, for transforms that choose at random (`OneOf`).
    return_mask : bool
        Return also which pixels are valid, (B, 1, S, S) bool.

    Returns
    -------
    Tensor
        (B, C, S, S) float32: in [0, 1] up to rounding, unless `spec` has a mean and a scatter; invalid pixels are
        filled.

    Notes
    -----
    Riggi et al. 2024 (arXiv:2404.18462), section 3.2: channels, min-max, resize, in this order.
    """
    groups = _groups(images, device)
    total = sum(len(rows) for rows, _ in groups)
    out: Tensor | None = None
    mask: Tensor | None = None
    for rows, batch in groups:
        done, kept = _preprocess_equal(batch, spec, None if seeds is None else seeds[rows.to(seeds.device)])
        if len(groups) == 1:
            out, mask = done, kept
        else:
            out = done.new_empty((total, *done.shape[1:])) if out is None else out
            mask = kept.new_empty((total, *kept.shape[1:])) if mask is None else mask
            out[rows], mask[rows] = done, kept
    if out is None or mask is None:
        out = torch.zeros((0, spec.channels, spec.size, spec.size), device=device)
        mask = torch.zeros((0, 1, spec.size, spec.size), dtype=torch.bool, device=device)
    return (out, mask) if return_mask else out


def _groups(images: Images, device: str | torch.device) -> list[tuple[Tensor, Tensor]]:
    """Split into batches of images of one shape."""
    if isinstance(images, Tensor):
        return [(torch.arange(len(images), device=images.device), images.float())] if len(images) else []
    if isinstance(images, np.ndarray) and images.dtype != object:
        batch = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).to(device)
        return [(torch.arange(len(images), device=device), batch)] if len(images) else []
    shapes: dict[tuple[int, ...], list[int]] = {}
    for number, image in enumerate(images):
        shapes.setdefault(image.shape, []).append(number)
    return [
        (
            torch.tensor(rows, device=device),
            torch.from_numpy(np.stack([np.asarray(images[row], dtype=np.float32) for row in rows])).to(device),
        )
        for rows in shapes.values()
    ]


def _preprocess_equal(images: Tensor, spec: Preprocess, seeds: Tensor | None) -> tuple[Tensor, Tensor]:
    """Preprocess images of one shape; on CPU in pieces of limited memory."""
    out = images.new_empty((len(images), spec.channels, spec.size, spec.size))
    kept = torch.empty((len(images), 1, spec.size, spec.size), dtype=torch.bool, device=images.device)
    on_cpu = images.device.type == "cpu"
    fill, pixels_at_once = (fill_rows, PIXELS_AT_ONCE) if on_cpu else (fill_batch, images.numel())
    step = max(1, pixels_at_once // max(images[0].numel(), 1))
    for start in range(0, len(images), step):
        piece = slice(start, start + step)
        fill(images[piece], spec, None if seeds is None else seeds[piece], out[piece], kept[piece])
    if spec.mean is not None and spec.std is not None:
        shift, scale = (out.new_tensor(value)[:, None, None] for value in (spec.mean, spec.std))
        out.sub_(shift).div_(scale)
    return out, kept
