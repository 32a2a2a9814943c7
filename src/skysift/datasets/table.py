"""Tables (CSV, Parquet, VOTable, FITS, text) of labels with positions on maps, or with paths of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skysift.datasets.labelled import LabelledSet, Request
from skysift.datasets.labels import label_texts
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.sky.info import MosaicInfo

__all__ = ["companions", "edge_distance", "fits", "read", "read_cutout_labels"]

SUFFIXES = (".csv", ".tsv", ".ecsv", ".parquet", ".vot", ".votable", ".xml", ".txt", ".fits", ".fit", ".dat")
DEFAULT_WINDOW = 128
"""Side of a cutout around a position, unless asked otherwise [pixel]."""

_NAMES = {
    "path": ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "image_file"),
    "label": ("label", "labels", "class", "classes", "class_name", "morphology", "target", "type"),
    "split": ("split", "subset", "partition"),
    "cutout_id": ("cutout_id",),
    "size": ("window_size", "cutout_size"),
    "mosaic": ("mosaic", "field"),
}

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def fits(path: Path) -> bool:
    """Tell whether a path can be a table."""
    return path.is_file() and path.name.lower().endswith(tuple(s + z for s in SUFFIXES for z in ("", ".gz")))


def companions(path: Path, request: Request) -> list[str]:
    """Return the images whose paths the table holds."""
    columns = _columns(path, request)
    if "path" not in columns:
        return []
    return sorted({str(_resolve(path, name)) for name in columns["path"]})


def read(path: Path, request: Request) -> LabelledSet:
    """Read a table.

    With paths (relative ones start at the table's folder), a row is a whole image; or, where there are positions (ra,
    dec or x, y) and `window_size` is asked for or the table has no ra, dec, a window of it. With positions alone, a row
    is a window of the map of `request.mosaics` in which it lies farthest from the edge.

    Raises
    ------
    RequestError
        If there are no labels, neither paths nor positions, or no position lies on a map.
    """
    columns = _columns(path, request)
    if "label" not in columns:
        raise RequestError(f"{path} has no column of labels; name it with --columns label=COLUMN.")
    labels = [label_texts(value) for value in columns["label"]]
    split = [None if v is None else str(v) for v in columns["split"]] if "split" in columns else None
    if "path" in columns:
        places = [str(_resolve(path, name)) for name in columns["path"]]
        files = tuple(dict.fromkeys(places))
        number = {name: i for i, name in enumerate(files)}
        file = np.array([number[name] for name in places], np.int64)
        sky = _optional_sources(path, request)
        if sky is not None and (request.window_size is not None or not _finite(sky, "ra").any()):
            return _windows_of(path, request, columns, files, labels, split, sky, file)
        ra, dec = (None, None) if sky is None else (_finite(sky, "ra"), _finite(sky, "dec"))
        return LabelledSet(files, file, labels, split=split, ra=ra, dec=dec)
    if not request.mosaics:
        raise RequestError(f"{path} has no column of paths; say which maps its positions lie on with --mosaics.")
    sky = _sources(path, request)
    return _windows_of(path, request, columns, request.mosaics, labels, split, sky, None)


def read_cutout_labels(path: Path, request: Request) -> dict[str, list[str]] | None:
    """Return `cutout_id` -> labels of a table that has them, else None."""
    columns = _columns(path, request)
    if "cutout_id" not in columns or "label" not in columns:
        return None
    found: dict[str, list[str]] = {}
    for id_, value in zip(columns["cutout_id"], columns["label"], strict=True):
        known = found.setdefault(str(id_), [])
        known += [text for text in label_texts(value) if text not in known]
    return found


def edge_distance(x: FloatArray, y: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Return how far positions lie from the nearest edge of an image (ny, nx) [pixel]; negative outside."""
    ny, nx = shape
    return np.minimum(np.minimum(x + 0.5, nx - 0.5 - x), np.minimum(y + 0.5, ny - 0.5 - y))


def _windows_of(
    path: Path,
    request: Request,
    columns: dict[str, list[Any]],
    files: Sequence[str],
    labels: list[list[str]],
    split: list[str | None] | None,
    sky: Any,
    owner: IntArray | None,
) -> LabelledSet:
    """Cut a window around each position: in its own file, or in the map that shows it best."""
    from skysift.sky.mosaic import inspect_mosaic

    count = len(labels)
    best = np.full(count, -1.0)
    file, centre = np.full(count, -1, np.int64), np.zeros((count, 2))
    for number, name in enumerate(files):
        info = inspect_mosaic(name, hdu=request.hdu, plane=request.plane, positions=request.positions)
        rows, x, y = _locate(sky, info)
        if owner is not None:
            mine = owner[rows] == number
            rows, x, y = rows[mine], x[mine], y[mine]
        margin = edge_distance(x, y, info.shape)
        better = margin > best[rows]
        rows = rows[better]
        best[rows], file[rows], centre[rows] = margin[better], number, np.stack([x, y], axis=1)[better]
    kept = np.flatnonzero(file >= 0)
    if not len(kept):
        raise RequestError(f"None of the {count} positions of {path} lies on the maps: check positions and --mosaics.")
    side = np.full(count, request.window_size or DEFAULT_WINDOW, np.int64)
    if "size" in columns and request.window_size is None:
        side = np.array([int(value) for value in columns["size"]], np.int64)
    corner = np.floor(centre - side[:, None] / 2 + 1).astype(np.int64)
    windows = np.concatenate([corner, side[:, None], side[:, None]], axis=1)
    return LabelledSet(
        files=tuple(files),
        file=file[kept],
        labels=[labels[i] for i in kept],
        windows=windows[kept],
        split=None if split is None else [split[i] for i in kept],
        off_map=count - len(kept),
    )


def _locate(sky: Any, info: MosaicInfo) -> tuple[IntArray, FloatArray, FloatArray]:
    from skysift.sky.sources import locate_sources

    found = locate_sources(sky, info)
    return found.rows, found.x, found.y


def _sources(path: Path, request: Request) -> Any:
    from skysift.sky.sources import read_sources

    ours = {"label", "path", "split", "cutout_id", "size", "images"}
    return read_sources(str(path), {key: name for key, name in request.columns.items() if key not in ours} or None)


def _optional_sources(path: Path, request: Request) -> Any | None:
    """Return the positions of a table that may have none."""
    try:
        return _sources(path, request)
    except RequestError as error:
        if "no columns of positions" in str(error):
            return None
        raise


def _finite(table: Any, name: str) -> FloatArray:
    return np.asarray(table.column(name).to_numpy(zero_copy_only=False), np.float64)


def _columns(path: Path, request: Request) -> dict[str, list[Any]]:
    """Return the columns that mean something, as lists, by meaning."""
    from skysift.sky.lists.raw import read_raw

    raw = read_raw(str(path))
    if not raw.rows:
        raise RequestError(f"{path} has no rows; give a table with at least one labelled image.")
    lower = {name.lower(): name for name in raw.columns}
    found: dict[str, list[Any]] = {}
    for key, names in _NAMES.items():
        wanted = request.columns.get(key)
        if wanted is not None and wanted not in raw.columns:
            raise RequestError(f"{path} has no column {wanted!r} for {key}; it has {', '.join(raw.columns)}.")
        name = wanted or next((lower[n] for n in names if n in lower), None)
        if name is not None:
            found[key] = raw.columns[name].tolist()
    if "path" in found and not all(isinstance(value, str) for value in found["path"]):
        if "path" in request.columns:
            raise RequestError(f"{path}: the column {request.columns['path']!r} does not hold a path in every row.")
        del found["path"]
    return found


def _resolve(table: Path, name: str) -> str:
    if "://" in name:
        return name
    place = Path(name).expanduser()
    place = place if place.is_absolute() else table.parent / place
    if not place.is_file():
        raise RequestError(f"{table} names {name}, but there is no file {place}; correct the table.")
    return str(place.resolve())
