"""Which of many points lie in a polygon drawn by hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

CELLS = 256  # of the grid over the polygon, along each axis
FEW = 20_000  # points that are tested one by one at once


def inside_polygon(x: Array, y: Array, polygon_x: Array, polygon_y: Array) -> Mask:
    """Tell which points lie inside a polygon, as matplotlib does (even-odd rule for polygons that cross themselves).

    Cells of a grid that no edge comes near lie wholly inside or outside, and so do their points; only the others are
    tested one by one.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Points; NaN ones lie outside.
    polygon_x, polygon_y : ndarray, shape (m,)
        Vertices; the last is joined with the first. Fewer than three hold nothing.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    from matplotlib.path import Path

    corners = np.column_stack([polygon_x, polygon_y]).astype(np.float64)
    corners = corners[np.isfinite(corners).all(axis=1)]
    inside = np.zeros(len(x), bool)
    if len(corners) < 3:
        return inside
    path = Path(np.vstack([corners, corners[:1]]), closed=True)
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    near = np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))
    if len(near) <= FEW or x1 == x0 or y1 == y0:
        inside[near] = path.contains_points(np.column_stack([x[near], y[near]]))
        return inside
    sides = np.array([x1 - x0, y1 - y0]) / CELLS
    column, row = (
        np.minimum((values[near] - low) / side, CELLS - 1).astype(np.intp)
        for values, low, side in ((x, x0, sides[0]), (y, y0, sides[1]))
    )
    edge = _cells_near_edges((corners - [x0, y0]) / sides)
    centres = np.arange(CELLS) + 0.5
    grid_x, grid_y = np.meshgrid(x0 + centres * sides[0], y0 + centres * sides[1])
    whole = path.contains_points(np.column_stack([grid_x.ravel(), grid_y.ravel()])).reshape(CELLS, CELLS)
    inside[near] = whole[row, column]
    doubtful = near[edge[row, column]]
    inside[doubtful] = path.contains_points(np.column_stack([x[doubtful], y[doubtful]]))
    return inside


def _cells_near_edges(corners: NDArray[np.float64]) -> Mask:
    """Return which cells an edge of a polygon (in units of cells) crosses or comes near, shape (CELLS, CELLS)."""
    marked = np.zeros((CELLS + 2, CELLS + 2), bool)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        steps = int(np.ceil(2 * np.abs(end - start).max())) + 1
        places = start + np.linspace(0, 1, steps + 1)[:, None] * (end - start)
        column, row = np.clip(places, 0, CELLS - 1).astype(np.intp).T
        for dy in (0, 1, 2):  # a cell on every side: steps of half a cell then miss none
            for dx in (0, 1, 2):
                marked[row + dy, column + dx] = True
    return marked[1:-1, 1:-1]


def inside_box(x: Array, y: Array, x0: float, x1: float, y0: float, y1: float) -> Mask:
    """Tell which points lie in a box; its corners may be given in either order."""
    inside: Mask = (x >= min(x0, x1)) & (x <= max(x0, x1)) & (y >= min(y0, y1)) & (y <= max(y0, y1))
    return inside
