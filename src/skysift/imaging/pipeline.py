"""Preprocessing a batch of cutouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
import torch
from torch import Tensor

from skysift.imaging.draws import uniforms
from skysift.imaging.limits import sigma_limits, zscale_limits, zscale_slopes
from skysift.imaging.options import (
    Asinh,
    Log,
    MinMax,
    OneOf,
    Power,
    PowerDist,
    Preprocess,
    SigmaClip,
    Sinh,
    Sqrt,
    Transform,
    ZScale,
)
from skysift.imaging.order import order
from skysift.imaging.resize import resize

CACHED_PIXELS = 1 << 18
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
        (B, C, S, S) float32: in [0, 1] unless `spec` has a mean and a scatter; invalid pixels are filled.

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
    """Preprocess images of one shape; on CPU in pieces that stay in the processor's cache."""
    if images.device.type != "cpu":
        return _preprocess_piece(images, spec, seeds)
    out = images.new_empty((len(images), spec.channels, spec.size, spec.size))
    kept = torch.empty((len(images), 1, spec.size, spec.size), dtype=torch.bool)
    step = max(1, CACHED_PIXELS // max(images[0].numel(), 1))
    for start in range(0, len(images), step):
        piece = slice(start, start + step)
        out[piece], kept[piece] = _preprocess_piece(images[piece], spec, None if seeds is None else seeds[piece])
    return out, kept


def _preprocess_piece(images: Tensor, spec: Preprocess, seeds: Tensor | None) -> tuple[Tensor, Tensor]:
    """Make the channels of a few images, resize and fill them."""
    batch = _Batch(images, spec.zero_is_invalid, seeds)
    valid = batch.valid
    channels = images.new_empty((len(images), spec.channels, *images.shape[1:]))
    done: dict[Transform, int] = {}
    for index in range(spec.channels):
        transform = spec.channel(index)
        if transform in done and not isinstance(transform, OneOf):
            channels[:, index] = channels[:, done[transform]]
            continue
        batch.channel(transform, index, channels[:, index])
        done[transform] = index
    filled = torch.where(valid[:, None], channels, 0.0) if batch.holes else channels
    out, kept = resize(filled, valid[:, None], spec.size, whole=not batch.holes)
    if spec.fill == "median" and not bool(kept.all()):
        out = torch.where(kept, out, _medians(filled, valid)[:, :, None, None])
    if spec.mean is not None and spec.std is not None:
        shift, scale = (out.new_tensor(v)[None, :, None, None] for v in (spec.mean, spec.std))
        out = (out - shift) / scale
    return out, kept


def _medians(channels: Tensor, valid: Tensor) -> Tensor:
    """Return the median of the valid pixels of each channel, (B, C); 0 where there are none."""
    medians = []
    for channel in channels.unbind(1):
        ordered = order(torch.where(valid, channel, torch.nan), valid)
        medians.append(ordered.median(torch.zeros_like(ordered.count), ordered.count))
    return torch.stack(medians, 1).to(channels.dtype)


class _Batch:
    """Images of one shape, with what their channels share worked out once."""

    def __init__(self, images: Tensor, zero_is_invalid: bool, seeds: Tensor | None) -> None:
        self.seeds = seeds
        low, high = images.flatten(1).aminmax(dim=1)
        self.holes = zero_is_invalid or not bool(torch.isfinite(low - high).all())
        if self.holes:
            self.valid = torch.isfinite(images)
            if zero_is_invalid:
                self.valid &= images != 0
            images = torch.where(self.valid, images, torch.nan)
            there = self.valid.flatten(1).any(1)
            low = torch.where(there, torch.where(self.valid, images, torch.inf).flatten(1).amin(1), 0.0)
            high = torch.where(there, torch.where(self.valid, images, -torch.inf).flatten(1).amax(1), 0.0)
        else:
            self.valid = torch.ones((), dtype=torch.bool, device=images.device).expand_as(images)
        self.images = images
        self.extent = (low.double(), high.double())
        self._zscale: tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor] | None = None

    def channel(self, transform: Transform, index: int, out: Tensor) -> None:
        """Fill one channel, (B, H, W), with values in [0, 1]; undefined where invalid."""
        if isinstance(transform, SigmaClip):
            seen = self.valid if self.holes else None
            limits = sigma_limits(self.images, seen, transform.low, transform.high, transform.iterations)
            self._clamped(*limits, out)
        elif isinstance(transform, ZScale):
            if self._zscale is None:
                self._zscale = zscale_slopes(self.images, self.valid if self.holes else None)
            self._clamped(*zscale_limits(self._zscale, transform.contrast), out)
        else:
            self._clamped(*self.extent, out)
            if isinstance(transform, OneOf):
                out.copy_(self._one_of(transform, out, index))
            elif not isinstance(transform, MinMax):
                out.copy_(_stretch(out, transform))

    def _clamped(self, low: Tensor, high: Tensor, out: Tensor) -> None:
        """Clamp to limits, then scale the range that is left to [0, 1]; a constant image becomes 0."""
        smallest, largest = self.extent
        bottom = torch.minimum(torch.maximum(smallest, low), high)
        top = torch.maximum(torch.minimum(largest, high), low)
        span = top - bottom
        scale = torch.where(span > 0, 1 / span.clamp_min(1e-300), 0.0)
        torch.sub(self.images, bottom.float()[:, None, None], out=out)
        out.mul_(scale.float()[:, None, None]).clamp_(0, 1)

    def _one_of(self, transform: OneOf, normal: Tensor, index: int) -> Tensor:
        if self.seeds is None:
            return _stretch(normal, transform.choices[0])
        draw = uniforms(self.seeds.to(normal.device), index + 1)[:, index]
        choice = (draw * len(transform.choices)).long()
        out = normal.clone()
        for number, option in enumerate(transform.choices):
            rows = choice == number
            out[rows] = _stretch(normal[rows], option)
        return out


def _stretch(x: Tensor, transform: MinMax | Power | PowerDist | Sinh | Log | Sqrt | Asinh) -> Tensor:
    """Bend values in [0, 1]; as astropy's stretches of the same names."""
    match transform:
        case Power():
            return x.pow(transform.power)
        case PowerDist():
            return (transform.a**x - 1) / (transform.a - 1)
        case Sinh():
            return torch.sinh(x / transform.a) / np.sinh(1 / transform.a)
        case Log():
            return torch.log1p(transform.a * x) / np.log1p(transform.a)
        case Sqrt():
            return x.sqrt()
        case Asinh():
            return torch.asinh(x / transform.a) / np.arcsinh(1 / transform.a)
        case MinMax():
            return x
