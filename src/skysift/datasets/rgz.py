"""Radio Galaxy Zoo, data release 1: sources of FIRST by their number of components and peaks.

Wong et al. 2024 (arXiv:2412.14502), tables at https://zenodo.org/records/10656393, of which
`DR1_FIRST_radio_classifications.csv` is read: `CatID, RGZID, ZooniverseID, RA, Dec` [deg], `N_votes, N_total, CL`
(weighted consensus, 0-1), `N_comp, N_peaks, LAE` (largest angular extent, taken as arcsec), `TSA, OL, TF, TF_err, DC`.
Images are not part of it: put FITS images beside the table, or in folders there, whose names hold the `RGZID`
(`RGZ_J000130.2+014816.fits`, `75764_RGZ_J000130.2+014816.fits.gz`) or the `ZooniverseID`; or give `--mosaics`.

As in Riggi et al. 2024: the six classes 1C-1P to 3C-3P of Wu et al. 2019 (arXiv:1805.12008), consensus of 0.6 or more,
square cutouts of 1.5 times the angular extent. Of several entries for one source the one of highest consensus counts,
then of most votes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skysift.datasets.labelled import LabelledSet, Request
from skysift.datasets.table import edge_distance
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.sky.info import MosaicInfo

__all__ = ["CLASSES", "companions", "fits", "read"]

TABLE = "DR1_FIRST_radio_classifications.csv"
CLASSES = ("1C-1P", "1C-2P", "1C-3P", "2C-2P", "2C-3P", "3C-3P")
"""C: components, islands that belong to one source; P: peaks in them."""
LEAST_CONSENSUS = 0.6
ZOOM = 1.5
"""Side of a cutout over the angular extent of its source."""
LEAST_SIDE = 2
"""Of a cutout [pixel]."""
_NEEDED = ("RGZID", "ZooniverseID", "RA", "Dec", "N_votes", "CL", "N_comp", "N_peaks", "LAE")
_ID = re.compile(r"RGZ_?J[\d.]+[+-][\d.]*\d|ARG\w+")

IntArray = npt.NDArray[np.int64]


def fits(path: Path) -> bool:
    """Tell whether a path is the table, or a folder with it."""
    return _table(path) is not None


def companions(path: Path, request: Request) -> list[str]:
    """Return the images beside a table that is named itself; a folder holds them already."""
    table = _table(path)
    if path.is_dir() or table is None or request.mosaics:
        return []
    return [str(image) for _, image in sorted(_images(table.parent).items())]


def read(path: Path, request: Request) -> LabelledSet:
    """Read the table and find each source in its image, or in the map where it lies farthest from the edge.

    Raises
    ------
    RequestError
        If a column is missing, or no source has an image.
    """
    from skysift.sky.mosaic import inspect_mosaic

    table = _table(path) or path
    columns = _columns(table)
    kept = _choose(columns)
    if request.mosaics:
        files = list(request.mosaics)
        rows_of = [kept] * len(files)
    else:
        files, rows_of = _by_id(table, columns, kept)
    count = len(columns["RA"])
    best = np.full(count, -1.0)
    file, windows = np.full(count, -1, np.int64), np.zeros((count, 4), np.int64)
    for number, (name, rows) in enumerate(zip(files, rows_of, strict=True)):
        info = inspect_mosaic(name, hdu=request.hdu, plane=request.plane, positions=request.positions)
        x, y = _pixels(info, columns["RA"][rows], columns["Dec"][rows], centred=not request.mosaics)
        distance = edge_distance(x, y, info.shape)
        better = distance > best[rows]
        rows, x, y = rows[better], x[better], y[better]
        best[rows], file[rows] = distance[better], number
        windows[rows] = _windows(info, x, y, columns["LAE"][rows], request.window_size)
    found = kept[file[kept] >= 0]
    if not len(found):
        raise RequestError(f"None of the {len(kept)} sources of {table} lies on the images; check --mosaics.")
    used, number_of = np.unique(file[found], return_inverse=True)
    return LabelledSet(
        files=tuple(files[i] for i in used.tolist()),
        file=number_of.astype(np.int64),
        labels=[[f"{c}C-{p}P"] for c, p in zip(columns["N_comp"][found], columns["N_peaks"][found], strict=True)],
        windows=windows[found],
        ra=columns["RA"][found],
        dec=columns["Dec"][found],
        classes=CLASSES,
        off_map=len(kept) - len(found),
    )


def _table(path: Path) -> Path | None:
    if path.is_dir():
        return path / TABLE if (path / TABLE).is_file() else None
    return path if path.is_file() and path.name == TABLE else None


def _columns(table: Path) -> dict[str, npt.NDArray[Any]]:
    from skysift.sky.lists.raw import read_raw

    raw = read_raw(str(table)).columns
    missing = [name for name in _NEEDED if name not in raw]
    if missing:
        raise RequestError(f"{table} has no column {', '.join(missing)}, as the table of RGZ DR1 has; fetch it again.")
    found = {name: np.asarray(raw[name]) for name in _NEEDED}
    for name in ("RA", "Dec", "CL", "LAE", "N_votes"):
        found[name] = found[name].astype(np.float64)
    for name in ("N_comp", "N_peaks"):
        found[name] = found[name].astype(np.int64)
    return found


def _choose(columns: dict[str, npt.NDArray[Any]]) -> IntArray:
    """Return the rows to use, ascending: sure enough, of one of the six classes, one a source."""
    named = np.char.add(
        np.char.add(columns["N_comp"].astype(str), "C-"), np.char.add(columns["N_peaks"].astype(str), "P")
    )
    known = np.isfinite(columns["LAE"]) & (columns["LAE"] > 0) & np.isfinite(columns["RA"] + columns["Dec"])
    good = known & (columns["CL"] >= LEAST_CONSENSUS) & np.isin(named, CLASSES)
    order = np.lexsort((-columns["N_votes"], -columns["CL"]))
    chosen: list[int] = []
    ids: set[str] = set()
    places: set[tuple[float, float]] = set()
    for row in order[good[order]].tolist():
        id_, place = str(columns["RGZID"][row]), (float(columns["RA"][row]), float(columns["Dec"][row]))
        if id_ not in ids and place not in places:
            chosen.append(row)
        ids.add(id_)
        places.add(place)
    return np.sort(np.array(chosen, np.int64))


def _images(folder: Path) -> dict[str, Path]:
    """Return the FITS images below a folder by the id in their names."""
    found: dict[str, Path] = {}
    for image in sorted(folder.rglob("*.fit*")):
        match = _ID.search(image.name)
        if match and image.is_file():
            found.setdefault(match[0].removesuffix("."), image)
    return found


def _by_id(table: Path, columns: dict[str, npt.NDArray[Any]], kept: IntArray) -> tuple[list[str], list[IntArray]]:
    images = _images(table.parent)
    rows_of: dict[str, list[int]] = {}
    for row in kept.tolist():
        image = images.get(str(columns["RGZID"][row])) or images.get(str(columns["ZooniverseID"][row]))
        if image is not None:
            rows_of.setdefault(str(image), []).append(row)
    if not rows_of:
        raise RequestError(
            f"No FITS image beside {table} is named after a source of it; put them there as RGZID.fits, or name the "
            "maps that the sources lie on with --mosaics."
        )
    return list(rows_of), [np.array(rows, np.int64) for rows in rows_of.values()]


def _pixels(info: MosaicInfo, ra: Any, dec: Any, *, centred: bool) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return where sources lie on an image; a source's own image without a WCS has it in the middle."""
    from skysift.sky.wcs import icrs_to_pixel

    if info.wcs_header is not None:
        x, y = icrs_to_pixel(info, ra, dec)
        return np.asarray(x), np.asarray(y)
    if not centred:
        raise RequestError(f"{info.path} has no usable positions; leave it out, or cut the images yourself.")
    ny, nx = info.shape
    return np.full(len(ra), (nx - 1) / 2), np.full(len(ra), (ny - 1) / 2)


def _windows(info: MosaicInfo, x: Any, y: Any, extent: Any, side: int | None) -> IntArray:
    if side is None and info.pixel_scale is None:
        raise RequestError(f"{info.path} does not say how large its pixels are; choose a --window-size in pixels.")
    if side is None:
        sides = np.maximum(np.ceil(ZOOM * extent / info.pixel_scale), LEAST_SIDE).astype(np.int64)
    else:
        sides = np.full(len(x), side, np.int64)
    corners = [np.floor(centre - sides / 2 + 1).astype(np.int64) for centre in (x, y)]
    return np.stack([*corners, sides, sides], axis=1)
