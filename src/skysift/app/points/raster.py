"""Points to pixels: counts and sums, and spreading where there are few points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

COVERED = 0.08  # share of the pixels that spread points may cover
LARGEST_RADIUS = 4  # [pixel]


@dataclass(frozen=True)
class View:
    """What part of the plane is shown, on how many pixels.

    Attributes
    ----------
    x0, x1, y0, y1 : float
        Edges, in units of the plane.
    width, height : int
        [pixel].
    """

    x0: float
    x1: float
    y0: float
    y1: float
    width: int
    height: int

    @property
    def pixel(self) -> float:
        """Side of a pixel along x, in units of the plane."""
        return (self.x1 - self.x0) / self.width

    def covers(self, x: Float, y: Float) -> NDArray[np.bool_]:
        """Return which points lie in the view."""
        covered: NDArray[np.bool_] = (x >= self.x0) & (x <= self.x1) & (y >= self.y0) & (y <= self.y1)
        return covered

    @classmethod
    def around(cls, x0: float, x1: float, y0: float, y1: float, width: int, height: int) -> View:
        """Return the smallest view with square pixels that holds a box."""
        pixel = max((x1 - x0) / width, (y1 - y0) / height) or 1.0
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        return cls(
            x - pixel * width / 2, x + pixel * width / 2, y - pixel * height / 2, y + pixel * height / 2, width, height
        )


def rasterise(x: Float, y: Float, view: View, values: Float | None = None) -> tuple[Float, Float]:
    """Count points, and sum their values, in the pixels of a view.

    Parameters
    ----------
    x, y : ndarray of float32, shape (n,)
        Points; NaN ones are nowhere.
    view : View
        Which pixels.
    values : ndarray of float32, shape (k, n), optional
        What is summed; finite.

    Returns
    -------
    counts : ndarray of float32, shape (height, width)
        The first row is the lowest.
    sums : ndarray of float32, shape (k, height, width)
        Of the values, 0 where no point is.
    """
    inside = view.covers(x, y)
    column = ((x[inside] - view.x0) * (view.width / (view.x1 - view.x0))).astype(np.int64)
    row = ((y[inside] - view.y0) * (view.height / (view.y1 - view.y0))).astype(np.int64)
    cell = np.minimum(row, view.height - 1) * view.width + np.minimum(column, view.width - 1)
    shape, cells = (view.height, view.width), view.height * view.width
    counts = np.bincount(cell, minlength=cells).reshape(shape).astype(np.float32)
    given = np.zeros((0, len(x)), np.float32) if values is None else values
    sums = np.zeros((len(given), *shape), np.float32)
    for i, value in enumerate(given):
        sums[i] = np.bincount(cell, weights=value[inside], minlength=cells).reshape(shape)
    return counts, sums


def radius_for(points: int, view: View) -> int:
    """Return how far points are spread [pixel], so that a few are seen as dots and many don't hide each other."""
    if not points:
        return 0
    radius = np.sqrt(COVERED * view.width * view.height / (np.pi * points))
    return int(np.clip(np.rint(radius), 0, LARGEST_RADIUS))


def spread(planes: Float, radius: int) -> Float:
    """Add to each pixel the pixels within a radius of it.

    Parameters
    ----------
    planes : ndarray of float32, shape (..., height, width)
        Counts or sums.
    radius : int
        [pixel]; 0 changes nothing.

    Returns
    -------
    ndarray of float32
        A disc in place of every point; what reaches over the edge is lost.
    """
    if radius <= 0:
        return planes
    height, width = planes.shape[-2:]
    out = np.zeros_like(planes)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if dx * dx + dy * dy <= (radius + 0.35) ** 2 and abs(dy) < height and abs(dx) < width:
                to_y, from_y = _overlap(dy, height)
                to_x, from_x = _overlap(dx, width)
                out[..., to_y, to_x] += planes[..., from_y, from_x]
    return out


def _overlap(shift: int, length: int) -> tuple[slice, slice]:
    """Return the part of an axis that a shifted axis lands on, and the part that lands there."""
    if shift >= 0:
        return slice(shift, length), slice(0, length - shift)
    return slice(0, length + shift), slice(-shift, length)
