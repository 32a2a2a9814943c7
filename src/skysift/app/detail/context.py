"""The surroundings of a cutout in its mosaic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skysift.app.detail.place import Place
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.app.survey import Survey

ZOOMS = (2, 4, 8)
MOST_PIXELS = 4096
"""Longest side that is read [pixel]."""


def surroundings(survey: Survey, place: Place, factor: int) -> NDArray[np.float32]:
    """Read a window `factor` times as wide and high, with the same centre.

    Parameters
    ----------
    survey : Survey
        Where the cutout is.
    place : Place
        The cutout.
    factor : int
        At least 1.

    Returns
    -------
    ndarray of float32, shape (h', w')
        NaN outside the mosaic. The sides are `factor` times those of the cutout.

    Raises
    ------
    RequestError
        If the cutout is all of its image, the mosaic is not there any more, or the window is too large.
    """
    from skysift.cutouts.mosaic_pixels import MosaicPixels

    if place.whole:
        raise RequestError("The cutout is the whole image: there is nothing around it.")
    width, height = place.width * factor, place.height * factor
    if max(width, height) > MOST_PIXELS:
        raise RequestError(f"{width} x {height} pixels are too many to show.")
    one = MosaicPixels.of(survey.catalogue.select([place.row]), survey.store.sources.locate)
    corner = (place.x0 - (width - place.width) // 2, place.y0 - (height - place.height) // 2)
    wide = MosaicPixels(np.array([[*corner, width, height]], np.int64), one.planes, one.mosaic_rows, one.mosaics)
    return np.asarray(wide.read([0])[0], np.float32)


def frame(place: Place, factor: int) -> tuple[float, float, float, float]:
    """Return left, top, width and height of the cutout in the picture of its surroundings, as shares of its sides."""
    width, height = place.width * factor, place.height * factor
    left = ((width - place.width) // 2) / width
    below = ((height - place.height) // 2) / height
    return left, 1 - below - 1 / factor, 1 / factor, 1 / factor
