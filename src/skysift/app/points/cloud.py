"""Points of a survey in a plane: where they are, how far they reach, and which is nearest."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skysift.app.points.inside import inside_box, inside_polygon

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
MARGIN = 0.04  # around the points in the first view, as a share of their extent
_NEIGHBOURS = 32  # how many of the nearest are looked at for one that is shown


class Cloud:
    """The places of a survey's rows in a plane.

    Parameters
    ----------
    points : ndarray, shape (N, 2)
        x and y of each row; NaN for a row that has no place.

    Examples
    --------
    >>> cloud = Cloud(np.array([[0.0, 0.0], [3.0, 4.0]]))
    >>> cloud.nearest(2.9, 4.0, within=1.0)
    1
    """

    def __init__(self, points: NDArray[Any]) -> None:
        self.x = np.ascontiguousarray(points[:, 0], np.float32)
        self.y = np.ascontiguousarray(points[:, 1], np.float32)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def placed(self) -> Mask:
        """Which rows have a place, shape (N,)."""
        placed: Mask = np.isfinite(self.x) & np.isfinite(self.y)
        return placed

    @cached_property
    def extent(self) -> tuple[float, float, float, float]:
        """x0, x1, y0, y1 of a box around all points, with a margin."""
        if not self.placed.any():
            return -1.0, 1.0, -1.0, 1.0
        x, y = self.x[self.placed], self.y[self.placed]
        x0, x1, y0, y1 = float(x.min()), float(x.max()), float(y.min()), float(y.max())
        margin = MARGIN * max(x1 - x0, y1 - y0) or 0.5
        return x0 - margin, x1 + margin, y0 - margin, y1 + margin

    @property
    def _tree(self) -> tuple[Any, Rows]:
        with self._lock:
            return self._built

    @cached_property
    def _built(self) -> tuple[Any, Rows]:
        from scipy.spatial import cKDTree

        rows = np.flatnonzero(self.placed)
        points = np.column_stack([self.x[rows], self.y[rows]])
        # millions of points: a tree that splits in the middle is built four times as fast and answers as fast
        return cKDTree(points, balanced_tree=False, compact_nodes=False), rows

    def prepare(self) -> None:
        """Build what `nearest` needs; about a second for two million points."""
        _ = self._tree

    def nearest(self, x: float, y: float, *, within: float, among: Mask | None = None) -> int:
        """Return the row nearest to a place, -1 if none is within a distance.

        Parameters
        ----------
        x, y, within : float
            In units of the plane.
        among : ndarray of bool, shape (N,), optional
            Rows that count.
        """
        tree, rows = self._tree
        if not len(rows) or not np.isfinite([x, y]).all():
            return -1
        count = 1 if among is None else min(_NEIGHBOURS, len(rows))
        distance, place = tree.query([x, y], k=[*range(1, count + 1)], distance_upper_bound=within)
        found = rows[place[np.isfinite(distance)]]
        if among is not None:
            found = found[among[found]]
        return int(found[0]) if len(found) else -1

    def inside(self, geometry: dict[str, Any]) -> Rows:
        """Return the rows inside a shape as Bokeh's selection tools report it: `poly` (x, y lists) or `rect`."""
        if geometry.get("type") == "rect":
            x0, x1, y0, y1 = (float(geometry[key]) for key in ("x0", "x1", "y0", "y1"))
            mask = inside_box(self.x, self.y, x0, x1, y0, y1)
        elif geometry.get("type") == "poly":
            mask = inside_polygon(self.x, self.y, np.asarray(geometry["x"], float), np.asarray(geometry["y"], float))
        else:
            return np.zeros(0, np.int64)
        return np.flatnonzero(mask)
