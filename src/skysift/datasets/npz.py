"""NumPy archives with `images` (N, H, W) and `labels` (N,)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skysift.datasets.labelled import LabelledSet, Request
from skysift.datasets.labels import label_texts
from skysift.errors import RequestError

__all__ = ["companions", "fits", "read"]


def fits(path: Path) -> bool:
    """Tell whether a path is such an archive."""
    return path.is_file() and path.suffix.lower() == ".npz"


def companions(path: Path, request: Request) -> list[str]:  # noqa: ARG001 - one signature for all formats
    """Return the further files that belong to the set: none."""
    return []


def read(path: Path, request: Request) -> LabelledSet:
    """Read an archive.

    Beside `images` and `labels`: `classes` (names that integer labels count), `several` (N, C; which of `classes`
    each image has), `ra`, `dec` (ICRS [deg]), `split` (N, text).

    Raises
    ------
    RequestError
        If an array is missing, holds objects, or is of the wrong length.
    """
    from skysift.sky.mosaic import inspect_mosaic

    count = inspect_mosaic(str(path), plane=0).planes
    with np.load(path) as archive:
        names = {key: request.columns.get(key, key) for key in ("classes", "several", "ra", "dec", "split")}
        arrays = {key: _array(path, archive, name, count) for key, name in names.items() if name in archive.files}
        wanted = request.columns.get("label", "labels")
        if "several" not in arrays and wanted not in archive.files:
            others = ", ".join(name for name in archive.files if name != "images")
            remedy = f"say which of {others} it is with --columns label=NAME" if others else "add one label an image"
            raise RequestError(f"{path} has no array {wanted!r}; {remedy}.")
        labels = _array(path, archive, wanted, count) if wanted in archive.files else None
    classes = tuple(str(name) for name in arrays["classes"].tolist()) if "classes" in arrays else ()
    split = [str(text) for text in arrays["split"].tolist()] if "split" in arrays else None
    return LabelledSet(
        files=(str(path),),
        file=np.zeros(count, np.int64),
        planes=np.arange(count),
        labels=_labels(path, labels, arrays.get("several"), classes, count),
        ra=arrays["ra"].astype(np.float64) if "ra" in arrays and "dec" in arrays else None,
        dec=arrays["dec"].astype(np.float64) if "ra" in arrays and "dec" in arrays else None,
        split=list(split) if split is not None else None,
        classes=classes,
    )


def _array(path: Path, archive: Any, name: str, count: int) -> Any:
    try:
        array = archive[name]
    except ValueError:
        raise RequestError(
            f"{path}: the array {name} holds Python objects (dtype object), which are not unpickled; save it again as "
            f"text or integers, {name}={name}.astype(str) or {name}.astype(int)."
        ) from None
    if name != "classes" and array.shape[:1] != (count,):
        raise RequestError(f"{path}: {name} has shape {array.shape} for {count} images; give one entry an image.")
    return array


def _labels(path: Path, labels: Any, several: Any, classes: tuple[str, ...], count: int) -> list[list[str]]:
    if several is not None and classes:
        if several.shape != (count, len(classes)):
            raise RequestError(f"{path}: several has shape {several.shape}, not ({count}, {len(classes)}).")
        return [[classes[i] for i in np.flatnonzero(row)] for row in several]
    if classes and labels is not None and labels.dtype.kind in "iu":
        if labels.size and labels.max() >= len(classes):
            raise RequestError(f"{path}: labels reach {labels.max()}, but there are {len(classes)} classes.")
        return [[classes[i]] if i >= 0 else [] for i in labels.tolist()]
    return [label_texts(value) for value in labels]
