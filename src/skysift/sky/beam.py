"""The synthesised beam, from header keywords or from what AIPS wrote into HISTORY."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astropy.io.fits import HDUList, Header

    from skysift.sky.axes import Axes

# integral of a Gaussian of unit FWHM over the plane: pi / (4 ln 2) = 1.1331
GAUSSIAN_AREA = math.pi / (4 * math.log(2))

_NUMBER = r"\s*=?\s*([-+]?[\d.]+(?:[EeDd][-+]?\d+)?)"
_AIPS = re.compile(rf"CLEAN\s+BMAJ{_NUMBER}\s+BMIN{_NUMBER}(?:\s+BPA{_NUMBER})?")


def beam_area_pixels(bmaj: float | None, bmin: float | None, pixel_scale: float | None) -> float | None:
    """Solid angle of an elliptical Gaussian beam in pixels, pi/(4 ln 2) BMAJ BMIN / pixel area.

    Parameters
    ----------
    bmaj, bmin : float or None
        Full widths at half maximum [deg].
    pixel_scale : float or None
        Side of a pixel [arcsec].

    Returns
    -------
    float or None
        Area [pixel]; None where one of the three is unknown.
    """
    if bmaj is None or bmin is None or pixel_scale is None:
        return None
    return GAUSSIAN_AREA * bmaj * bmin / (pixel_scale / 3600.0) ** 2


def read_beam(header: Header) -> tuple[float | None, float | None, float | None]:
    """Beam of an image header.

    `BMAJ BMIN BPA` first; without them the last `CLEAN BMAJ= BMIN= BPA=` of HISTORY, where AIPS keeps it.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Header of the image.

    Returns
    -------
    tuple of (float or None)
        BMAJ, BMIN, BPA [deg]; BMIN equals BMAJ where only that is given, and all are None where none is.
    """
    bmaj, bmin, bpa = (finite(header.get(key)) for key in ("BMAJ", "BMIN", "BPA"))
    if (bmaj is None or bmaj <= 0) and "HISTORY" in header:
        found = _AIPS.findall("\n".join(str(line) for line in header["HISTORY"]))
        if found:
            bmaj, bmin, bpa = (finite(text.replace("D", "E").replace("d", "e")) for text in found[-1])
    if bmaj is None or bmaj <= 0:
        return None, None, None
    if bmin is None or bmin <= 0:
        bmin = bmaj
    return bmaj, bmin, bpa


def read_beam_table(hdus: HDUList, axes: Axes, plane: int) -> tuple[float | None, float | None, float | None]:
    """Beam of a plane from the BEAMS table that CASA writes where every channel has its own."""
    if "BEAMS" not in hdus:
        return None, None, None
    table = hdus["BEAMS"]
    position = dict(zip(axes.names, axes.position(plane), strict=True))
    row = (table.data["CHAN"] == position.get("FREQ", 0)) & (table.data["POL"] == position.get("STOKES", 0))
    if not row.any():
        return None, None, None
    factor = {"BMAJ": 1 / 3600, "BMIN": 1 / 3600, "BPA": 1.0}  # arcsec unless the column says deg
    for key in ("BMAJ", "BMIN"):
        if str(table.columns[key].unit or "").strip().lower().startswith("deg"):
            factor[key] = 1.0
    bmaj, bmin, bpa = (finite(table.data[key][row][0]) for key in factor)
    if bmaj is None or bmin is None or bmaj <= 0:
        return None, None, None
    return bmaj * factor["BMAJ"], bmin * factor["BMIN"], bpa


def finite(value: object) -> float | None:
    """The number in a header card, or None where it is absent, not a number or not finite."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
