"""Resizing images with invalid pixels: these weigh nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

LEAST_WEIGHT = 0.5
BAND = 16
PRODUCT = 1 << 18
"""Multiplications of a matrix product that OpenBLAS makes in one thread: the number of threads changes nothing."""


def resize(
    images: Tensor, valid: Tensor, size: int, *, whole: bool | None = None, out: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Resize by antialiased bilinear interpolation, normalised by the weight of valid pixels.

    Parameters
    ----------
    images : Tensor
        (B, C, H, W), 0 where invalid.
    valid : Tensor
        (B, 1, H, W) bool.
    size : int
        Side of the result [pixel].
    whole : bool, optional
        Whether all pixels are valid; found out where not said.
    out : Tensor, optional
        (B, C, S, S), contiguous: where to put the images.

    Returns
    -------
    images : Tensor
        (B, C, S, S), 0 where invalid.
    valid : Tensor
        (B, 1, S, S) bool: where valid pixels have at least half of the weight.
    """
    if out is None:
        out = images.new_empty((*images.shape[:2], size, size))
    if images.shape[-2:] == (size, size):
        return out.copy_(images), valid
    interpolated(images, out)
    if bool(valid.all()) if whole is None else whole:
        return out, valid.new_ones(()).expand(*valid.shape[:2], size, size)
    weight = interpolated(valid.to(images.dtype), images.new_empty((len(images), 1, size, size)))
    kept = weight >= LEAST_WEIGHT
    return out.mul_(torch.where(kept, 1 / weight, 0.0)), kept


def interpolated(images: Tensor, out: Tensor) -> Tensor:
    """Resize (B, C, H, W) into (B, C, S, S) as torch's `interpolate(mode="bilinear", antialias=True)` does.

    On CPU torch works pixel by pixel. Here a few neighbouring rows or columns of the result are one small matrix
    product, which is several times as fast.
    """
    size = out.shape[-1]
    if images.device.type != "cpu" or images.dtype != torch.float32:
        return out.copy_(interpolate(images, (size, size), mode="bilinear", antialias=True))
    channels, height, width = images.shape[1:]
    short = np.empty((channels, size, width), np.float32)
    for source, target in zip(images.numpy(), out.numpy(), strict=True):
        for band in _bands(height, size):
            for columns in _parts(width, band):
                np.matmul(band.weights, source[:, band.source, columns], out=short[:, band.target, columns])
        flat, flat_target = short.reshape(-1, width), target.reshape(-1, size)
        for band in _bands(width, size):
            for rows in _parts(len(flat), band):
                np.matmul(flat[rows, band.source], band.transposed, out=flat_target[rows, band.target])
    return out


@dataclass(frozen=True)
class _Band:
    """Some neighbouring pixels of the result, the pixels that they are made of, and the weights of these."""

    target: slice
    source: slice
    weights: NDArray[np.float32]
    transposed: NDArray[np.float32]


@lru_cache(maxsize=64)
def _bands(length: int, size: int) -> tuple[_Band, ...]:
    """Cut torch's own weights, found by resizing the unit matrix, into bands."""
    unit = torch.eye(length)[None, None]
    matrix = interpolate(unit, (size, length), mode="bilinear", antialias=True)[0, 0].numpy()
    bands = []
    for start in range(0, size, BAND):
        target = slice(start, min(start + BAND, size))
        used = np.flatnonzero(matrix[target].any(axis=0))
        source = slice(int(used[0]), int(used[-1]) + 1)
        weights = np.ascontiguousarray(matrix[target, source])
        bands.append(_Band(target, source, weights, np.ascontiguousarray(weights.T)))
    return tuple(bands)


def _parts(length: int, band: _Band) -> list[slice]:
    """Cut so many rows (or columns) that a product with the band's weights takes one thread."""
    step = max(1, PRODUCT // band.weights.size)
    return [slice(start, start + step) for start in range(0, length, step)]
