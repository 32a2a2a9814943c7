"""What every reader of a format offers, and the two ways of having pixels: an array, or blocks fetched on demand."""

from __future__ import annotations

import mmap
import os
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

RESIDENT = 1 << 30  # bytes of a mapped file that may count as this process's memory, roughly
_FAULT = 64 << 10  # bytes that Linux maps around a page when it is first touched


class Reader(ABC):
    """Pixels of the planes of one file.

    Attributes
    ----------
    shape : tuple of int
        (ny, nx) of every plane [pixel].
    planes : int
        How many.
    """

    shape: tuple[int, int]
    planes: int

    @abstractmethod
    def fill(self, plane: int, y0: int, y1: int, x0: int, x1: int, out: FloatArray) -> None:
        """Write the section [y0:y1, x0:x1] of a plane, which lies inside the mosaic, into `out` (y1-y0, x1-x0)."""

    def view(self, plane: int) -> npt.NDArray[Any] | None:  # noqa: ARG002 - readers without an array ignore the plane
        """The plane as an array whose values need no scaling, or None where there is none."""
        return None

    def note(self, rows: int) -> None:  # noqa: B027 - only mapped files take notice
        """Hear that so many rows of windows were read through `view` or `fill`."""

    @abstractmethod
    def release(self) -> None:
        """Let go of memory that only speeds up the next read."""

    @abstractmethod
    def close(self) -> None:
        """Close what is open; further reads are errors."""


class ArrayReader(Reader):
    """Planes of an array, in memory or memory-mapped.

    Parameters
    ----------
    array : ndarray
        Any number type and byte order.
    """

    def __init__(self, array: npt.NDArray[Any]) -> None:
        # a plain ndarray slices several times faster than np.memmap, which it keeps open as its base
        self._map = getattr(array, "_mmap", None)
        self._huge = array.nbytes > RESIDENT
        self._rows = 0
        self._array = np.asarray(array)

    @abstractmethod
    def plane_array(self, plane: int) -> npt.NDArray[Any]:
        """The plane [y, x], as stored."""

    def view(self, plane: int) -> npt.NDArray[Any] | None:
        """The plane as stored; subclasses that scale give None."""
        return self.plane_array(plane)

    def fill(self, plane: int, y0: int, y1: int, x0: int, x1: int, out: FloatArray) -> None:
        """Copy, with conversion to float32."""
        with np.errstate(over="ignore"):  # a double too large for float32 is infinite, which reads as no data
            out[...] = self.plane_array(plane)[y0:y1, x0:x1]

    def note(self, rows: int) -> None:
        """Release the mapping now and then, so that random reads of a huge mosaic do not pile up its pages."""
        if self._huge:
            self._rows += rows
            if self._rows * _FAULT >= RESIDENT:
                self.release()

    def release(self) -> None:
        """Drop the pages of the mapped file from this process; they stay in the system's page cache."""
        self._rows = 0
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Forget the array; the mapping ends with its last view."""
        self._array = np.empty((0, 0), np.float32)
        self._map = None


class BlockReader(Reader):
    """Planes that are fetched and kept by blocks, for tile-compressed and remote files.

    Subclasses give `fetch`, which is called by one thread at a time.

    Parameters
    ----------
    shape : tuple of int
        (ny, nx) of the planes [pixel].
    planes : int
        How many.
    block : tuple of int
        (rows, columns) of a block [pixel].
    memory : int
        Bytes of blocks to keep.
    """

    def __init__(self, shape: tuple[int, int], planes: int, block: tuple[int, int], memory: int = 128 << 20) -> None:
        self.shape, self.planes = shape, planes
        self._block = (min(block[0], shape[0]), min(block[1], shape[1]))
        self._room = max(4, memory // (4 * self._block[0] * self._block[1]))
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._kept: OrderedDict[tuple[int, int, int], FloatArray] = OrderedDict()

    @abstractmethod
    def fetch(self, plane: int, y0: int, y1: int, x0: int, x1: int) -> FloatArray:
        """Read a section that lies inside the mosaic."""

    @abstractmethod
    def reopen(self) -> None:
        """Open the file anew, after a fork."""

    def fill(self, plane: int, y0: int, y1: int, x0: int, x1: int, out: FloatArray) -> None:
        """Assemble the section from its blocks."""
        if self._pid != os.getpid():  # a forked child must not share the parent's file position
            self._start()
            self.reopen()
        rows, columns = self._block
        for j in range(y0 // rows, (y1 - 1) // rows + 1):
            for i in range(x0 // columns, (x1 - 1) // columns + 1):
                block = self._get(plane, j, i)
                by, bx = j * rows, i * columns
                ya, yb = max(y0, by), min(y1, by + rows)
                xa, xb = max(x0, bx), min(x1, bx + columns)
                out[ya - y0 : yb - y0, xa - x0 : xb - x0] = block[ya - by : yb - by, xa - bx : xb - bx]

    def _get(self, plane: int, j: int, i: int) -> FloatArray:
        key = (plane, j, i)
        with self._lock:
            block = self._kept.get(key)
            if block is None:
                rows, columns = self._block
                y1, x1 = min((j + 1) * rows, self.shape[0]), min((i + 1) * columns, self.shape[1])
                block = self._kept[key] = self.fetch(plane, j * rows, y1, i * columns, x1)
                while len(self._kept) > self._room:
                    self._kept.popitem(last=False)
            else:
                self._kept.move_to_end(key)
            return block

    def release(self) -> None:
        """Forget the blocks."""
        with self._lock:
            self._kept.clear()
