"""Labelled sets in the form of Cecconello et al. 2024 (arXiv:2411.14078): images listed in `info.json`.

VLASS, ROBIN (the paper's MSRS), MiraBest, RGZ and FRG as read by `solo/data` of https://github.com/dr4thmos/solo-learn-radio
(`root/info.json`, pandas' `orient="index"`): an object of entries, each with `target_path`, the image relative to the
folder, and `source_type`, its class.

    {"0": {"target_path": "img/0001.npy", "source_type": "1C-1P"}, ...}

Images are `.npy` (VLASS, MiraBest), FITS (RGZ, ROBIN) or PNG (FRG). Variants of the list (`info_wo_nan.json`,
`info_full_downsampled_min.json`) are named by their path. A `source_type` that is a list, and `ra` and `dec` [deg], are
taken as well. The sets themselves are had from the authors; which classes they hold is not fixed here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from skysift.datasets.labelled import LabelledSet, Request
from skysift.datasets.labels import label_texts
from skysift.errors import RequestError

__all__ = ["companions", "fits", "read"]

LIST = "info.json"
IMAGE, LABEL = "target_path", "source_type"


def fits(path: Path) -> bool:
    """Tell whether a path is a folder with `info.json`, or such a list."""
    return _list(path) is not None


def companions(path: Path, request: Request) -> list[str]:
    """Return the images, where the list is named and not its folder."""
    return [] if path.is_dir() else list(read(path, request).files)


def read(path: Path, request: Request) -> LabelledSet:
    """Read the list.

    Raises
    ------
    RequestError
        If it is no such list, or an image is missing.
    """
    listing = _list(path) or path
    entries = _entries(listing)
    if not entries:
        example = f'{{"0": {{"{IMAGE}": "IMAGE", "{LABEL}": "CLASS"}}, ...}}'
        raise RequestError(f"{listing} is no list of images; write {example}.")
    column = {"path": request.columns.get("path", IMAGE), "label": request.columns.get("label", LABEL)}
    places: list[str] = []
    for number, entry in enumerate(entries):
        for meaning, name in column.items():
            if name not in entry:
                there = ", ".join(map(str, entry))
                raise RequestError(
                    f"{listing}: entry {number} has no {name}, but {there}; name it with --columns {meaning}=NAME."
                )
        image = listing.parent / str(entry[column["path"]])
        if not image.is_file():
            raise RequestError(
                f"{listing} names {entry[column['path']]}, but there is no file {image}; correct the list."
            )
        places.append(str(image.resolve()))
    files = tuple(dict.fromkeys(places))
    index = {name: i for i, name in enumerate(files)}
    known = all("ra" in entry and "dec" in entry for entry in entries)
    return LabelledSet(
        files=files,
        file=np.array([index[name] for name in places], np.int64),
        labels=[label_texts(entry[column["label"]]) for entry in entries],
        ra=np.array([_number(entry["ra"]) for entry in entries]) if known else None,
        dec=np.array([_number(entry["dec"]) for entry in entries]) if known else None,
        split=[str(entry["split"]) for entry in entries] if all("split" in entry for entry in entries) else None,
    )


def _list(path: Path) -> Path | None:
    if path.is_dir():
        return path / LIST if (path / LIST).is_file() else None
    return path if path.is_file() and path.suffix.lower() == ".json" and _entries(path) else None


def _entries(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a list; none where the JSON holds something else."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} is no JSON ({error}); correct it.") from None
    entries = list(content.values()) if isinstance(content, dict) else content
    return entries if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries) else []


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
