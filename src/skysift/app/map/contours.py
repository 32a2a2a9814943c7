"""Contours of the density of points."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from skysift.app.points.cloud import Cloud, Mask
from skysift.app.points.raster import View, rasterise

Line = NDArray[np.float64]

CELLS = 240  # along the longer side
SMOOTHING = 3.0  # standard deviation of the kernel [cell]
SHARES = (0.9, 0.7, 0.5, 0.3, 0.1)
"""Shares of the points that the contours enclose, from the outermost."""


def density_contours(
    cloud: Cloud, shown: Mask | None = None, *, shares: tuple[float, ...] = SHARES
) -> list[tuple[float, list[Line]]]:
    """Draw lines of equal density that enclose given shares of the points.

    Parameters
    ----------
    cloud : Cloud
        The points.
    shown : ndarray of bool, shape (N,), optional
        Those that count.
    shares : tuple of float
        In ]0, 1[.

    Returns
    -------
    list of (float, list of ndarray of shape (m, 2))
        Share, and lines of x and y; none where there are no points.
    """
    from contourpy import contour_generator
    from scipy.ndimage import gaussian_filter

    rows = cloud.placed if shown is None else cloud.placed & shown
    if not rows.any():
        return []
    x0, x1, y0, y1 = Cloud(np.column_stack([cloud.x[rows], cloud.y[rows]])).extent
    margin = 4 * SMOOTHING / CELLS * max(x1 - x0, y1 - y0)  # contours close before the edge
    x0, x1, y0, y1 = x0 - margin, x1 + margin, y0 - margin, y1 + margin
    cell = max(x1 - x0, y1 - y0) / CELLS
    view = View.around(x0, x1, y0, y1, int(np.ceil((x1 - x0) / cell)), int(np.ceil((y1 - y0) / cell)))
    counts, _ = rasterise(cloud.x[rows], cloud.y[rows], view)
    density = gaussian_filter(counts.astype(np.float64), SMOOTHING)
    ordered = np.sort(density.ravel())[::-1]
    enclosed = np.cumsum(ordered) / ordered.sum()
    x = view.x0 + (np.arange(view.width) + 0.5) * (view.x1 - view.x0) / view.width
    y = view.y0 + (np.arange(view.height) + 0.5) * (view.y1 - view.y0) / view.height
    generator = contour_generator(x, y, density, line_type="Separate")
    found = []
    for share in shares:
        lines = cast(list[Line], generator.lines(float(ordered[np.searchsorted(enclosed, share)])))
        found.append((share, lines))
    return found
