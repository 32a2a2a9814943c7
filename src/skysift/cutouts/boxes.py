"""Boxes around the sources of a list, in every mosaic that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skysift.cutouts.schema import cutout_ids
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.cutouts.stages import Cutouts
    from skysift.cutouts.tasks import Target

__all__ = ["SourceBoxes", "source_boxes"]

_MARGIN = np.radians(0.2)


@dataclass(frozen=True)
class SourceBoxes:
    """Where the sources of a list lie.

    Attributes
    ----------
    boxes : list of ndarray, shape (N, 4)
        Of each mosaic: x0, y0, width, height [pixel].
    labels : dict of str to list of str
        `cutout_id` -> labels of the sources that have one.
    sources : int
        Length of the list.
    off_map : int
        Sources that lie in no mosaic.
    """

    boxes: list[npt.NDArray[np.int64]]
    labels: dict[str, list[str]]
    sources: int
    off_map: int


def source_boxes(stage: Cutouts, path: str, targets: Sequence[Target]) -> SourceBoxes:
    """Lay a box around each source of a list, in each mosaic that it lies in.

    Parameters
    ----------
    stage : Cutouts
        For `zoom`, `min_size` and `source_columns`.
    path : str
        The list.
    targets : sequence of Target
        The mosaics.

    Raises
    ------
    RequestError
        If the list is empty, or no source lies in any mosaic.
    """
    from skysift.sky.sources import locate_sources, read_sources
    from skysift.sky.windows import source_windows

    table = read_sources(path, stage.source_columns or None)
    names = table.column("label").to_pylist()
    points = _points(table)
    seen = np.zeros(table.num_rows, bool)
    boxes: list[npt.NDArray[np.int64]] = []
    labels: dict[str, list[str]] = {}
    for target in targets:
        near = _near(points, target)
        if near is not None and not len(near):
            boxes.append(np.empty((0, 4), np.int64))
            continue
        found = locate_sources(table if near is None else table.take(near), target.info)
        rows = found.rows if near is None else near[found.rows]
        seen[rows] = True
        windows = source_windows(
            found.x, found.y, found.width, found.height, zoom=stage.zoom, min_size=stage.min_size
        ).astype(np.int64)
        boxes.append(windows)
        for id_, row in zip(
            cutout_ids(target.fingerprint, target.info.hdu, target.info.plane, windows), rows, strict=True
        ):
            name = names[row]
            if name is not None and name not in labels.setdefault(id_, []):
                labels[id_].append(name)
    off = int((~seen).sum())
    if off == len(seen):
        raise RequestError(
            f"None of the {len(seen)} sources of {path} lies in the mosaics: check the positions, or which columns "
            "they are in (--source-columns)."
        )
    return SourceBoxes(boxes, {id_: found for id_, found in labels.items() if found}, len(seen), off)


def _points(table: Any) -> npt.NDArray[np.float64]:
    ra, dec = (np.radians(table.column(name).to_numpy(zero_copy_only=False).astype(float)) for name in ("ra", "dec"))
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def _near(points: npt.NDArray[np.float64], target: Target) -> npt.NDArray[np.int64] | None:
    """Rows of the list that can lie in a mosaic; None where that can't be told cheaply."""
    from skysift.sky.wcs import pixel_to_icrs

    if target.info.wcs_header is None or not np.isfinite(points).any():
        return None
    ny, nx = target.info.shape
    edge = np.linspace(0, 1, 8)
    x = np.concatenate([[0.5], edge, edge, np.zeros(8), np.ones(8)]) * nx - 0.5
    y = np.concatenate([[0.5], np.zeros(8), np.ones(8), edge, edge]) * ny - 0.5
    ra, dec = (np.radians(v) for v in pixel_to_icrs(target.info, x, y))
    outline = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    if not np.isfinite(outline).all():
        return None
    reach = float(np.arccos(np.clip(outline[1:] @ outline[0], -1, 1)).max()) + _MARGIN
    if reach > np.radians(60):
        return None
    with np.errstate(invalid="ignore"):
        return np.flatnonzero(points @ outline[0] > np.cos(reach))
