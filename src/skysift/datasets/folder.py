"""Folders of images, one folder a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skysift.datasets.labelled import IMAGE_SUFFIXES, LabelledSet, Request
from skysift.datasets.labels import natural_order
from skysift.errors import RequestError

__all__ = ["companions", "fits", "read"]

SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")


def fits(path: Path) -> bool:
    """Tell whether a path is a folder of folders of images."""
    return bool(_classes(path)) or bool(_splits(path))


def companions(path: Path, request: Request) -> list[str]:  # noqa: ARG001 - one signature for all formats
    """Return the further files that belong to the set: the folder holds all."""
    return []


def read(path: Path, request: Request) -> LabelledSet:  # noqa: ARG001 - one signature for all formats
    """Read a folder; where the classes lie in folders `train`, `test` ..., these are the split.

    Raises
    ------
    RequestError
        If a class has no image.
    """
    files: list[str] = []
    labels: list[list[str]] = []
    split: list[str | None] = []
    for part in _splits(path) or [path]:
        for folder in _classes(part):
            images = _images(folder)
            if not images:
                raise RequestError(f"{folder} holds no image ({', '.join(IMAGE_SUFFIXES)}); remove it, or fill it.")
            files += [str(image) for image in images]
            labels += [[folder.name]] * len(images)
            split += [part.name.lower() if part != path else None] * len(images)
    return LabelledSet(
        files=tuple(files),
        file=np.arange(len(files)),
        labels=labels,
        split=split if any(split) else None,
        classes=tuple(sorted({label for entry in labels for label in entry}, key=natural_order)),
    )


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(p for p in path.iterdir() if p.is_dir() and p.name[0] != ".")


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.name.lower().endswith(IMAGE_SUFFIXES) and p.name[0] != ".")


def _splits(path: Path) -> list[Path]:
    folders = _folders(path)
    if folders and all(p.name.lower() in SPLITS and _classes(p) for p in folders):
        return folders
    return []


def _classes(path: Path) -> list[Path]:
    folders = _folders(path)
    if not any(any(p.name.lower().endswith(IMAGE_SUFFIXES) for p in folder.iterdir()) for folder in folders):
        return []
    return folders
