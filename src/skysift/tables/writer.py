"""Writing one large array in blocks, such that a killed program carries on from the blocks that it finished."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from skysift.errors import SkysiftError


class RowWriter:
    """An array (N, D) that grows block by block in any order.

    Rows are written with plain writes, so that a full disk is an error and not a crash of the process (a memory map
    would be ended by SIGBUS). A block counts as finished once its bytes are on the disk and its number is in the
    journal beside the file.

    Parameters
    ----------
    path : Path
        The `.npy` file; its journal is `path` + `.blocks`. Both may be there from an earlier, killed run.
    shape : tuple of int
        N, D.
    dtype : str
        `float32` or `float16`.
    block : int
        Rows of a block; the last one may have fewer.

    Raises
    ------
    SkysiftError
        If a file of another shape or type lies there.
    """

    def __init__(self, path: Path, shape: tuple[int, int], dtype: str, block: int) -> None:
        self.path, self.shape, self.block = path, shape, block
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._journal = path.with_name(path.name + ".blocks")
        if not path.exists():
            self._journal.unlink(missing_ok=True)
        self._offset = self._start()
        self.done = self._finished()

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-self.shape[0] // self.block)

    @property
    def missing(self) -> list[int]:
        """Numbers of the blocks that are not finished."""
        return [number for number in range(self.blocks) if number not in self.done]

    def rows(self, number: int) -> range:
        """Return the rows of a block."""
        return range(number * self.block, min((number + 1) * self.block, self.shape[0]))

    def write(self, number: int, values: npt.NDArray[Any]) -> None:
        """Write a block and remember that it is finished.

        Raises
        ------
        ValueError
            If it has the wrong shape.
        OSError
            If the disk is full.
        """
        rows = self.rows(number)
        if values.shape != (len(rows), self.shape[1]):
            raise ValueError(f"block {number} has shape {values.shape}, not {(len(rows), self.shape[1])}")
        plain = np.ascontiguousarray(values, dtype=self.dtype)
        with self.path.open("r+b") as stream:
            stream.seek(self._offset + rows.start * self.shape[1] * self.dtype.itemsize)
            stream.write(plain.data)
            _flush(stream)
        with self._journal.open("a") as journal:
            journal.write(f"\n{number};")
            _flush(journal)
        self.done.add(number)

    def publish(self, target: Path) -> None:
        """Move the finished array to its place.

        Raises
        ------
        SkysiftError
            If blocks are missing.
        """
        if self.missing:
            raise SkysiftError(f"{self.path}: {len(self.missing)} of {self.blocks} blocks are not written yet.")
        self.path.replace(target)
        self._journal.unlink(missing_ok=True)

    def _start(self) -> int:
        """Write the header unless it is there; return where the rows begin [byte]."""
        if not self.path.exists():
            temporary = self.path.with_name(self.path.name + ".new")
            with temporary.open("wb") as stream:
                np.lib.format.write_array_header_1_0(
                    stream,
                    {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": self.shape},
                )
                _flush(stream)
            temporary.replace(self.path)
        with self.path.open("rb") as stream:
            try:
                np.lib.format.read_magic(stream)
                shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            except ValueError as error:
                raise SkysiftError(f"{self.path}: damaged ({error}); remove it and give the command again.") from error
            if (shape, dtype) != (self.shape, self.dtype):
                raise SkysiftError(f"{self.path}: {shape} {dtype}, not {self.shape} {self.dtype}; remove it.")
            return stream.tell()

    def _finished(self) -> set[int]:
        if not self._journal.exists():
            return set()
        # an entry without its end was being written when the program was killed
        lines = self._journal.read_text().split("\n")
        return {int(line[:-1]) for line in lines if line.endswith(";") and line[:-1].isdigit()}


def _flush(stream: Any) -> None:
    stream.flush()
    os.fsync(stream.fileno())
