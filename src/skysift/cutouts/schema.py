"""Columns of the two tables of a catalogue, with their units and UCDs, and the ids of cutouts."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["CATALOGUE_SCHEMA", "MOSAIC_SCHEMA", "STATISTICS", "cutout_ids", "empty_catalogue"]

STATISTICS = ("valid_fraction", "median", "rms", "peak", "snr", "complexity", "mask_fraction")
"""Names of the float32 columns that are measured on the pixels."""


def _field(name: str, type_: Any, description: str, *, unit: str = "", ucd: str = "") -> Any:
    metadata = {"description": description, "unit": unit, "ucd": ucd}
    return pa.field(name, type_, metadata={key: value for key, value in metadata.items() if value})


_FINGERPRINT = pa.dictionary(pa.int32(), pa.string())

CATALOGUE_SCHEMA = pa.schema(
    [
        _field("cutout_id", pa.string(), "Digest of mosaic, HDU, plane and window.", ucd="meta.id;meta.main"),
        _field("mosaic", _FINGERPRINT, "Fingerprint of the mosaic's file.", ucd="meta.id;meta.dataset"),
        _field("hdu", pa.int16(), "Extension of the mosaic's file.", ucd="meta.number"),
        _field("plane", pa.int32(), "Plane of the cube, or image of the stack.", ucd="meta.number"),
        _field("x0", pa.int32(), "First column, 0-based.", unit="pix", ucd="pos.cartesian.x;instr.pixel"),
        _field("y0", pa.int32(), "First row, 0-based.", unit="pix", ucd="pos.cartesian.y;instr.pixel"),
        _field("width", pa.int32(), "Columns.", unit="pix", ucd="phys.size;instr.pixel"),
        _field("height", pa.int32(), "Rows.", unit="pix", ucd="phys.size;instr.pixel"),
        _field("ra", pa.float64(), "Right ascension of the centre, ICRS.", unit="deg", ucd="pos.eq.ra;meta.main"),
        _field("dec", pa.float64(), "Declination of the centre, ICRS.", unit="deg", ucd="pos.eq.dec;meta.main"),
        _field("healpix29", pa.int64(), "HEALPix cell of the centre, order 29, nested.", ucd="pos.healpix"),
        _field("valid_fraction", pa.float32(), "Share of finite pixels.", ucd="stat.fill"),
        _field("median", pa.float32(), "Median [unit of the mosaic].", ucd="stat.median;phot.flux.density"),
        _field("rms", pa.float32(), "1.4826 MAD [unit of the mosaic].", ucd="stat.stdev;phot.flux.density"),
        _field("peak", pa.float32(), "Maximum [unit of the mosaic].", ucd="stat.max;phot.flux.density"),
        _field("snr", pa.float32(), "(peak - median) / rms.", ucd="stat.snr"),
        _field("complexity", pa.float32(), "Coarse-grained complexity.", unit="byte", ucd="stat.value"),
        _field("mask_fraction", pa.float32(), "Share of pixels under the mask.", ucd="stat.fill;meta.code.qual"),
        _field("labels", pa.list_(pa.string()), "Classes.", ucd="meta.code.class"),
        _field("split", pa.string(), "Part of a published division: train, validation, test.", ucd="meta.code"),
    ],
    metadata={"skysift": "catalogue 1"},
)

MOSAIC_SCHEMA = pa.schema(
    [
        _field("mosaic", pa.string(), "Fingerprint of the file.", ucd="meta.id;meta.main"),
        _field("format", pa.string(), "Reader of the file.", ucd="meta.code.mime"),
        _field("hdu", pa.int16(), "Extension.", ucd="meta.number"),
        _field("plane", pa.int32(), "Plane of the cube; null for a stack of images.", ucd="meta.number"),
        _field("ny", pa.int32(), "Rows.", unit="pix", ucd="phys.size;instr.pixel"),
        _field("nx", pa.int32(), "Columns.", unit="pix", ucd="phys.size;instr.pixel"),
        _field("bunit", pa.string(), "Unit of the pixels.", ucd="meta.unit"),
        _field("bmaj", pa.float64(), "Beam, major axis, FWHM.", unit="deg", ucd="phys.angSize.smajAxis;instr.beam"),
        _field("bmin", pa.float64(), "Beam, minor axis, FWHM.", unit="deg", ucd="phys.angSize.sminAxis;instr.beam"),
        _field("bpa", pa.float64(), "Beam, position angle, N to E.", unit="deg", ucd="pos.posAng;instr.beam"),
        _field("frequency", pa.float64(), "Frequency of the plane.", unit="Hz", ucd="em.freq"),
        _field("pixel_scale", pa.float64(), "Side of a pixel.", unit="arcsec", ucd="instr.scale;instr.pixel"),
        _field("wcs_header", pa.string(), "Cards of the celestial WCS; null where unusable.", ucd="meta.note"),
        _field("zero_is_nan", pa.bool_(), "Whether exact zeros are read as no data.", ucd="meta.code"),
        _field("mask", pa.string(), "Fingerprint of the mask's file.", ucd="meta.id"),
    ],
    metadata={"skysift": "mosaics 1"},
)


def cutout_ids(
    mosaic: str,
    hdu: int,
    plane: npt.NDArray[np.integer] | int,
    windows: npt.NDArray[np.integer],
) -> list[str]:
    """Return the ids of windows of one mosaic.

    Parameters
    ----------
    mosaic : str
        Fingerprint of the file.
    hdu : int
        Extension.
    plane : int or ndarray, shape (N,)
        Plane of each window.
    windows : ndarray, shape (N, 4)
        x0, y0, width, height [pixel].

    Returns
    -------
    list of str
        16 hex digits each: BLAKE2b over `"mosaic,hdu,plane,x0,y0,width,height"` in ASCII.
    """
    start = hashlib.blake2b(f"{mosaic},{hdu},".encode(), digest_size=8)
    planes = np.broadcast_to(plane, len(windows)).tolist()
    ids = []
    for number, (x0, y0, width, height) in zip(planes, windows.tolist(), strict=True):
        state = start.copy()
        state.update(b"%d,%d,%d,%d,%d" % (number, x0, y0, width, height))
        ids.append(state.hexdigest())
    return ids


def empty_catalogue() -> Any:
    """Return a catalogue table (pyarrow.Table) without rows."""
    return CATALOGUE_SCHEMA.empty_table()
