"""Source lists of any origin as one table, and where its sources lie in a mosaic."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError

if TYPE_CHECKING:
    import pyarrow as pa

    from skysift.sky.info import MosaicInfo
    from skysift.sky.lists.raw import RawTable

Float = npt.NDArray[np.float64]

_NUMBERS = {
    "ra": ("deg", "pos.eq.ra;meta.main", "Right ascension, ICRS"),
    "dec": ("deg", "pos.eq.dec;meta.main", "Declination, ICRS"),
    "x": ("pixel", "pos.cartesian.x;instr.det", "Column in the mosaic, 0-based"),
    "y": ("pixel", "pos.cartesian.y;instr.det", "Row in the mosaic, 0-based"),
    "width": ("pixel", "", "Columns of its bounding box"),
    "height": ("pixel", "", "Rows of its bounding box"),
    "major": ("arcsec", "phys.angSize.smajAxis", "Full width at half maximum, major axis"),
    "minor": ("arcsec", "phys.angSize.sminAxis", "Full width at half maximum, minor axis"),
    "pa": ("deg", "pos.posAng", "Position angle of the major axis, north through east"),
    "peak": ("Jy/beam", "phot.flux.density;stat.max", "Peak brightness"),
    "flux": ("Jy", "phot.flux.density", "Integrated flux density"),
}
_TEXTS = {
    "source_id": ("meta.id;meta.main", "Name of the source in its list, or its row"),
    "label": ("src.class", "Class or label"),
    "mosaic": ("meta.file", "Mosaic that x and y belong to"),
}


def read_sources(path: str, columns: Mapping[str, str] | Sequence[str] | None = None) -> pa.Table:
    """Read a source list.

    PyBDSF's `srl` and `gaul` (FITS and text), Aegean's tables, VOTable, FITS table, CSV, ECSV, any text of words
    with a line of names, and Parquet; the format is told by the content, `.gz` too. Columns are matched by name,
    then by UCD, and converted to the units below from the unit in the file, in the name (`Fpeak_mJy`), or the custom
    (degrees; arcsec; Jy; degrees for the sizes of PyBDSF). FK4 lists (equinox 1950) and Galactic positions are
    converted to ICRS.

    Parameters
    ----------
    path : str
        The list.
    columns : mapping or sequence of str, optional
        Columns to take instead, as {"ra": "RAJ2000"} or ["flux=S1400 [mJy]"], for any of the quantities below and
        `glon`, `glat`.

    Returns
    -------
    pyarrow.Table
        Columns ra, dec [deg, ICRS], x, y [pixel, 0-based], width, height [pixel], major, minor [arcsec], pa [deg],
        peak [Jy/beam], flux [Jy], source_id, label, mosaic; null where the list has nothing. Units and UCDs are in the
        field metadata.

    Raises
    ------
    RequestError
        No such file, no rows, no positions, or an override that names no column.
    SkysiftError
        A damaged file.
    """
    import pyarrow as pa

    from skysift.sky.lists.columns import convert, match_columns, parse_overrides
    from skysift.sky.lists.raw import read_raw

    raw = read_raw(str(path))
    overrides = parse_overrides(columns if columns is None or isinstance(columns, Mapping) else tuple(columns))
    found = match_columns(raw, overrides, str(path))
    sky = {"ra", "dec"} <= found.keys() or {"glon", "glat"} <= found.keys()
    if not sky and not {"x", "y"} <= found.keys():
        raise RequestError(
            f"{path} has no columns of positions among {', '.join(raw.columns) or 'none'};"
            " name them, such as ra=COLUMN,dec=COLUMN."
        )
    if raw.rows == 0:
        raise RequestError(f"{path} lists no sources; give a list with at least one.")
    numbers = {key: convert(raw, *found[key], key, str(path)) for key in (*_NUMBERS, "glon", "glat") if key in found}
    _to_icrs(numbers, raw, galactic=not {"ra", "dec"} <= found.keys(), equinox=raw.equinox)
    fields, arrays = [], []
    for key, (unit, ucd, text) in _NUMBERS.items():
        fields.append(pa.field(key, pa.float64(), metadata={"unit": unit, "ucd": ucd, "description": text}))
        arrays.append(pa.array(numbers.get(key, np.full(raw.rows, np.nan)), pa.float64(), from_pandas=True))
    for key, (ucd, text) in _TEXTS.items():
        fields.append(pa.field(key, pa.string(), metadata={"ucd": ucd, "description": text}))
        arrays.append(pa.array(_texts(raw, key, found), pa.string()))
    return pa.table(arrays, schema=pa.schema(fields))


def _to_icrs(numbers: dict[str, Float], raw: RawTable, *, galactic: bool, equinox: float) -> None:
    """Replace the positions in `numbers` by ICRS ones, where they are not that already."""
    from astropy.coordinates import FK4, Galactic, SkyCoord

    frame = Galactic() if galactic else FK4(equinox="B1950") if equinox < 1984 else None
    lon, lat = numbers.pop("glon", None), numbers.pop("glat", None)
    if not galactic:
        lon, lat = numbers["ra"], numbers["dec"]
    if frame is not None and lon is not None and lat is not None:
        good = np.isfinite(lon) & np.isfinite(lat)
        point = SkyCoord(np.where(good, lon, 0.0), np.where(good, lat, 0.0), unit="deg", frame=frame).icrs
        numbers["ra"], numbers["dec"] = (np.where(good, v, np.nan) for v in (point.ra.deg, point.dec.deg))
    if "dec" in numbers:
        bad = np.abs(numbers["dec"]) > 90
        if bad.any():
            raise RequestError(
                f"{int(bad.sum())} of {raw.rows} sources have a declination beyond 90 degrees; name the right column,"
                " such as dec=COLUMN[deg]."
            )


def _texts(raw: RawTable, key: str, found: Mapping[str, tuple[str, str]]) -> list[str | None]:
    if key not in found:
        return [str(i) for i in range(raw.rows)] if key == "source_id" else [None] * raw.rows
    values = raw.columns[found[key][0]].tolist()
    return [
        None if v is None or v != v else str(int(v)) if isinstance(v, float) and v.is_integer() else str(v)
        for v in values
    ]


@dataclass(frozen=True)
class LocatedSources:
    """Sources of a list that lie in a mosaic.

    Attributes
    ----------
    rows : ndarray of int64, shape (N,)
        Their rows in the list.
    x, y : ndarray of float64, shape (N,)
        Centres [pixel, 0-based].
    width, height : ndarray of float64, shape (N,)
        Bounding boxes [pixel]: the list's own, else those of the ellipses at half maximum, which are never smaller
        than the beam; 0 where nothing is known of the size.
    off : int
        Sources of the list that lie elsewhere.
    """

    rows: npt.NDArray[np.int64]
    x: Float
    y: Float
    width: Float
    height: Float
    off: int


def locate_sources(table: pa.Table, info: MosaicInfo) -> LocatedSources:
    """Find the sources of a list in a mosaic.

    Sky positions are used where the list and the mosaic have them, else the pixel positions of the list; these only
    for rows whose `mosaic` names this one, where the list has such a column.

    Parameters
    ----------
    table : pyarrow.Table
        As `read_sources` gives it.
    info : MosaicInfo
        The mosaic.

    Raises
    ------
    RequestError
        The list has sky positions only and the mosaic's are not usable.
    """
    from skysift.sky.wcs import icrs_to_pixel

    ra, dec, x, y = (_numbers(table, key) for key in ("ra", "dec", "x", "y"))
    if info.wcs_header is not None and np.isfinite(ra).any():
        x, y = icrs_to_pixel(info, ra, dec)
    elif not np.isfinite(x).any():
        raise RequestError(f"{info.path} has no usable positions, and the list no pixels (x, y); add them to the list.")
    else:
        owner = np.array(table.column("mosaic").to_pylist(), object)
        if any(name is not None for name in owner):
            x = np.where([name is not None and stem(name) == stem(info.path) for name in owner], x, np.nan)
    ny, nx = info.shape
    with np.errstate(invalid="ignore"):
        here = (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5)
    rows = np.flatnonzero(here)
    width, height = _boxes(table.take(rows), info)
    return LocatedSources(rows, x[rows], y[rows], width, height, int(len(x) - len(rows)))


def stem(path: str) -> str:
    """Name of a file without its folder and without `.fits`, `.fits.gz`, `.fits.fz` and the like."""
    return re.sub(r"(?i)(\.(fits|fit|fts|fz|gz|npy|npz|png|jpe?g))+$", "", PurePath(path).name)


def _numbers(table: pa.Table, key: str) -> Float:
    return np.asarray(table.column(key).to_numpy(zero_copy_only=False), np.float64)


def _boxes(table: pa.Table, info: MosaicInfo) -> tuple[Float, Float]:
    width, height, major, minor, pa = (_numbers(table, key) for key in ("width", "height", "major", "minor", "pa"))
    across, up = _ellipses(major, minor, pa, info)
    listed = (width > 0) & (height > 0)
    return np.where(listed, width, across), np.where(listed, height, up)


def _ellipses(major: Float, minor: Float, pa: Float, info: MosaicInfo) -> tuple[Float, Float]:
    """Bounding boxes in pixels of ellipses given by their axes [arcsec] and position angle [deg]."""
    if info.pixel_scale is None:
        return np.zeros(len(major)), np.zeros(len(major))
    least = (info.bmin or 0.0) * 3600, (info.bmaj or 0.0) * 3600
    a = np.maximum(np.nan_to_num(major), least[1])
    b = np.where(np.isfinite(minor), np.maximum(np.nan_to_num(minor), least[0]), a)
    angle = np.radians(np.nan_to_num(pa))
    # major axis towards north = +y at pa 0, turning towards east; covariance of the ellipse in (east, north)
    ee = (a * np.sin(angle)) ** 2 + (b * np.cos(angle)) ** 2
    nn = (a * np.cos(angle)) ** 2 + (b * np.sin(angle)) ** 2
    en = (a**2 - b**2) * np.sin(angle) * np.cos(angle)
    if info.wcs is not None:
        to_pixels = np.linalg.inv(np.asarray(info.wcs.pixel_scale_matrix) * 3600)
    else:
        to_pixels = np.diag([-1.0, 1.0]) / info.pixel_scale
    xx, yy = (m[0] ** 2 * ee + 2 * m[0] * m[1] * en + m[1] ** 2 * nn for m in to_pixels)
    return np.sqrt(xx), np.sqrt(yy)
