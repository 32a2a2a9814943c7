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
from skysift.imaging.order import Ordered, order
from skysift.imaging.resize import resize

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
    """Preprocess images of one shape."""
    valid = torch.isfinite(images)
    if spec.zero_is_invalid:
        valid &= images != 0
    if not bool(valid.all()):
        images = torch.where(valid, images, torch.nan)
    batch = _Batch(images, valid, seeds)
    made: dict[str, Tensor] = {}
    channels = []
    for index in range(spec.channels):
        transform = spec.channel(index)
        key = transform.model_dump_json()
        if key not in made:
            made[key] = batch.channel(transform, index)
        channels.append(made[key])
    filled = torch.where(valid[:, None], torch.stack(channels, 1), 0.0) if batch.holes else torch.stack(channels, 1)
    out, kept = resize(filled, valid[:, None], spec.size)
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

    def __init__(self, images: Tensor, valid: Tensor, seeds: Tensor | None) -> None:
        self.images, self.valid, self.seeds = images, valid, seeds
        self.holes = not bool(valid.all())
        self._ordered: Ordered | None = None
        self._zscale: tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor] | None = None
        self._extent: tuple[Tensor, Tensor] | None = None

    def channel(self, transform: Transform, index: int) -> Tensor:
        """Return one channel, (B, H, W) in [0, 1]; undefined where invalid."""
        if isinstance(transform, SigmaClip):
            if self._ordered is None:
                self._ordered = order(self.images, self.valid)
            return self._clamped(*sigma_limits(self._ordered, transform.low, transform.high, transform.iterations))
        if isinstance(transform, ZScale):
            if self._zscale is None:
                self._zscale = zscale_slopes(self.images, self.valid)
            return self._clamped(*zscale_limits(self._zscale, transform.contrast))
        normal = self._clamped(*self.extent)
        if isinstance(transform, OneOf):
            return self._one_of(transform, normal, index)
        return _stretch(normal, transform)

    @property
    def extent(self) -> tuple[Tensor, Tensor]:
        """Smallest and largest valid value, (B,) float64."""
        if self._extent is None:
            flat = self.images.flatten(1)
            if self.holes:
                seen = self.valid.flatten(1)
                low = torch.where(seen, flat, torch.inf).amin(1)
                high = torch.where(seen, flat, -torch.inf).amax(1)
                there = seen.any(1)
                low, high = (torch.where(there, edge, 0.0) for edge in (low, high))
            else:
                low, high = flat.aminmax(dim=1)
            self._extent = (low.double(), high.double())
        return self._extent

    def _clamped(self, low: Tensor, high: Tensor) -> Tensor:
        """Clamp to limits, then scale the range that is left to [0, 1]; a constant image becomes 0."""
        smallest, largest = self.extent
        bottom = torch.minimum(torch.maximum(smallest, low), high)
        top = torch.maximum(torch.minimum(largest, high), low)
        span = top - bottom
        scale = torch.where(span > 0, 1 / span.clamp_min(1e-300), 0.0)
        scaled = (self.images - bottom.float()[:, None, None]) * scale.float()[:, None, None]
        return scaled.clamp_(0, 1)

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
