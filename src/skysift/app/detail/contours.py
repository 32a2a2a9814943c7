"""Contours of a cutout at multiples of its noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skysift.errors import RequestError

LEVELS = (3.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
MOST_LEVELS = 12
MOST_POINTS = 60_000
"""Points of all lines together; what is more is left out, the lowest level first."""


def contours(image: NDArray[np.float32], levels: list[float]) -> list[tuple[float, list[NDArray[np.float64]]]]:
    """Follow the lines of equal brightness.

    Parameters
    ----------
    image : ndarray, shape (h, w)
        Pixels; NaN = no data, where no line goes.
    levels : list of float
        In rms above the median, rms = 1.4826 MAD.

    Returns
    -------
    list of (float, list of ndarray)
        Level, and the points (n, 2) of each of its lines as x, y [pixel], 0-based at the first pixel's centre.
    """
    from contourpy import contour_generator

    values = image[np.isfinite(image)].astype(np.float64)
    if not levels or values.size == 0 or min(image.shape) < 2:
        return []
    median = float(np.median(values))
    rms = 1.4826 * float(np.median(np.abs(values - median)))
    if not rms > 0:
        return []
    generator = contour_generator(z=np.ma.masked_invalid(image.astype(np.float64)), name="serial")
    found: list[tuple[float, list[NDArray[np.float64]]]] = []
    points = 0
    for level in sorted(levels, reverse=True):
        lines = [np.asarray(line) for line in generator.lines(median + level * rms)]
        points += sum(len(line) for line in lines)
        if points > MOST_POINTS:
            break
        found.append((level, lines))
    return found[::-1]


def levels_of(text: str) -> list[float]:
    """Read levels as `3 5 10`, in rms.

    Raises
    ------
    RequestError
        If one is no number, or there are too many.
    """
    words = text.replace(",", " ").replace(";", " ").split()
    try:
        levels = sorted({float(word) for word in words})
    except ValueError:
        raise RequestError(f"{text[:40]!r} are no contour levels: write numbers such as 3 5 10 20.") from None
    if not levels or len(levels) > MOST_LEVELS or not np.isfinite(levels).all():
        raise RequestError(f"Give 1 to {MOST_LEVELS} contour levels, such as 3 5 10 20.")
    return levels
