"""Reading the pixels of cutouts, wherever they are; and from a pack. From mosaics: `mosaic_pixels`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skysift.cutouts.catalogue import Catalogue
from skysift.errors import RequestError, SkysiftError

if TYPE_CHECKING:
    from skysift.store.artifact import Artifact

__all__ = ["MASKS", "OFFSETS", "PIXELS", "PixelSource"]

PIXELS = "pixels.npy"
OFFSETS = "offsets.npy"
MASKS = "masks.npy"

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Images = FloatArray | list[FloatArray]


class PixelSource(ABC):
    """Pixels of the cutouts of an artifact; the same numbers whether virtual or packed.

    Can be pickled and used by several threads and processes; files are opened when first read from.

    Attributes
    ----------
    windows : ndarray, shape (N, 4), int64
        x0, y0, width, height of the cutouts [pixel].

    Examples
    --------
    >>> source = PixelSource.open(store.get(id_), store.sources.locate)
    >>> images = source.read([5, 3, 8])
    """

    windows: IntArray

    @staticmethod
    def open(artifact: Artifact | Path | str, locate: Callable[[str], str] | None = None) -> PixelSource:
        """Open the pixels of any artifact (or folder) that has a catalogue or a pack.

        Parameters
        ----------
        artifact : Artifact or path
            With `catalogue.parquet` and `mosaics.parquet`, and `pixels.npy` and `offsets.npy` if it is a pack.
        locate : callable, optional
            Fingerprint of a source file -> its path; `store.sources.locate` or `context.locate`. A pack needs none.

        Raises
        ------
        RequestError
            If a mosaic has moved or changed since the catalogue was made.
        """
        folder = Path(artifact) if isinstance(artifact, str | Path) else artifact.folder
        catalogue = Catalogue.open(folder)
        if (folder / PIXELS).exists():
            return PackedPixels(folder, catalogue.windows)
        if locate is None:
            raise RequestError(f"{folder} holds no pixels; pass the store's `locate` so that its mosaics are found.")
        from skysift.cutouts.mosaic_pixels import MosaicPixels

        return MosaicPixels.of(catalogue, locate)

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def sizes(self) -> IntArray:
        """ndarray, shape (N, 2) : height and width of the cutouts [pixel]."""
        return self.windows[:, [3, 2]]

    def read(self, indices: npt.ArrayLike) -> Images:
        """Read cutouts.

        Parameters
        ----------
        indices : array_like of int, shape (B,)
            Rows of the catalogue, in any order.

        Returns
        -------
        ndarray of float32, shape (B, H, W), or list of B ndarrays, shape (h, w)
            A list where sizes differ. NaN where there are no data.

        Raises
        ------
        RequestError
            If a mosaic has changed since this source was opened.
        IndexError
            If there is no such row.
        """
        rows = self._rows(indices)
        sizes = self.sizes[rows]
        if not len(rows):
            return []
        if (sizes == sizes[0]).all():
            images: Images = np.empty((len(rows), *sizes[0].tolist()), np.float32)
        else:
            images = [np.empty(size, np.float32) for size in sizes.tolist()]
        self._read(rows, images)
        return images

    def read_masks(self, indices: npt.ArrayLike) -> list[npt.NDArray[np.bool_]]:
        """Read the masks of cutouts, shape (h, w) each: True under the mask, False everywhere without one."""
        return self._read_masks(self._rows(indices))

    @abstractmethod
    def _read(self, rows: IntArray, images: Images) -> None:
        """Fill `images` with the pixels of `rows`."""

    @abstractmethod
    def _read_masks(self, rows: IntArray) -> list[npt.NDArray[np.bool_]]: ...

    def _rows(self, indices: npt.ArrayLike) -> IntArray:
        rows = np.asarray(indices, np.int64).ravel()
        if rows.size and (rows.min() < -len(self) or rows.max() >= len(self)):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(self)} cutouts")
        return np.where(rows < 0, rows + len(self), rows)


class PackedPixels(PixelSource):
    """Pixels of a pack: one flat memory-mapped array and the offsets of the cutouts in it.

    Parameters
    ----------
    folder : Path
        With `pixels.npy` and `offsets.npy`.
    windows : ndarray, shape (N, 4)
        As in the catalogue.
    """

    def __init__(self, folder: Path, windows: IntArray) -> None:
        self.folder, self.windows = folder, windows
        self._arrays: dict[str, npt.NDArray[Any]] = {}
        total = int((windows[:, 2] * windows[:, 3]).sum())
        if len(self._array(OFFSETS)) != len(windows) + 1 or len(self._array(PIXELS)) != total:
            raise SkysiftError(f"{folder}: the packed pixels don't fit the catalogue; make the pack again.")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": {}}

    def _array(self, name: str) -> npt.NDArray[Any]:
        if name not in self._arrays:
            # An ndarray over the map slices much faster than numpy.memmap itself.
            self._arrays[name] = np.asarray(np.load(self.folder / name, mmap_mode="r"))
        return self._arrays[name]

    def _read(self, rows: IntArray, images: Images) -> None:
        pixels, offsets = self._array(PIXELS), self._array(OFFSETS)
        for i in np.argsort(rows, kind="stable").tolist():
            begin, end = offsets[rows[i]], offsets[rows[i] + 1]
            images[i][...] = pixels[begin:end].reshape(images[i].shape)

    def _read_masks(self, rows: IntArray) -> list[npt.NDArray[np.bool_]]:
        sizes = self.sizes[rows].tolist()
        if not (self.folder / MASKS).exists():
            return [np.zeros(size, bool) for size in sizes]
        masks, offsets = self._array(MASKS), self._array(OFFSETS)
        return [
            masks[offsets[row] : offsets[row + 1]].reshape(size).astype(bool)
            for row, size in zip(rows.tolist(), sizes, strict=True)
        ]
