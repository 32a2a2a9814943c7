"""The training set, preprocessed once: memory-mapped arrays beside the checkpoints, gone when the model is published.

Pixels are float16. Presets scale every channel to [0, 1], where float16 keeps 11 significant bits: an error of at
most 2.5e-4 near 1 and far less for faint emission, below 8-bit quantisation by a factor of 16 and with half the
memory of float32. Augmentation and network compute in float32.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from skysift.errors import RequestError, Stopped

if TYPE_CHECKING:
    from skysift.store.context import Context

IMAGES, VALID = "images.npy", "valid.npy"
CHUNK = 64
FLOAT16_MAX = 65504.0


class Pixels(Protocol):
    """What a pack is made from: `read(rows)` gives float32 images with NaN where there is no data."""

    def read(self, indices: NDArray[np.int64]) -> list[NDArray[np.float32]] | NDArray[np.float32]:
        """Return the images of these rows."""


Prepare = Callable[[Any, NDArray[np.int64]], tuple[Any, Any]]
"""Raw images and their rows -> float32 tensor (B, C, S, S) and its mask of valid pixels (B, 1, S, S)."""


@dataclass(frozen=True)
class Pack:
    """Preprocessed images on disk.

    Attributes
    ----------
    folder : Path
        Holds `images.npy`, float16 (N, C, S, S), and `valid.npy`, bool (N, 1, S, S).
    """

    folder: Path

    def images(self) -> NDArray[np.float16]:
        """Map the pixels; changes stay in memory (torch does not take read-only arrays)."""
        array: NDArray[np.float16] = np.load(self.folder / IMAGES, mmap_mode="c")
        return array

    def valid(self) -> NDArray[np.bool_]:
        """Map the masks, True where there is data."""
        array: NDArray[np.bool_] = np.load(self.folder / VALID, mmap_mode="c")
        return array

    def __len__(self) -> int:
        return len(self.images())

    @property
    def nbytes(self) -> int:
        """Bytes of both arrays."""
        return self.images().nbytes + self.valid().nbytes


def prepare_pack(
    context: Context,
    pixels: Pixels,
    count: int,
    prepare: Prepare,
    *,
    channels: int,
    size: int,
    folder: Path | None = None,
) -> Pack:
    """Preprocess all cutouts into `context.scratch`, in chunks on the engine; finished chunks survive a kill.

    Parameters
    ----------
    context : Context
        Gives folder and workers.
    pixels : Pixels
        Where the cutouts are read; picklable.
    count : int
        Number of cutouts.
    prepare : callable
        The preprocessing; picklable.
    channels, size : int
        Shape of what it returns, (B, channels, size, size).
    folder : Path, optional
        Where in it; `pack` by default.

    Returns
    -------
    Pack

    Raises
    ------
    RequestError
        If a value is infinite or beyond float16.
    Stopped
        On a clean stop.
    """
    pack = Pack(folder or context.scratch / "pack")
    pack.folder.mkdir(exist_ok=True)
    _allocate(pack.folder / IMAGES, (count, channels, size, size), np.dtype(np.float16))
    _allocate(pack.folder / VALID, (count, 1, size, size), np.dtype(np.bool_))
    chunks = [(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    missing = [chunk for chunk in chunks if not _marker(pack.folder, chunk).exists()]
    work = partial(_prepare_chunk, pack, pixels, prepare)
    for _ in context.engine.map(work, missing, label="preprocess", done=len(chunks) - len(missing)):
        if context.should_stop():
            raise Stopped("while preprocessing the cutouts; the same command carries on from there")
    return pack


def forget_progress(pack: Pack) -> None:
    """Remove what says which chunks are finished, before the arrays go elsewhere: a kill then begins anew."""
    for marker in pack.folder.glob("*.done"):
        marker.unlink()


def _marker(folder: Path, chunk: tuple[int, int]) -> Path:
    """Return the file that says that a chunk is finished."""
    return folder / f"{chunk[0]:09d}-{chunk[1]:09d}.done"


def _allocate(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Make a sparse array file of zeros unless it is there."""
    if not path.exists():
        partial_path = path.with_suffix(".partial")
        np.lib.format.open_memmap(partial_path, mode="w+", dtype=dtype, shape=shape).flush()
        partial_path.replace(path)


def _prepare_chunk(pack: Pack, pixels: Pixels, prepare: Prepare, chunk: tuple[int, int]) -> None:
    """Write the rows of one chunk in place, then the file that says so."""
    start, stop = chunk
    rows = np.arange(start, stop)
    images, valid = prepare(pixels.read(rows), rows)
    pixels_out = images.numpy()
    if not np.isfinite(pixels_out).all() or float(np.abs(pixels_out).max()) > FLOAT16_MAX:
        raise RequestError(
            f"preprocessing left infinite or huge values in cutouts {start} to {stop - 1}; choose a preset that "
            "scales to [0, 1]"
        )
    _write_rows(pack.folder / IMAGES, start, pixels_out.astype(np.float16))
    _write_rows(pack.folder / VALID, start, valid.numpy() > 0)
    _marker(pack.folder, chunk).touch()


def _write_rows(path: Path, start: int, rows: NDArray[Any]) -> None:
    """Overwrite rows of a `.npy` file; by plain writes, which several machines can do to one shared file."""
    offset = np.load(path, mmap_mode="r").offset
    with path.open("rb+") as handle:
        handle.seek(offset + start * rows[0].nbytes)
        handle.write(np.ascontiguousarray(rows).data)
        handle.flush()
        os.fsync(handle.fileno())
