"""From pixels to ICRS and back, HEALPix, and telling a usable WCS from a useless one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skysift.sky.quiet import quiet

if TYPE_CHECKING:
    from astropy.io.fits import Header
    from astropy.wcs import WCS

    from skysift.sky.info import MosaicInfo

Float = npt.NDArray[np.float64]

HEALPIX_ORDER = 29


def celestial_wcs(header: Header, shape: tuple[int, int]) -> tuple[str | None, float | None, str]:
    """The celestial WCS of an image, longitude first.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the image, with all its axes.
    shape : tuple of int
        (ny, nx) [pixel].

    Returns
    -------
    text : str or None
        Header cards of the two-axis WCS, one a line; None where it is unusable.
    pixel_scale : float or None
        Side of a pixel at the reference point [arcsec].
    reason : str
        Why it is unusable; empty where it is not.
    """
    from astropy.wcs import WCS as AstropyWCS
    from astropy.wcs import WCSSUB_LATITUDE, WCSSUB_LONGITUDE
    from astropy.wcs.utils import proj_plane_pixel_area, wcs_to_celestial_frame

    with quiet():
        try:
            full = AstropyWCS(without_commentary(header))
            if not full.has_celestial:
                return None, None, "it has no celestial WCS"
            wcs = full.sub([WCSSUB_LONGITUDE, WCSSUB_LATITUDE])
            wcs.wcs.set()
            matrix = np.asarray(wcs.pixel_scale_matrix)
            if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-20 or _all_zero(_matrix(header)):
                return None, None, _singular(header)
            scale = float(np.sqrt(proj_plane_pixel_area(wcs)) * 3600)
            wcs_to_celestial_frame(wcs)
            text = wcs.to_header(relax=True).tostring(sep="\n", endcard=False, padding=False).strip()
            centre = np.asarray(wcs.pixel_to_world_values((shape[1] - 1) / 2, (shape[0] - 1) / 2), dtype=float)
        except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError) as error:
            # astropy's WcsError family derives from ValueError; after a place in the C code comes what is wrong
            said = (str(error).strip().splitlines() or ["unknown"])[-1].rstrip(".")
            return None, None, _singular(header) if "singular" in said.lower() else f"its WCS is invalid ({said})"
    if not np.isfinite(centre).all():
        return None, scale, "its centre falls off the sky"
    return text, scale, ""


def _singular(header: Header) -> str:
    """Say which matrix is singular, and by which cards."""
    matrix = _matrix(header)
    steps = {card: header[card] for card in (f"CDELT{axis}" for axis in range(1, 5)) if card in header}
    if _all_zero(matrix):
        cause = f"{', '.join(matrix)} are all 0"
    elif not matrix and 0 in steps.values():
        cause = " and ".join(f"{card} = 0" for card, step in steps.items() if step == 0)
    else:
        cause = "it gives different pixels the same position"
    return f"its WCS matrix from pixels to degrees (CD, or CDELT and PC) is singular: {cause}"


def _matrix(header: Header) -> dict[str, Any]:
    """Return the cards CDi_j that there are."""
    cards = (f"CD{i}_{j}" for i in range(1, 5) for j in range(1, 5))
    return {card: header[card] for card in cards if card in header}


def _all_zero(matrix: Mapping[str, Any]) -> bool:
    """Tell whether all cards CDi_j are 0; wcslib then takes pixels of a degree."""
    return bool(matrix) and not any(matrix.values())


def without_commentary(header: Header) -> Header:
    """A copy of the cards that hold a value that can be read; thousands of HISTORY lines slow every WCS."""
    from astropy.io import fits

    clean = fits.Header()
    for card in header.cards:
        if card.keyword in ("", "HISTORY", "COMMENT", "CONTINUE"):
            continue
        try:
            clean[card.keyword] = card.value
        except (ValueError, fits.VerifyError):  # tabs, bytes outside ASCII: nothing of the WCS
            continue
    return clean


def pixel_to_icrs(info: MosaicInfo, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Float, Float]:
    """Right ascension and declination of pixels.

    Parameters
    ----------
    info : MosaicInfo
        Whose WCS is used; frames other than ICRS (FK4, FK5, Galactic) are converted.
    x, y : array_like of float
        Pixels, 0-based: the first pixel's centre is (0, 0).

    Returns
    -------
    ra, dec : ndarray of float64
        ICRS [deg]; NaN off the sky and everywhere without a usable WCS.
    """
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    wcs = info.wcs
    if wcs is None or x.size == 0:
        return np.full(x.shape, np.nan), np.full(x.shape, np.nan)
    lon, lat = (np.asarray(v, np.float64) for v in wcs.pixel_to_world_values(x, y))
    return _change_frame(wcs, lon, lat, to_icrs=True)


def icrs_to_pixel(info: MosaicInfo, ra: npt.ArrayLike, dec: npt.ArrayLike) -> tuple[Float, Float]:
    """Pixels of positions on the sky.

    Parameters
    ----------
    info : MosaicInfo
        Whose WCS is used.
    ra, dec : array_like of float
        ICRS [deg].

    Returns
    -------
    x, y : ndarray of float64
        0-based; NaN where the projection has no such point (also the far side of the sky) and everywhere without a
        usable WCS.
    """
    ra, dec = np.broadcast_arrays(np.asarray(ra, np.float64), np.asarray(dec, np.float64))
    wcs = info.wcs
    if wcs is None or ra.size == 0:
        return np.full(ra.shape, np.nan), np.full(ra.shape, np.nan)
    good = np.isfinite(ra) & np.isfinite(dec)
    lon, lat = _change_frame(wcs, np.where(good, ra, 0.0), np.where(good, dec, 0.0), to_icrs=False)
    x, y = (np.array(v, np.float64, ndmin=lon.ndim) for v in wcs.world_to_pixel_values(lon, lat))
    x, y = _nearest_turn(wcs, info, x, y)
    bad = ~(good & _round_trips(wcs, x, y, lon, lat))
    x[bad] = y[bad] = np.nan
    return x, y


def _change_frame(wcs: WCS, lon: Float, lat: Float, *, to_icrs: bool) -> tuple[Float, Float]:
    from astropy.coordinates import ICRS, SkyCoord
    from astropy.wcs.utils import wcs_to_celestial_frame

    with quiet():
        frame = wcs_to_celestial_frame(wcs)
        if isinstance(frame, ICRS):
            return (lon % 360.0 if to_icrs else lon), lat
        good = np.isfinite(lon) & np.isfinite(lat)
        old, new = (frame, ICRS()) if to_icrs else (ICRS(), frame)
        point = SkyCoord(np.where(good, lon, 0.0), np.where(good, lat, 0.0), unit="deg", frame=old).transform_to(new)
        sky = point.spherical
    return np.where(good, sky.lon.deg % 360.0, np.nan), np.where(good, sky.lat.deg, np.nan)


def _nearest_turn(wcs: WCS, info: MosaicInfo, x: Float, y: Float) -> tuple[Float, Float]:
    """Move x by whole turns of longitude into the mosaic where that is possible.

    Cylindrical maps (CAR) are often cut far from their reference point; 359 deg and -1 deg are then 360 deg / CDELT
    pixels apart, and the projection picks either.
    """
    if not str(wcs.wcs.ctype[0]).endswith(("CAR", "CEA", "MER", "CYP")):
        return x, y
    matrix = np.asarray(wcs.pixel_scale_matrix)
    turn = np.linalg.solve(matrix, [360.0, 0.0])
    length = float(turn @ turn)
    offset = np.stack([(info.shape[1] - 1) / 2 - x, (info.shape[0] - 1) / 2 - y], -1)
    turns = np.round(np.nan_to_num(offset @ turn) / length)
    return x + turns * turn[0], y + turns * turn[1]


def _round_trips(wcs: WCS, x: Float, y: Float, lon: Float, lat: Float) -> npt.NDArray[np.bool_]:
    """Whether pixels lead back to their positions: zenithal projections also give points of the far side."""
    back_lon, back_lat = (np.asarray(v, np.float64) for v in wcs.pixel_to_world_values(x, y))
    with np.errstate(invalid="ignore"):
        apart = np.hypot(((back_lon - lon + 180) % 360 - 180) * np.cos(np.radians(lat)), back_lat - lat)
        return apart < 1e-6


def healpix29(ra: npt.ArrayLike, dec: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """HEALPix index of order 29, nested, of ICRS positions.

    The index of order n is the one of order 29 shifted right by 2 (29 - n) bits.

    Parameters
    ----------
    ra, dec : array_like of float
        ICRS [deg].

    Returns
    -------
    ndarray of int64
        -1 where a position is NaN.
    """
    from astropy import units
    from astropy_healpix import lonlat_to_healpix

    ra, dec = np.broadcast_arrays(np.asarray(ra, np.float64), np.asarray(dec, np.float64))
    good = np.isfinite(ra) & np.isfinite(dec)
    out = np.full(ra.shape, -1, np.int64)
    if good.any():
        out[good] = lonlat_to_healpix(ra[good] * units.deg, dec[good] * units.deg, 2**HEALPIX_ORDER, order="nested")
    return out
