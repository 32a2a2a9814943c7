"""Outlines of a survey's mosaics, and the area that its cutouts cover."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from skysift.cutouts.catalogue import Catalogue
from skysift.sky.info import MosaicInfo
from skysift.sky.wcs import pixel_to_icrs

Float = npt.NDArray[np.float64]

SIDE = 16  # vertices along a side
MOST = 2000  # mosaics that are outlined
FEW = 30  # mosaics up to which the area is found as finely as their cutouts are placed
COARSE = 9  # HEALPix order beyond (cells of 7 arcmin)


def mosaic_outlines(catalogue: Catalogue) -> list[tuple[Float, Float]]:
    """Return right ascension and declination [deg] around each mosaic, shape (4 SIDE + 1,) each.

    Mosaics without usable positions are left out, and so are all where they are more than 2000: their outlines would
    hide what is in them.
    """
    rows = catalogue.mosaics.to_pylist()
    placed = [row for row in rows if row.get("wcs_header")]
    if len(placed) > MOST:
        return []
    return [_outline(info_of(row)) for row in placed]


def covered_area(catalogue: Catalogue) -> float:
    """Return the area that the cutouts cover, overlaps counted once [deg^2]; 0 where they have no positions."""
    from skysift.sky.footprint import cutout_footprint, footprint_area, union_footprint

    order = None if catalogue.mosaics.num_rows <= FEW else COARSE
    mocs = [cutout_footprint(info, windows.astype(np.int32), order=order) for info, windows in _windows(catalogue)]
    return footprint_area(union_footprint(mocs)) if mocs else 0.0


def area_text(area: float) -> str:
    """Write an area [deg^2] in the unit that suits it.

    Examples
    --------
    >>> area_text(0.02), area_text(1234.5)
    ('72 arcmin²', '1,234 deg²')
    """
    if area < 0.1:
        return f"{area * 3600:.3g} arcmin²"
    return f"{area:,.0f} deg²" if area >= 100 else f"{area:.3g} deg²"


def info_of(row: Mapping[str, Any]) -> MosaicInfo:
    """Return geometry and WCS of a row of the table of mosaics."""
    return MosaicInfo(
        path=row["mosaic"],
        format=row["format"],
        hdu=row["hdu"],
        plane=row["plane"] or 0,
        shape=(row["ny"], row["nx"]),
        bunit=row["bunit"],
        pixel_scale=row["pixel_scale"],
        wcs_header=row["wcs_header"],
    )


def _outline(info: MosaicInfo) -> tuple[Float, Float]:
    ny, nx = info.shape
    part = np.arange(SIDE) / SIDE
    ahead, back = part, 1 - part
    x = np.concatenate([ahead, np.ones(SIDE), back, np.zeros(SIDE), [0.0]]) * nx - 0.5
    y = np.concatenate([np.zeros(SIDE), ahead, np.ones(SIDE), back, [0.0]]) * ny - 0.5
    return pixel_to_icrs(info, x, y)


def _windows(catalogue: Catalogue) -> Iterator[tuple[MosaicInfo, npt.NDArray[np.int64]]]:
    """Yield the mosaics with positions that hold cutouts, and the windows of these."""
    rows = catalogue.mosaic_rows()
    order = np.argsort(rows, kind="stable")
    starts = np.searchsorted(rows[order], np.arange(catalogue.mosaics.num_rows + 1))
    windows = catalogue.windows[order]
    for number, row in enumerate(catalogue.mosaics.to_pylist()):
        part = windows[starts[number] : starts[number + 1]]
        if row.get("wcs_header") and len(part):
            yield info_of(row), part
