"""Measuring cutouts: what workers do with the tasks of the `Cutouts` stage, and the rows that they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skysift.cutouts.catalogue import table_of, write_table
from skysift.cutouts.schema import STATISTICS, cutout_ids
from skysift.cutouts.statistics import measure_images
from skysift.cutouts.tasks import TASK_PIXELS, IntArray, Piece, Target, Task
from skysift.cutouts.tiling import measure_grid

if TYPE_CHECKING:
    from skysift.sky.mosaic import Mosaic

__all__ = ["Counts", "measure", "read_counts"]

FloatArray = npt.NDArray[np.float32]

_COUNTS = b"skysift.counts"


@dataclass(frozen=True)
class Counts:
    """What became of the windows of one mosaic."""

    windows: int
    kept: int
    with_data: int


def measure(task: Task, out: Path) -> None:
    """Measure the windows of a task and write the rows of those that are kept, with counts by mosaic."""
    from skysift.sky.mosaic import open_mosaic

    tables: list[Any] = []
    counts: dict[str, list[int]] = {}
    for number, target in enumerate(task.targets):
        pieces = [piece for piece in task.pieces if piece.target == number]
        with open_mosaic(target.info, zero_is_nan=target.zero_is_nan) as mosaic:
            mask = open_mosaic(target.mask) if target.mask is not None else None
            try:
                for piece in pieces:
                    table, valid = _measure_piece(task, target, piece, mosaic, mask)
                    tables.append(table)
                    total = counts.setdefault(target.fingerprint, [0, 0, 0])
                    for i, count in enumerate((len(valid), table.num_rows, int((valid > 0).sum()))):
                        total[i] += count
                    mosaic.release()
            finally:
                if mask is not None:
                    mask.close()
    text = ";".join(f"{name}:{a}:{b}:{c}" for name, (a, b, c) in counts.items())
    table = pa.concat_tables(tables).unify_dictionaries()
    write_table(table.replace_schema_metadata({**table.schema.metadata, _COUNTS: text.encode()}), out)


def read_counts(schemas: Sequence[Any]) -> dict[str, Counts]:
    """Add up the counts by mosaic that `measure` left in the schemas of its shards."""
    totals: dict[str, list[int]] = {}
    for schema in schemas:
        for entry in schema.metadata[_COUNTS].decode().split(";"):
            name, *numbers = entry.split(":")
            total = totals.setdefault(name, [0, 0, 0])
            for i, number in enumerate(numbers):
                total[i] += int(number)
    return {name: Counts(*numbers) for name, numbers in totals.items()}


def _measure_piece(
    task: Task, target: Target, piece: Piece, mosaic: Mosaic, mask: Mosaic | None
) -> tuple[Any, FloatArray]:
    """Return the table of the kept windows, and the valid fractions of all."""
    windows = piece.windows
    names = [n for n in STATISTICS if (n != "complexity" or task.complexity) and (n != "mask_fraction" or mask)]
    columns = {name: np.full(len(windows), np.nan, np.float32) for name in names}
    if piece.boxes is None:
        _measure_strip(task, piece, mosaic, mask, columns)
    else:
        _measure_boxes(task, piece, piece.boxes, mosaic, mask, columns)
    valid = columns["valid_fraction"]
    kept = np.flatnonzero(valid >= np.float32(task.min_valid))
    planes = None if piece.planes is None else piece.planes[kept]
    statistics = {name: values[kept] for name, values in columns.items()}
    return _rows(target, windows[kept], planes, statistics), valid


def _measure_strip(
    task: Task, piece: Piece, mosaic: Mosaic, mask: Mosaic | None, columns: dict[str, FloatArray]
) -> None:
    from skysift.sky.masks import as_mask

    y0, y1 = int(piece.ys[0]), int(piece.ys[-1]) + piece.size
    x0, x1 = int(piece.xs[0]), int(piece.xs[-1]) + piece.size
    strip = mosaic.read(y0, y1, x0, x1)
    masked = None
    if mask is not None:
        masked = as_mask(mask.read(y0, y1, x0, x1))
        mask.release()
    found = measure_grid(strip, piece.xs - x0, piece.ys - y0, piece.size, masked)
    found.put_into(columns, np.arange(len(found)))
    if task.complexity:
        crops = [
            strip[y : y + piece.size, x : x + piece.size]
            for y in (piece.ys - y0).tolist()
            for x in (piece.xs - x0).tolist()
        ]
        _add_complexity(crops, task, columns, np.arange(len(crops)))


def _measure_boxes(
    task: Task, piece: Piece, boxes: IntArray, mosaic: Mosaic, mask: Mosaic | None, columns: dict[str, FloatArray]
) -> None:
    from skysift.sky.masks import as_mask

    for size in np.unique(boxes[:, 2:], axis=0):
        of_size = np.flatnonzero((boxes[:, 2:] == size).all(axis=1))
        step = max(1, TASK_PIXELS // int(size[0] * size[1]))
        for rows in np.split(of_size, range(step, len(of_size), step)):
            images = mosaic.read_many(boxes[rows], planes=None if piece.planes is None else piece.planes[rows])
            masked = None if mask is None else as_mask(mask.read_many(boxes[rows]))
            measure_images(images, masked).put_into(columns, rows)
            if task.complexity:
                _add_complexity(list(images), task, columns, rows)


def _add_complexity(images: list[FloatArray], task: Task, columns: dict[str, FloatArray], rows: IntArray) -> None:
    from skysift.cutouts.coarse_graining import complexity

    good = columns["valid_fraction"][rows] >= np.float32(task.min_valid)
    chosen = rows[good]
    kept = [image for image, keep in zip(images, good, strict=True) if keep]
    columns["complexity"][chosen] = complexity(kept, columns["median"][chosen], columns["rms"][chosen])


def _rows(target: Target, windows: IntArray, planes: IntArray | None, statistics: dict[str, FloatArray]) -> Any:
    """Build the rows of windows of one mosaic: ids, positions and statistics."""
    from skysift.sky.wcs import healpix29, pixel_to_icrs

    info, count = target.info, len(windows)
    plane = np.full(count, info.plane, np.int64) if planes is None else planes
    x0, y0, width, height = windows.T
    if info.wcs_header is None:
        ra = dec = np.full(count, np.nan)
        cells = np.full(count, -1, np.int64)
    else:
        ra, dec = pixel_to_icrs(info, x0 + (width - 1) / 2, y0 + (height - 1) / 2)
        cells = healpix29(ra, dec)
    on_sky = np.isfinite(ra) & np.isfinite(dec)
    columns: dict[str, Any] = {
        "cutout_id": cutout_ids(target.fingerprint, info.hdu, plane, windows),
        "mosaic": pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([target.fingerprint])),
        "hdu": np.full(count, info.hdu, np.int16),
        "plane": plane.astype(np.int32),
        "ra": np.where(on_sky, ra, np.nan),
        "dec": np.where(on_sky, dec, np.nan),
        "healpix29": pa.array(cells, pa.int64(), mask=~on_sky),
        **dict(zip(("x0", "y0", "width", "height"), windows.T.astype(np.int32), strict=True)),
        **statistics,
    }
    return table_of(columns, count)
