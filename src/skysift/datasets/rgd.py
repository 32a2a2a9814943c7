"""RGD, the Radio Galaxy Dataset: FIRST images of FR-I, FR-II, compact and bent sources, with a division.

Griese et al. 2023 (Data in Brief 47, 108974; doi:10.1016/j.dib.2023.108974), files at
https://zenodo.org/records/7120632, described in the README of https://github.com/floriangriese/RadioGalaxyDataset: the
folder `galaxy_data` of `galaxy_data.zip` holds `all`, `train`, `valid` and `test`, each with the folders `FRI`, `FRII`,
`Compact` and `Bent` of PNG images named `RA_DEC_LABEL_SOURCE.png` (degrees; number of the class; catalogue), such as
`14.084_-9.608_3_MiraBest.png`. `all` repeats the other three and is left aside where they are there. The same images as
HDF5 (`galaxy_data_h5.zip`) are not read.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from skysift.datasets.labelled import LabelledSet, Request
from skysift.errors import RequestError

__all__ = ["companions", "fits", "read"]

CLASSES = ("FRI", "FRII", "Compact", "Bent")
"""In the order of their numbers, 0-3."""
PARTS = {"train": "train", "valid": "validation", "test": "test"}
_NAME = re.compile(r"(?P<ra>\d+(?:\.\d+)?)_(?P<dec>-?\d+(?:\.\d+)?)_(?P<label>[0-3])_(?P<source>.+)\.png")


def fits(path: Path) -> bool:
    """Tell whether a path is the folder `galaxy_data`, or one that holds it."""
    return _root(path) is not None


def companions(path: Path, request: Request) -> list[str]:  # noqa: ARG001 - one signature for all formats
    """Return the further files that belong to the set: the folder holds all."""
    return []


def read(path: Path, request: Request) -> LabelledSet:  # noqa: ARG001 - one signature for all formats
    """Read the folder.

    Raises
    ------
    RequestError
        If an image is not named as published, or its number and its folder name different classes.
    """
    root = _root(path)
    parts = [part for part in PARTS if root is not None and (root / part).is_dir()] or ["all"]
    files: list[str] = []
    labels: list[list[str]] = []
    split: list[str | None] = []
    places: list[tuple[float, float]] = []
    for part in parts:
        for number, name in enumerate(CLASSES):
            for image in sorted((root / part / name).glob("*.png")) if root is not None else []:
                found = _NAME.fullmatch(image.name)
                if found is None or int(found["label"]) != number:
                    raise RequestError(
                        f"{image} is not named RA_DEC_{number}_SOURCE.png, as {name} of the Radio Galaxy Dataset is; "
                        "correct the name, or unpack galaxy_data.zip again."
                    )
                files.append(str(image))
                labels.append([name])
                split.append(PARTS.get(part))
                places.append((float(found["ra"]), float(found["dec"])))
    if not files:
        raise RequestError(
            f"{path} has the folders of the Radio Galaxy Dataset, but no image in them; unpack it again."
        )
    ra, dec = np.array(places, np.float64).T
    return LabelledSet(
        files=tuple(files),
        file=np.arange(len(files)),
        labels=labels,
        ra=ra,
        dec=dec,
        split=split if any(split) else None,
        classes=CLASSES,
    )


def _root(path: Path) -> Path | None:
    """Return the folder that holds `all` or the parts, each with one folder a class."""
    for folder in (path, path / "galaxy_data"):
        if all((folder / "all" / name).is_dir() for name in CLASSES):
            return folder
    return None
