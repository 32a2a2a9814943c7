"""Reading features: one row a cutout, memory-mapped, in the order of the catalogue beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError, SkysiftError

if TYPE_CHECKING:
    from skysift.store.artifact import Artifact

FEATURES, DESCRIPTION, CATALOGUE = "features.npy", "features.json", "catalogue.parquet"
CHUNK_ROWS = 65536


@dataclass(frozen=True)
class FeatureTable:
    """The features of a catalogue's cutouts.

    Attributes
    ----------
    array : ndarray, shape (N, D), float32 or float16
        Read-only and memory-mapped: rows are read from the disk when they are used.
    description : dict
        What `features.json` holds: `dim`, `dtype`, `rows`, and `encoder`.
    folder : Path
        Where its files are.

    Examples
    --------
    >>> table = FeatureTable.open(store.get("77ab"))
    >>> total = sum(chunk.sum(0, dtype="float64") for chunk in table.iter_chunks())
    """

    array: npt.NDArray[Any]
    description: dict[str, Any]
    folder: Path

    @classmethod
    def open(cls, where: Artifact | Path | str) -> FeatureTable:
        """Open the features of an artifact or in a folder.

        Raises
        ------
        RequestError
            If there are none.
        SkysiftError
            If they are damaged.
        """
        folder = Path(where) if isinstance(where, str | Path) else where.folder
        path = folder / FEATURES
        if not path.is_file():
            raise RequestError(f"{folder}: no {FEATURES} here; name an artifact that `skysift features` made.")
        try:
            array = np.load(path, mmap_mode="r")
            description: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text())
            expected = (int(description["rows"]), int(description["dim"]))
        except (OSError, ValueError, KeyError) as error:
            raise SkysiftError(f"{path}: damaged ({error}); `skysift verify` says what is wrong.") from error
        if array.shape != expected or array.dtype.name != description["dtype"]:
            raise SkysiftError(
                f"{path}: {array.shape} {array.dtype} where {DESCRIPTION} says {expected} {description['dtype']}; "
                "`skysift verify` says what is wrong."
            )
        return cls(array, description, folder)

    def __len__(self) -> int:
        return int(self.array.shape[0])

    @property
    def dim(self) -> int:
        """Length of a cutout's features."""
        return int(self.array.shape[1])

    @property
    def catalogue_path(self) -> Path:
        """The catalogue whose rows these are."""
        return self.folder / CATALOGUE

    def iter_chunks(self, rows: int = CHUNK_ROWS) -> Iterator[npt.NDArray[np.float32]]:
        """Yield all features in order, as float32 arrays in memory of at most `rows` rows.

        Raises
        ------
        ValueError
            If `rows` is not positive.
        """
        if rows < 1:
            raise ValueError(f"chunks of {rows} rows")
        for start in range(0, len(self), rows):
            yield np.array(self.array[start : start + rows], dtype=np.float32)

    def take(self, indices: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the features of some rows in the order asked for, as float32 in memory.

        The disk is read from front to back.

        Raises
        ------
        IndexError
            If there is no such row.
        """
        wanted = np.asarray(indices, dtype=np.int64).ravel()
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(f"rows {wanted.min()} to {wanted.max()} of {len(self)}")
        order = np.argsort(wanted, kind="stable")
        taken = np.empty((len(wanted), self.dim), dtype=np.float32)
        taken[order] = self.array[wanted[order]]
        return taken
