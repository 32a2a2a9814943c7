"""idx files, the format of MNIST: images, and labels in a second file beside them."""

from __future__ import annotations

import gzip
import re
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from skysift.datasets.labelled import LabelledSet, Request
from skysift.errors import RequestError, SkysiftError

__all__ = ["companions", "fits", "read"]

_IMAGES = re.compile(r"(?P<part>.*)-?images[-.]idx3-ubyte(\.gz)?$")
_SPLITS = {"train": "train", "t10k": "test", "test": "test"}


def fits(path: Path) -> bool:
    """Tell whether a path is an idx file of images, or a folder with such files."""
    return bool(_image_files(path))


def companions(path: Path, request: Request) -> list[str]:  # noqa: ARG001 - one signature for all formats
    """Return the file of labels; a folder holds it already."""
    return [str(_label_file(path))] if path.is_file() else []


def read(path: Path, request: Request) -> LabelledSet:  # noqa: ARG001 - one signature for all formats
    """Read images and labels; several pairs of files (train, t10k) become one set with a split.

    Raises
    ------
    RequestError
        If the labels are missing or of another number.
    SkysiftError
        If a file is damaged.
    """
    from skysift.sky.mosaic import inspect_mosaic

    files = _image_files(path)
    file, planes, labels, split = [], [], [], list[str | None]()
    for number, images in enumerate(files):
        found = read_labels(_label_file(images))
        count = inspect_mosaic(str(images), plane=0).planes
        if len(found) != count:
            raise RequestError(f"{images} holds {count} images, but {_label_file(images)} {len(found)} labels.")
        file += [number] * count
        planes += list(range(count))
        labels += [[str(label)] for label in found.tolist()]
        part = _IMAGES.match(images.name)
        split += [_SPLITS.get(part["part"].rstrip("-") if part else "")] * count
    return LabelledSet(
        files=tuple(str(f) for f in files),
        file=np.array(file, np.int64),
        planes=np.array(planes, np.int64),
        labels=labels,
        split=split if len(set(split)) > 1 else None,
    )


def read_labels(path: Path) -> npt.NDArray[np.uint8]:
    """Read an idx file of one byte a label."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise SkysiftError(f"{path} is damaged ({error}); fetch it again.") from error
    if len(data) < 8 or data[:4] != b"\0\0\x08\x01":
        raise RequestError(f"{path} is not an idx file of labels (one byte each); fetch it again.")
    (count,) = struct.unpack(">I", data[4:8])
    if len(data) != 8 + count:
        raise SkysiftError(f"{path} is truncated: {len(data) - 8} of {count} labels; fetch it again.")
    return np.frombuffer(data, np.uint8, offset=8)


def _image_files(path: Path) -> list[Path]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in files if file.is_file() and _IMAGES.match(file.name)]


def _label_file(images: Path) -> Path:
    plain = images.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    for name in (plain, plain + ".gz"):
        if (images.parent / name).is_file():
            return images.parent / name
    raise RequestError(f"{images} has no labels: put {plain} (or {plain}.gz) beside it.")
