"""Preprocessing a batch of cutouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
import torch
from torch import Tensor

from skysift.imaging.draws import uniforms
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
from skysift.imaging.pixels import Pair, learn
from skysift.imaging.resize import resize

PIXELS_AT_ONCE = 1 << 22
TINY = torch.finfo(torch.float32).tiny
FAR_BELOW = torch.finfo(torch.float32).min / 2  # for invalid pixels: clamping makes it 0
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
    step = max(1, PIXELS_AT_ONCE // max(images[0].numel(), 1)) if images.device.type == "cpu" else len(images)
    out = images.new_empty((len(images), spec.channels, spec.size, spec.size))
    kept = torch.empty((len(images), 1, spec.size, spec.size), dtype=torch.bool, device=images.device)
    for start in range(0, len(images), step):
        piece = slice(start, start + step)
        _Batch(images[piece], spec, None if seeds is None else seeds[piece]).make(out[piece], kept[piece])
    return out, kept


class _Batch:
    """Images of one shape, and the range of pixels that each of their channels shows.

    Parameters
    ----------
    images : Tensor
        (B, H, W) float32.
    spec : Preprocess
        What to do.
    seeds : Tensor, optional
        (B,) int64, for `OneOf`.
    """

    def __init__(self, images: Tensor, spec: Preprocess, seeds: Tensor | None) -> None:
        self.spec = spec
        self._planes, self._plane_of_channel = _distinct(spec)
        transforms = [transform for transform, _ in self._planes]
        clips = [transform for transform in transforms if isinstance(transform, SigmaClip)]
        self._pixels = learn(images, clips, zero_is_invalid=spec.zero_is_invalid)
        self._images = images if all(self._pixels.whole) else torch.where(self._pixels.valid, images, FAR_BELOW)
        self._ranges = {transform: self._range(transform) for transform in transforms}
        self._draws = None if seeds is None else uniforms(seeds.to(images.device), spec.channels)

    def make(self, out: Tensor, kept: Tensor) -> None:
        """Fill in images and masks; on CPU image by image, which stays in the processor's cache."""
        step = 1 if self._images.device.type == "cpu" else len(out)
        planes = self._images.new_empty((step, len(self._planes), *self._images.shape[1:]))
        for start in range(0, len(out), step):
            rows = slice(start, start + step)
            self._make(rows, planes, out[rows], kept[rows])

    def _make(self, rows: slice, planes: Tensor, out: Tensor, kept: Tensor) -> None:
        """Make the channels of some images: stretch, resize, fill, normalise."""
        valid, whole = self._pixels.valid[rows][:, None], all(self._pixels.whole[rows])
        for plane, (transform, index) in zip(planes.unbind(1), self._planes, strict=True):
            self._show(transform, index, rows, plane)
        distinct = len(self._planes) == self.spec.channels
        made, seen = resize(planes, valid, self.spec.size, whole=whole, out=out if distinct else None)
        kept.copy_(seen)
        if self.spec.fill == "median" and not whole:
            made.copy_(torch.where(seen, made, _medians(planes, valid[:, 0])[:, :, None, None]))
        if not distinct:
            out.copy_(made[:, self._plane_of_channel])
        if self.spec.mean is not None and self.spec.std is not None:
            shift, scale = (out.new_tensor(value)[:, None, None] for value in (self.spec.mean, self.spec.std))
            out.sub_(shift).div_(scale)

    def _range(self, transform: Transform) -> Pair:
        """Return the pixel that becomes 0 and the factor from there on, (B, 1, 1); a constant image becomes 0."""
        smallest, largest = self._pixels.extent
        low, high = smallest, largest
        if isinstance(transform, SigmaClip):
            low, high = self._pixels.clipped[transform]
        elif isinstance(transform, ZScale):
            low, high = self._pixels.zscale.limits(transform.contrast)
        low, high = _apart(low, high, smallest, largest)
        bottom = torch.minimum(torch.maximum(smallest, low), high)
        top = torch.maximum(torch.minimum(largest, high), low)
        span = top - bottom
        scale = torch.where(span > TINY, 1 / span.clamp_min(TINY), 0.0)
        return bottom.float()[:, None, None], scale.float()[:, None, None]

    def _show(self, transform: Transform, index: int, rows: slice, out: Tensor) -> None:
        """Fill one plane, (B, H, W), with values in [0, 1]; 0 where invalid."""
        bottom, scale = self._ranges[transform]
        torch.sub(self._images[rows], bottom[rows], out=out).mul_(scale[rows]).clamp_(0, 1)
        if isinstance(transform, OneOf):
            self._stretch_one_of(transform, index, rows, out)
        elif not isinstance(transform, (SigmaClip, ZScale, MinMax)):
            out.copy_(_stretch(out, transform))

    def _stretch_one_of(self, transform: OneOf, index: int, rows: slice, out: Tensor) -> None:
        """Stretch each image as its seed says."""
        draw = out.new_zeros(len(out)) if self._draws is None else self._draws[rows, index]
        choices = (draw * len(transform.choices)).long()
        for number, choice in enumerate(transform.choices):
            chosen = choices == number
            out[chosen] = _stretch(out[chosen], choice)


def _distinct(spec: Preprocess) -> tuple[list[tuple[Transform, int]], list[int]]:
    """List the channels that differ, as (transform, first channel), and for each channel its place in the list."""
    planes: list[tuple[Transform, int]] = []
    place: list[int] = []
    for index in range(spec.channels):
        transform = spec.channel(index)
        known = [] if isinstance(transform, OneOf) else [n for n, (t, _) in enumerate(planes) if t == transform]
        if not known:
            planes.append((transform, index))
        place.append(known[0] if known else len(planes) - 1)
    return planes, place


def _medians(channels: Tensor, valid: Tensor) -> Tensor:
    """Return the median of the valid pixels of each channel, (B, C); 0 where there are none."""
    medians = []
    for channel in channels.unbind(1):
        ordered = order(torch.where(valid, channel, torch.nan), valid)
        medians.append(ordered.median(torch.zeros_like(ordered.count), ordered.count))
    return torch.stack(medians, 1).to(channels.dtype)


def _apart(low: Tensor, high: Tensor, smallest: Tensor, largest: Tensor) -> tuple[Tensor, Tensor]:
    """Open limits that fell together, as they do on images of mostly one value (display stretches, blanked maps).

    They then run from that value to the image's largest one, or from the smallest where nothing lies above.
    """
    together = high <= low
    high = torch.where(together, largest, high)
    return torch.where(together & (largest <= low), smallest, low), high


def _stretch(x: Tensor, transform: Power | PowerDist | Sinh | Log | Sqrt | Asinh) -> Tensor:
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
