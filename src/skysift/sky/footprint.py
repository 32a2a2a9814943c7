"""The part of the sky that mosaics or cutouts cover: a MOC, its area, and counts in HEALPix cells."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError, SkysiftError
from skysift.sky.wcs import HEALPIX_ORDER, pixel_to_icrs

if TYPE_CHECKING:
    from mocpy import MOC

    from skysift.sky.info import MosaicInfo
    from skysift.sky.mosaic import Mosaic
    from skysift.sky.windows import Windows

Mask = npt.NDArray[np.bool_]

SKY = 360.0**2 / np.pi  # [deg^2]
_CELL = 58.6323  # side of a HEALPix cell of order 0 [deg]
_CELLS = 256  # cells across a mosaic's shorter side, where the order is not given
_BLOCKS = 128  # blocks across it, whose validity is looked at
_STEP = 8  # vertices along a block run's side at most this many blocks apart


def default_order(info: MosaicInfo) -> int:
    """Order of HEALPix whose cells are about 1/256 of the mosaic's shorter side."""
    if info.pixel_scale is None:
        return 10
    side = min(info.shape) * info.pixel_scale / 3600
    return int(np.clip(np.ceil(np.log2(_CELL * _CELLS / side)), 5, 20))


def mosaic_footprint(info: MosaicInfo, mosaic: Mosaic | None = None, *, order: int | None = None) -> MOC:
    """MOC of a mosaic.

    Parameters
    ----------
    info : MosaicInfo
        Shape and WCS.
    mosaic : Mosaic, optional
        Opened for reading: only blocks (1/128 of the shorter side) that hold valid pixels count then. Without it the
        whole rectangle does.
    order : int, optional
        Of the smallest cells; those that the outline crosses are counted in.

    Returns
    -------
    mocpy.MOC
        Empty where the mosaic has no usable positions.
    """
    block = max(1, -(-min(info.shape) // _BLOCKS))
    rows, columns = (-(-n // block) for n in info.shape)
    mask = np.ones((rows, columns), bool)
    if mosaic is not None:
        for y0, _, strip in mosaic.strips(block):
            valid = np.isfinite(strip).any(axis=0)
            mask[y0 // block] = np.logical_or.reduceat(valid, np.arange(0, info.shape[1], block))
    return _blocks_to_moc(info, mask, block, order)


def cutout_footprint(info: MosaicInfo, windows: Windows, *, order: int | None = None) -> MOC:
    """MOC of the cutouts of a mosaic.

    Parameters
    ----------
    info : MosaicInfo
        The mosaic.
    windows : ndarray of int, shape (N, 4)
        x0, y0, width, height [pixel]; what hangs over the mosaic is left out. Edges are taken to an eighth of the
        smallest window, or to half a cell if that is coarser.
    order : int, optional
        Of the smallest cells.

    Returns
    -------
    mocpy.MOC
        Empty where the mosaic has no usable positions.
    """
    if not len(windows):
        return _blocks_to_moc(info, np.zeros((1, 1), bool), 1, order)
    order = default_order(info) if order is None else order
    smallest = int(windows[:, 2:].min())
    cell = _CELL / 2**order * 3600 / info.pixel_scale if info.pixel_scale else 1.0  # [pixel]
    block = max(1, min(smallest // 2, max(smallest // 8, int(cell / 2))))
    rows, columns = (-(-n // block) for n in info.shape)
    edges = np.zeros((rows + 1, columns + 1), np.int32)  # +1 and -1 at the corners: their cumulated sum covers the box
    x0, y0, w, h = np.asarray(windows, np.int64).T
    xa, xb = (np.clip(np.rint(v / block), 0, columns).astype(int) for v in (x0, x0 + w))
    ya, yb = (np.clip(np.rint(v / block), 0, rows).astype(int) for v in (y0, y0 + h))
    for y, x, sign in ((ya, xa, 1), (ya, xb, -1), (yb, xa, -1), (yb, xb, 1)):
        np.add.at(edges, (y, x), sign)
    return _blocks_to_moc(info, edges.cumsum(0).cumsum(1)[:rows, :columns] > 0, block, order)


def _blocks_to_moc(info: MosaicInfo, mask: Mask, block: int, order: int | None) -> MOC:
    from astropy import units
    from astropy.coordinates import SkyCoord
    from mocpy import MOC

    order = default_order(info) if order is None else order
    if not 0 <= order <= HEALPIX_ORDER:
        raise RequestError(f"A MOC has no order {order}; choose one from 0 to {HEALPIX_ORDER}.")
    if info.wcs_header is None or not mask.any():
        return MOC.new_empty(order)
    polygons = []
    for y0, y1, x0, x1 in _rectangles(mask):
        x, y = _outline(x0, x1, y0, y1)
        # pixel edges, not centres; the last block may reach over the mosaic
        x = np.minimum(x * block, info.shape[1]) - 0.5
        y = np.minimum(y * block, info.shape[0]) - 0.5
        ra, dec = pixel_to_icrs(info, x, y)
        good = np.isfinite(ra)
        if good.sum() >= 3:
            polygons.append(SkyCoord(ra[good] * units.deg, dec[good] * units.deg))
    if not polygons:
        return MOC.new_empty(order)
    return _union(MOC.from_polygons(polygons, max_depth=order, n_threads=1), order)


def _rectangles(mask: Mask) -> list[tuple[int, int, int, int]]:
    """Cover a mask with rectangles (y0, y1, x0, x1): runs of a row, joined with equal ones of the rows above."""
    done: list[tuple[int, int, int, int]] = []
    growing: dict[tuple[int, int], int] = {}
    for y in range(mask.shape[0] + 1):
        row = mask[y] if y < mask.shape[0] else np.zeros(mask.shape[1], bool)
        change = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
        runs = {(int(a), int(b)) for a, b in zip(change[::2], change[1::2], strict=True)}
        for run in [run for run in growing if run not in runs]:
            done.append((growing.pop(run), y, *run))
        for run in runs - growing.keys():
            growing[run] = y
    return sorted(done)


def _outline(x0: int, x1: int, y0: int, y1: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Vertices around a rectangle, close enough that great circles between them follow its curved sides."""
    along_x = np.linspace(x0, x1, max(2, (x1 - x0) // _STEP + 1))
    along_y = np.linspace(y0, y1, max(2, (y1 - y0) // _STEP + 1))
    x = np.concatenate([along_x, np.full(len(along_y) - 1, x1), along_x[-2::-1], np.full(len(along_y) - 2, x0)])
    y = np.concatenate([np.full(len(along_x), y0), along_y[1:], np.full(len(along_x) - 1, y1), along_y[-2:0:-1]])
    return x.astype(np.float64), y.astype(np.float64)


def _union(mocs: Iterable[MOC], order: int) -> MOC:
    from mocpy import MOC

    every = list(mocs)
    if not every:
        return MOC.new_empty(order)
    return every[0].union(*every[1:]) if len(every) > 1 else every[0]


def union_footprint(mocs: Iterable[MOC]) -> MOC:
    """MOC of all that any of several MOCs covers."""
    every = list(mocs)
    return _union(every, max((moc.max_order for moc in every), default=10))


def footprint_area(moc: MOC) -> float:
    """Area of a MOC [deg^2]."""
    return float(moc.sky_fraction) * SKY


def save_footprint(moc: MOC, path: str | Path) -> Path:
    """Write a MOC as FITS (IVOA MOC 2.0), replacing the file.

    Raises
    ------
    SkysiftError
        The file cannot be written.
    """
    path = Path(path)
    try:
        moc.save(path, format="fits", overwrite=True)
    except OSError as error:
        raise SkysiftError(f"The footprint cannot be written to {path} ({error}); choose another folder.") from error
    return path


def healpix_counts(healpix29: npt.ArrayLike, order: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Count cutouts or sources in HEALPix cells.

    Parameters
    ----------
    healpix29 : array_like of int, shape (N,)
        Nested indices of order 29, as `skysift.sky.healpix29` gives them; negative ones (no position) do not count.
    order : int
        Of the cells, 0 to 29.

    Returns
    -------
    cells, counts : ndarray of int64
        Nested indices of the cells that hold any, ascending, and how many.

    Raises
    ------
    RequestError
        An order outside 0 to 29.
    """
    if not 0 <= order <= HEALPIX_ORDER:
        raise RequestError(f"HEALPix has no order {order} here; choose one from 0 to {HEALPIX_ORDER}.")
    index = np.asarray(healpix29, np.int64)
    cells, counts = np.unique(index[index >= 0] >> (2 * (HEALPIX_ORDER - order)), return_counts=True)
    return cells, counts.astype(np.int64)
