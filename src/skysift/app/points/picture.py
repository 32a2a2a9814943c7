"""The picture of a cloud of points: those that are shown in colour, the others faint beneath them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skysift.app.points.cloud import Cloud, Mask
from skysift.app.points.colouring import GREY, Bytes, Colouring
from skysift.app.points.raster import View, radius_for, rasterise, spread

FAINT = (90, 150)  # opacity of a single point that is not shown, and of many


@dataclass(frozen=True)
class Picture:
    """Pixels of a view.

    Attributes
    ----------
    view : View
        What they show.
    rgba : ndarray of uint8, shape (height, width, 4)
        The first row is the lowest; not premultiplied.
    limits : tuple of float
        Values of the first and the last colour.
    points, shown : int
        How many points are in the view, and how many of them are in colour.
    """

    view: View
    rgba: Bytes
    limits: tuple[float, float]
    points: int
    shown: int


def paint(cloud: Cloud, view: View, colouring: Colouring, shown: Mask | None = None) -> Picture:
    """Draw the points of a view.

    Parameters
    ----------
    cloud : Cloud
        Where the points are.
    view : View
        What is drawn.
    colouring : Colouring
        In which colours.
    shown : ndarray of bool, shape (N,), optional
        Rows that pass selection and filters; all by default. The others, and those without a value, are grey.
    """
    here = np.flatnonzero(view.covers(cloud.x, cloud.y))
    front = here if shown is None else here[shown[here]]
    valued = colouring.valued(front)
    front = front[valued]
    back = here
    if len(front) < len(here):
        kept = np.zeros(len(cloud), bool)
        kept[front] = True
        back = here[~kept[here]]
    else:
        back = here[:0]
    radius = radius_for(len(front), view)
    counts, sums = rasterise(cloud.x[front], cloud.y[front], view, colouring.channels(front))
    rgba, limits = colouring.shade(spread(counts, radius), spread(sums, radius))
    if len(back):
        faint, _ = rasterise(cloud.x[back], cloud.y[back], view)
        rgba = over(rgba, _grey(spread(faint, min(radius_for(len(back), view), 2))))
    return Picture(view, rgba, limits, len(here), len(front))


def over(front: Bytes, back: Bytes) -> Bytes:
    """Lay one picture over another; RGBA, not premultiplied."""
    a, b = (picture[..., 3:].astype(np.float32) / 255 for picture in (front, back))
    alpha = a + b * (1 - a)
    with np.errstate(invalid="ignore", divide="ignore"):
        colour = (front[..., :3] * a + back[..., :3] * b * (1 - a)) / alpha
    return np.concatenate([np.rint(np.nan_to_num(colour)), np.rint(alpha * 255)], axis=-1).astype(np.uint8)


def _grey(counts: NDArray[np.float32]) -> Bytes:
    rgba = np.zeros((*counts.shape, 4), np.uint8)
    filled = counts > 0
    rgba[filled, :3] = GREY
    level = np.log1p(counts[filled]) / np.log1p(max(float(counts.max(initial=0)), 8.0))
    rgba[filled, 3] = np.rint(FAINT[0] + (FAINT[1] - FAINT[0]) * level).astype(np.uint8)
    return rgba
