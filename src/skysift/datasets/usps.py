"""Digits of the US Postal Service, 16 x 16 pixels (Hull 1994), as libsvm hands them out.

`usps.bz2` (7,291 for training) and `usps.t.bz2` (2,007 for the test) of
https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html#usps: a line `label index:value ...` an image,
the label 1-10 standing for the digit 0-9, values in [-1, 1]. Any set of square images in that form is read. The HDF5
that goes round (`usps.h5`) is not: it needs h5py, which is no dependency.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skysift.datasets.labelled import LabelledSet, Request
from skysift.errors import RequestError

__all__ = ["companions", "fits", "read"]

DIGITS = "usps"


def fits(path: Path) -> bool:
    """Tell whether a path is a file of libsvm compressed with bzip2, or a folder with such files alone."""
    return bool(_files(path))


def companions(path: Path, request: Request) -> list[str]:  # noqa: ARG001 - one signature for all formats
    """Return the further files that belong to the set: none, or the folder holds them."""
    return []


def read(path: Path, request: Request) -> LabelledSet:  # noqa: ARG001 - one signature for all formats
    """Read the files; `NAME.t.bz2` is the test of `NAME.bz2`.

    Raises
    ------
    RequestError
        If images are not square, or labels of USPS are no digits.
    SkysiftError
        If a file is damaged.
    """
    from skysift.sky.formats.decoded import read_libsvm

    file, planes, labels, split = [], [], [], list[str | None]()
    files = _files(path)
    for number, name in enumerate(files):
        found = read_libsvm(str(name))[1]
        digits = name.name.startswith(DIGITS)
        if digits and not set(found) <= set(range(1, 11)):
            raise RequestError(f"{name}: labels of USPS are 1-10 for the digits 0-9; fetch it again.")
        file += [number] * len(found)
        planes += list(range(len(found)))
        labels += [[str(label - 1 if digits else label)] for label in found]
        split += ["test" if name.name.endswith(".t.bz2") else "train"] * len(found)
    return LabelledSet(
        files=tuple(str(name) for name in files),
        file=np.array(file, np.int64),
        planes=np.array(planes, np.int64),
        labels=labels,
        split=split if len(set(split)) > 1 else None,
    )


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.name.endswith(".bz2") and not path.name.endswith(".tar.bz2") else []
    inside = sorted(path.iterdir()) if path.is_dir() else []
    files = [p for p in inside if p.is_file() and p.name.endswith(".bz2") and not p.name.endswith(".tar.bz2")]
    others = [p for p in inside if p not in files and p.name[0] != "." and not p.name.lower().startswith("readme")]
    return [] if others else files
