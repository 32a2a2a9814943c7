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


def resize(images: Tensor, valid: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Resize by antialiased bilinear interpolation, normalised by the weight of valid pixels.

    Parameters
    ----------
    images : Tensor
        (B, C, H, W), 0 where invalid.
    valid : Tensor
        (B, 1, H, W) bool.
    size : int
        Side of the result [pixel].

    Returns
    -------
    images : Tensor
        (B, C, S, S), 0 where invalid; the images themselves where they have this size.
    valid : Tensor
        (B, 1, S, S) bool: where valid pixels have at least half of the weight.
    """
    if images.shape[-2:] == (size, size):
        return images, valid
    made = interpolate(images, (size, size), mode="bilinear", antialias=True)
    if bool(valid.all()):
        return made, valid.new_ones(()).expand(*valid.shape[:2], size, size)
    weight = interpolate(valid.to(images.dtype), (size, size), mode="bilinear", antialias=True)
    kept = weight >= LEAST_WEIGHT
    return made.mul_(torch.where(kept, 1 / weight, 0.0)), kept


class Banded:
    """The same for one image after the other on the CPU, where torch works pixel by pixel.

    Here a few neighbouring columns, then rows, of the result are one small matrix product, which is several times as
    fast. The views that these need are made once, and the buffers stay in the processor's cache.

    Parameters
    ----------
    channels, height, width : int
        Of an image.
    size : int
        Side of the result [pixel].

    Attributes
    ----------
    source : array
        (C, H, W) float32: where to put an image, with 0 where invalid.
    """

    def __init__(self, channels: int, height: int, width: int, size: int) -> None:
        self.source = np.empty((channels, height, width), np.float32)
        self._same = (height, width) == (size, size)
        if self._same:
            return
        narrow = np.empty((channels, height, size), np.float32)
        flat, flat_narrow = self.source.reshape(-1, width), narrow.reshape(-1, size)
        self._across = [
            (flat[rows, band.source], np.ascontiguousarray(band.weights.T), flat_narrow[rows, band.target])
            for band in _bands(width, size)
            for rows in _parts(len(flat), band)
        ]
        bands = _bands(height, size)
        self._weights = np.concatenate([band.weights.ravel() for band in bands])
        self._scaled = np.empty((channels, len(self._weights)), np.float32)
        ends = np.cumsum([band.weights.size for band in bands])[:-1]
        self._down = [
            (scaled.reshape(channels, *band.weights.shape), narrow[:, band.source, columns], band.target, columns)
            for band, scaled in zip(bands, np.split(self._scaled, ends, axis=1), strict=True)
            for columns in _parts(size, band)
        ]

    def run(self, scale: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Resize `source` and scale each channel by a factor (C,), into an array (C, S, S)."""
        if self._same:
            np.multiply(self.source, scale[:, None, None], out=out)
            return
        for left, right, product in self._across:
            np.matmul(left, right, out=product)
        np.multiply(self._weights, scale[:, None], out=self._scaled)
        for weights, right, rows, columns in self._down:
            np.matmul(weights, right, out=out[:, rows, columns])


@dataclass(frozen=True)
class _Band:
    """Some neighbouring pixels of the result, the pixels that they are made of, and the weights of these."""

    target: slice
    source: slice
    weights: NDArray[np.float32]


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
        bands.append(_Band(target, source, np.ascontiguousarray(matrix[target, source])))
    return tuple(bands)


def _parts(length: int, band: _Band) -> list[slice]:
    """Cut so many rows (or columns) that a product with the band's weights takes one thread."""
    step = max(1, PRODUCT // band.weights.size)
    return [slice(start, start + step) for start in range(0, length, step)]
