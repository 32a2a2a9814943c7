"""Copying the pixels of selected cutouts into one memory-mapped array."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from skysift.cutouts.pixels import MASKS, OFFSETS, PIXELS, PixelSource

__all__ = ["PackTask", "pack_rows", "plan_pack", "prepare_pack"]

IntArray = npt.NDArray[np.int64]

_TASK_PIXELS = 1 << 24
_BATCH_PIXELS = 1 << 21


@dataclass(frozen=True)
class PackTask:
    """Rows [begin, end) of a catalogue whose pixels one worker copies.

    Attributes
    ----------
    source : PixelSource
        Where the pixels come from.
    folder : str
        Where its files grow.
    begin, end : int
        Rows.
    first_pixel : int
        Where the first row begins in the flat array.
    masks : bool
        Whether to copy masks too.
    """

    source: PixelSource
    folder: str
    begin: int
    end: int
    first_pixel: int
    masks: bool


def plan_pack(source: PixelSource, folder: Path, masks: bool) -> Iterator[PackTask]:
    """Divide a catalogue into tasks of similar size; the division depends on the catalogue alone."""
    offsets = _offsets(source)
    cuts = np.flatnonzero(np.diff(offsets[:-1] // _TASK_PIXELS)) + 1
    bounds = [0, *cuts.tolist(), len(source)]
    for begin, end in pairwise(bounds):
        yield PackTask(source, str(folder), begin, end, int(offsets[begin]), masks)


def prepare_pack(source: PixelSource, folder: Path, masks: bool) -> list[Path]:
    """Write the offsets, and the array files at full length; what is in them already stays. Return the files."""
    offsets = _offsets(source)
    np.save(folder / OFFSETS, offsets)
    written = [folder / OFFSETS]
    for name, dtype in [(PIXELS, np.dtype("<f4"))] + ([(MASKS, np.dtype("u1"))] if masks else []):
        header, path = _header(dtype, int(offsets[-1])), folder / name
        with path.open("r+b" if path.exists() else "w+b") as stream:
            stream.write(header)
            stream.truncate(len(header) + int(offsets[-1]) * dtype.itemsize)
        written.append(path)
    return written


def pack_rows(task: PackTask, done: Path) -> None:
    """Copy the pixels of a task into their place, and leave the file `done`."""
    offsets = _offsets(task.source)
    total = int(offsets[-1])
    sizes = np.diff(offsets)
    folder = Path(task.folder)
    stop = task.begin
    while stop < task.end:
        start = stop
        filled = np.cumsum(sizes[start : task.end])
        stop = start + max(1, int(np.searchsorted(filled, _BATCH_PIXELS, side="right")))
        rows = np.arange(start, stop)
        pixels = np.concatenate([image.ravel() for image in task.source.read(rows)])
        _write(folder / PIXELS, np.dtype("<f4"), total, int(offsets[start]), pixels)
        if task.masks:
            flat = np.concatenate([mask.ravel() for mask in task.source.read_masks(rows)])
            _write(folder / MASKS, np.dtype("u1"), total, int(offsets[start]), flat)
    done.touch()


def _write(path: Path, dtype: np.dtype[np.generic], total: int, begin: int, values: npt.NDArray[np.generic]) -> None:
    position = len(_header(dtype, total)) + begin * dtype.itemsize
    data = memoryview(values.astype(dtype, copy=False).tobytes())
    handle = os.open(path, os.O_WRONLY)
    try:
        while len(data):
            written = os.pwrite(handle, data, position)
            data, position = data[written:], position + written
    finally:
        os.close(handle)


def _offsets(source: PixelSource) -> IntArray:
    sizes = source.sizes
    return np.concatenate([[0], np.cumsum(sizes[:, 0] * sizes[:, 1])]).astype(np.int64)


def _header(dtype: np.dtype[np.generic], length: int) -> bytes:
    """Return the head of a .npy file of a one-dimensional array."""
    from io import BytesIO

    stream = BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)}
    )
    return stream.getvalue()
