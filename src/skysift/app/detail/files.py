"""Cutouts as FITS files with their own WCS, and as regions of DS9."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skysift.app.detail.place import Place
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.app.survey import Survey

MOST_FITS = 1000
MOST_BYTES = 128 << 20
"""What a zip of cutouts may hold."""

_EPOCH = (1980, 1, 1, 0, 0, 0)


def cutout_hdu(survey: Survey, row: int) -> Any:
    """Return a cutout as an image with header.

    Parameters
    ----------
    survey : Survey
        Where it is.
    row : int
        Which one.

    Returns
    -------
    astropy.io.fits.PrimaryHDU
        float32, NaN where there are no data. The WCS is the mosaic's with CRPIX shifted by the window's corner; BUNIT
        and beam are the mosaic's. Without positions there is no WCS.
    """
    from astropy.io import fits

    place = Place.of(survey, row)
    header = fits.Header()
    if place.info.wcs_header is not None:
        header = fits.Header.fromstring(place.info.wcs_header, sep="\n")
        header["CRPIX1"] = float(header.get("CRPIX1", 0.0)) - place.x0
        header["CRPIX2"] = float(header.get("CRPIX2", 0.0)) - place.y0
    info = place.info
    for card, value, comment in (
        ("BUNIT", info.bunit, "Unit of the pixels"),
        ("BMAJ", info.bmaj, "[deg] Beam, major axis"),
        ("BMIN", info.bmin, "[deg] Beam, minor axis"),
        ("BPA", info.bpa, "[deg] Beam, position angle"),
        ("FREQ", info.frequency, "[Hz] Frequency"),
        ("OBJECT", place.cutout_id, "Cutout"),
        ("MOSAIC", info.path.encode("ascii", "replace").decode()[:44] or None, "File that it is from"),
        ("MOSAICID", place.mosaic["mosaic"], "Fingerprint of that file"),
        ("XCORNER", place.x0, "[pix] First column in the mosaic, 0-based"),
        ("YCORNER", place.y0, "[pix] First row in the mosaic, 0-based"),
    ):
        if value is not None:
            header[card] = (value, comment)
    return fits.PrimaryHDU(np.asarray(survey.pixels.read([row])[0], np.float32), header)


def fits_bytes(survey: Survey, row: int) -> bytes:
    """Return a cutout as a FITS file; as `cutout_hdu`."""
    stream = io.BytesIO()
    cutout_hdu(survey, row).writeto(stream)
    return stream.getvalue()


def fits_zip(survey: Survey, rows: Sequence[int]) -> bytes:
    """Return cutouts as FITS files in one zip; equal requests give equal bytes.

    Raises
    ------
    RequestError
        If there are none, or more than `MOST_FITS` or `MOST_BYTES`.
    """
    windows = survey.catalogue.select(rows).windows if len(rows) else np.zeros((0, 4), np.int64)
    size = int((windows[:, 2] * windows[:, 3]).sum()) * 4
    if not len(rows):
        raise RequestError("No cutout is marked: mark some in the gallery first.")
    if len(rows) > MOST_FITS or size > MOST_BYTES:
        raise RequestError(
            f"{len(rows):,} cutouts ({size >> 20:,} MiB) are more than one zip holds, {MOST_FITS:,} or "
            f"{MOST_BYTES >> 20} MiB: mark fewer, or use `skysift pack`."
        )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for row in rows:
            name = zipfile.ZipInfo(f"{survey.ids[row]}.fits", _EPOCH)
            name.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(name, fits_bytes(survey, int(row)))
    return stream.getvalue()


def regions(survey: Survey, rows: Sequence[int]) -> str:
    """Return the outlines of cutouts as a DS9 region file: ICRS polygons, in decimal degrees.

    Raises
    ------
    RequestError
        If none of them has a position.
    """
    lines = ["# Region file format: DS9 version 4.1", "global color=cyan width=1", "icrs"]
    for row in rows:
        place = Place.of(survey, int(row))
        corners = place.corners if place.on_sky else None
        if corners is not None:
            points = ",".join(f"{a:.7f},{d:.7f}" for a, d in zip(*(c.tolist() for c in corners), strict=True))
            lines.append(f"polygon({points}) # text={{{place.cutout_id}}}")
    if len(lines) == 3:
        raise RequestError("There is no sky position, and so no region: these cutouts come from images without a WCS.")
    return "\n".join(lines) + "\n"
