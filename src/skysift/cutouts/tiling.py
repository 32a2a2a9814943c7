"""Statistics of all windows of a grid, from a strip of the mosaic that is read once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from skysift.cutouts.statistics import Statistics, measure_blocks, measure_images

__all__ = ["measure_grid"]

Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)

_TILE_PIXELS = 5 << 18
_MOST_PARTS = 4


@dataclass(frozen=True)
class _Lattice:
    """Windows along one axis that begin at multiples of `block` pixels from the first, and those that don't."""

    starts: IntArray
    regular: int
    step: int

    @classmethod
    def of(cls, starts: IntArray) -> _Lattice:
        if len(starts) < 2:
            return cls(starts, len(starts), 0)
        step = int(starts[1] - starts[0])
        regular = len(starts) if (np.diff(starts) == step).all() else len(starts) - 1
        return cls(starts, regular, step)


def measure_grid(
    strip: Float32Array, xs: IntArray, ys: IntArray, size: int, mask: BoolArray | None = None
) -> Statistics:
    """Measure the square windows that begin at every pair of `xs` and `ys`.

    Parameters
    ----------
    strip : ndarray, shape (H, W), float32
        Pixels; not finite where there are no data.
    xs, ys : ndarray, shape (A,) and (B,), int
        First columns and rows of the windows, ascending, equally spaced but for the last of each.
    size : int
        Side of the windows [pixel].
    mask : ndarray, shape (H, W), bool, optional
        Mask of the same pixels.

    Returns
    -------
    Statistics
        Of the B x A windows, rows first.
    """
    across, down = _Lattice.of(xs), _Lattice.of(ys)
    names = ["valid_fraction", "median", "rms", "peak", "snr"] + ([] if mask is None else ["mask_fraction"])
    columns = {name: np.empty(len(xs) * len(ys), np.float32) for name in names}
    index = np.arange(len(xs) * len(ys)).reshape(len(ys), len(xs))
    block = gcd(size, gcd(across.step, down.step))
    rows, cols = down.regular, across.regular
    if size // block > _MOST_PARTS:
        rows = cols = 0  # blocks would be too small: measure each window by itself
    for tile in _tiles(rows, cols, size, max(across.step, down.step)):
        place = index[tile[0], tile[1]]
        found = _measure_tile(strip, across, down, tile, size, block, mask)
        found.put_into(columns, place.ravel())
    rest = np.concatenate([index[rows:, :].ravel(), index[:rows, cols:].ravel()])
    batch = max(1, _TILE_PIXELS // size**2)
    for start in range(0, len(rest), batch):
        chosen = rest[start : start + batch]
        corners = [(int(ys[i // len(xs)]), int(xs[i % len(xs)])) for i in chosen]
        images = np.stack([strip[y : y + size, x : x + size] for y, x in corners])
        masks = None if mask is None else np.stack([mask[y : y + size, x : x + size] for y, x in corners])
        measure_images(images, masks).put_into(columns, chosen)
    return Statistics(**columns)


def _tiles(rows: int, cols: int, size: int, step: int) -> Iterator[tuple[slice, slice]]:
    """Cut a grid of windows into parts whose pixels stay in the processor's cache."""
    side = max(1, (int(_TILE_PIXELS**0.5) - size) // max(step, 1) + 1)
    for row in _evenly(rows, side):
        for col in _evenly(cols, side):
            yield row, col


def _evenly(count: int, most: int) -> Iterator[slice]:
    """Cut `count` things into equal parts of at most `most`."""
    parts = -(-count // most)
    for part in range(parts):
        yield slice(count * part // parts, count * (part + 1) // parts)


def _measure_tile(
    strip: Float32Array,
    across: _Lattice,
    down: _Lattice,
    tile: tuple[slice, slice],
    size: int,
    block: int,
    mask: BoolArray | None,
) -> Statistics:
    top, left = int(down.starts[tile[0].start]), int(across.starts[tile[1].start])
    bottom, right = int(down.starts[tile[0].stop - 1]) + size, int(across.starts[tile[1].stop - 1]) + size
    width = (right - left) // block
    offset = np.arange(size // block)
    by = (down.starts[tile[0]] - top) // block
    bx = (across.starts[tile[1]] - left) // block
    corner = by[:, None] * width + bx
    members = corner[..., None, None] + offset[:, None] * width + offset
    return measure_blocks(
        _blocks(strip[top:bottom, left:right], block),
        members.reshape(corner.size, offset.size**2),
        None if mask is None else _blocks(mask[top:bottom, left:right], block),
    )


def _blocks(pixels: NDArray[Scalar], side: int) -> NDArray[Scalar]:
    """Cut an array into blocks of side x side, shape (K, side * side)."""
    ny, nx = pixels.shape[0] // side, pixels.shape[1] // side
    return pixels.reshape(ny, side, nx, side).swapaxes(1, 2).reshape(ny * nx, side * side)
