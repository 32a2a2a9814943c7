"""The channels of a batch that differ: the range of pixels that each shows, and how it bends them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skysift.imaging.draws import uniforms
from skysift.imaging.options import (
    Asinh,
    Log,
    MinMax,
    OneOf,
    Power,
    Preprocess,
    SigmaClip,
    Sinh,
    Sqrt,
    Transform,
    ZScale,
)
from skysift.imaging.pixels import Pair, Pixels

TINY = np.finfo(np.float32).tiny
FAR_BELOW = torch.finfo(torch.float32).min / 2  # for invalid pixels: clamping makes it 0
LINEAR = (SigmaClip, ZScale, MinMax)
Floats = NDArray[np.float64]


class Planes:
    """What to show of images of one shape in P planes; channels that are alike share a plane.

    Parameters
    ----------
    spec : Preprocess
        What to do.
    pixels : Pixels
        What is known of B images.
    seeds : Tensor, optional
        (B,) int64, for `OneOf`.

    Attributes
    ----------
    number : int
        P.
    place : list of int
        The plane of each channel.
    bottom : array
        (B, P) float32, the pixel that becomes 0.
    span : array
        (B, P) float32, from there to the pixel that becomes 1.
    scale : array
        (B, P) float32, the factor that is left for the end: resizing and scaling may swap places, and after the resize
        there is less to scale. 0 for constant images.
    bent : list of int
        Which planes must be stretched before they are resized.
    """

    def __init__(self, spec: Preprocess, pixels: Pixels, seeds: Tensor | None) -> None:
        self._transforms, self.place = _distinct(spec)
        self.number = len(self._transforms)
        bottom, top = _ranges([transform for transform, _ in self._transforms], pixels)
        self.bottom, self.span = bottom.astype(np.float32), (top - bottom).astype(np.float32)
        self.bent = [n for n, (transform, _) in enumerate(self._transforms) if not isinstance(transform, LINEAR)]
        self._inverse = np.where(self.span > TINY, 1 / np.maximum(self.span, TINY), np.float32(0))
        self.scale = self._inverse.copy()
        self.scale[:, self.bent] = 1.0
        self._draws = None if seeds is None else uniforms(seeds, spec.channels)

    def bend(self, plane: int, rows: slice, pixels: Tensor) -> None:
        """Scale pixels (B, H, W) of a plane from [0, span] to [0, 1] and stretch them in place."""
        transform, index = self._transforms[plane]
        pixels.mul_(torch.from_numpy(self._inverse[rows, plane]).to(pixels.device)[:, None, None])
        if not isinstance(transform, OneOf):
            pixels.copy_(_stretch(pixels, transform))
            return
        draw = torch.zeros(len(pixels)) if self._draws is None else self._draws[rows, index]
        choices = (draw.to(pixels.device) * len(transform.choices)).long()
        for number, choice in enumerate(transform.choices):
            chosen = choices == number
            pixels[chosen] = _stretch(pixels[chosen], choice)


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


def _ranges(transforms: Sequence[Transform], pixels: Pixels) -> Pair:
    """Return the pixels that become 0 and 1 for each of P transforms, (B, P) float64."""
    limits = [_limits(transform, pixels) for transform in transforms]
    smallest, largest = (limit[:, None] for limit in pixels.extent)
    low, high = (np.stack(limit, axis=1) for limit in zip(*limits, strict=True))
    low, high = _apart(low, high, smallest, largest)
    return np.minimum(np.maximum(smallest, low), high), np.maximum(np.minimum(largest, high), low)


def _limits(transform: Transform, pixels: Pixels) -> Pair:
    """Return what a transform clamps to, (B,) float64."""
    if isinstance(transform, SigmaClip):
        return pixels.clipped[transform]
    return pixels.zscale.limits(transform.contrast) if isinstance(transform, ZScale) else pixels.extent


def _apart(low: Floats, high: Floats, smallest: Floats, largest: Floats) -> Pair:
    """Open limits that fell together, as they do on images of mostly one value (display stretches, blanked maps).

    They then run from that value to the image's largest one, or from the smallest where nothing lies above.
    """
    together = high <= low
    high = np.where(together, largest, high)
    return np.where(together & (largest <= low), smallest, low), high


def _stretch(x: Tensor, transform: Transform) -> Tensor:
    """Bend values in [0, 1]; as astropy's stretches of the same names."""
    match transform:
        case Power():
            return x.pow(transform.power)
        case Sinh():
            return torch.sinh(x / transform.a) / np.sinh(1 / transform.a)
        case Log():
            return torch.log1p(transform.a * x) / np.log1p(transform.a)
        case Sqrt():
            return x.sqrt()
        case Asinh():
            return torch.asinh(x / transform.a) / np.arcsinh(1 / transform.a)
        case _:
            return x
