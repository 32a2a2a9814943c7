"""Stacks of images that are decoded as a whole: pickled batches in the manner of CIFAR-10, and libsvm's text.

Decoded once, they lie as plain arrays in the cache (`SKYSIFT_CACHE`) and are memory-mapped from there.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError, SkysiftError
from skysift.sky.cache import open_cached
from skysift.sky.files import local_path, open_seekable
from skysift.sky.formats.unpickle import read_plain_pickle

__all__ = ["Batch", "open_decoded", "read_batch", "read_libsvm"]


@dataclass(frozen=True)
class Batch:
    """N images with their labels.

    Attributes
    ----------
    images : ndarray, shape (N, H, H)
        As stored.
    labels : list of int
        Class number of each.
    names : list of str
        Names of the files that they were made of; empty where the batch has none.
    """

    images: npt.NDArray[Any]
    labels: list[int]
    names: list[str]


def read_batch(path: str) -> Batch:
    """Read a pickled batch: a dictionary with `data`, `labels` (or `fine_labels`) and perhaps `filenames`.

    The form of MiraBest (Porter & Scaife 2023; `mirabest_builder.py` of github.com/fmporter/MiraBest_builder) and of
    FR-DEEP (Tang et al. 2019; `FRDEEP.py` of github.com/HongmingTang060313/FR-DEEP), after CIFAR-10: `data` holds one
    array of uint8 an image, square and grey, flat or not.

    Raises
    ------
    RequestError
        If it is no such dictionary.
    SkysiftError
        If it is damaged.
    """
    with open_seekable(path) as stream:
        content = read_plain_pickle(stream.read(), path)
    labels = content.get("labels", content.get("fine_labels"))
    if labels is None or "data" not in content:
        raise RequestError(f"{path} is a pickle without `data` and `labels`, so no batch of images; save it as .npz.")
    numbers = np.asarray(labels)
    if numbers.ndim != 1 or not len(numbers) or numbers.dtype.kind not in "iu":
        raise RequestError(f"{path}: `labels` is no list of class numbers; save images and labels as .npz.")
    names = content.get("filenames")
    names = [str(name) for name in names] if isinstance(names, list | np.ndarray) else []
    if names and len(names) != len(numbers):
        raise SkysiftError(f"{path} has {len(names)} file names for {len(numbers)} labels; fetch it again.")
    return Batch(_square(content["data"], len(numbers), path), numbers.tolist(), names)


def read_libsvm(path: str) -> tuple[npt.NDArray[np.float32], list[int]]:
    """Read images and labels of a file in libsvm's format, compressed with bzip2, a line `label index:value ...` each.

    The form of USPS at https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html#usps: 256 values in
    [-1, 1], row by row.

    Returns
    -------
    images : ndarray of float32, shape (N, H, H)
    labels : list of int
    """
    from sklearn.datasets import load_svmlight_file

    with open_seekable(path) as stream:
        try:
            text = bz2.decompress(stream.read())
            rows, labels = load_svmlight_file(io.BytesIO(text))
        except (OSError, EOFError, ValueError) as error:
            raise SkysiftError(f"{path} is damaged or not in libsvm's format ({error}); fetch it again.") from error
    return _square(rows.toarray().astype(np.float32), rows.shape[0], path), labels.astype(int).tolist()


def open_decoded(path: str, kind: str, map_npy: Callable[[BinaryIO, str], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Open the images of a file, decoding it into the cache where that was not done yet.

    Parameters
    ----------
    path : str
        File.
    kind : {"batch", "libsvm"}
        Its format.
    map_npy : callable
        Maps an open NumPy file into memory.
    """
    local = local_path(path)
    stat = None if local is None else local.stat()
    mark = (path if local is None else str(local.resolve()), kind, stat and (stat.st_size, stat.st_mtime_ns))

    def write(stream: IO[bytes]) -> None:
        images = read_batch(path).images if kind == "batch" else read_libsvm(path)[0]
        np.save(stream, images)

    key = hashlib.blake2b(repr(mark).encode(), digest_size=16).hexdigest()
    with open_cached(key, write, source=path) as stream:
        return map_npy(stream, path)


def _square(data: Any, count: int, path: str) -> npt.NDArray[Any]:
    """Lay rows of pixels out as square images."""
    pieces = data if isinstance(data, list) else [data]
    if not all(isinstance(piece, np.ndarray) and piece.dtype.kind in "biuf" for piece in pieces):
        raise RequestError(f"{path}: `data` holds no arrays of numbers; save images and labels as .npz.")
    flat = np.concatenate([piece.ravel() for piece in pieces]) if pieces else np.empty(0)
    side = math.isqrt(flat.size // count)
    if flat.size != count * side * side or not side:
        raise RequestError(
            f"{path}: {flat.size} pixels are not {count} square grey images; save images (N, height, width) as .npz."
        )
    return flat.reshape(count, side, side)
