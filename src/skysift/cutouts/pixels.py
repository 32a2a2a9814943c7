"""Reading the pixels of cutouts: from the mosaics that a catalogue points into, or from a pack."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skysift.cutouts.catalogue import Catalogue
from skysift.errors import RequestError, SkysiftError

if TYPE_CHECKING:
    from skysift.sky.mosaic import Mosaic
    from skysift.store.artifact import Artifact

__all__ = ["OFFSETS", "PIXELS", "PixelSource"]

PIXELS = "pixels.npy"
OFFSETS = "offsets.npy"
MASKS = "masks.npy"

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Images = FloatArray | list[FloatArray]

_OPEN_MOSAICS = 32
_RELEASE_BYTES = 512 << 20


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


class MosaicPixels(PixelSource):
    """Pixels cut out of the mosaics on demand, mosaic by mosaic and top to bottom.

    Parameters
    ----------
    windows : ndarray, shape (N, 4)
        x0, y0, width, height [pixel].
    planes : ndarray, shape (N,)
        Plane (or image of the stack) of each cutout.
    mosaic_rows : ndarray, shape (N,)
        Mosaic of each cutout, as an index into `mosaics`.
    mosaics : list of dict
        Rows of the table of mosaics, each with the `path` and `mask_path` of its files.
    """

    def __init__(
        self, windows: IntArray, planes: IntArray, mosaic_rows: IntArray, mosaics: list[dict[str, Any]]
    ) -> None:
        self.windows, self.planes, self.mosaic_rows, self.mosaics = windows, planes, mosaic_rows, mosaics
        self._marks = {path: _mark(path) for m in mosaics for path in (m["path"], m["mask_path"]) if path}
        self._local = threading.local()

    @classmethod
    def of(cls, catalogue: Catalogue, locate: Callable[[str], str]) -> MosaicPixels:
        """Find the mosaics of a catalogue and check that they are unchanged.

        Raises
        ------
        RequestError
            If one has moved or changed.
        """
        rows = catalogue.mosaic_rows()
        used, inverse = np.unique(rows, return_inverse=True)
        mosaics = catalogue.mosaics.take(used).to_pylist()
        paths: dict[str, str] = {}
        for mosaic in mosaics:
            for fingerprint in (mosaic["mosaic"], mosaic["mask"]):
                if fingerprint and fingerprint not in paths:
                    paths[fingerprint] = locate(fingerprint)
            mosaic["path"] = paths[mosaic["mosaic"]]
            mosaic["mask_path"] = paths[mosaic["mask"]] if mosaic["mask"] else None
            del mosaic["wcs_header"]
        return cls(catalogue.windows, catalogue.column("plane").astype(np.int64), inverse.ravel(), mosaics)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()

    def _read(self, rows: IntArray, images: Images) -> None:
        for number, places in self._by_mosaic_and_size(rows):
            mosaic = self._open(number, "path")
            chosen = rows[places]
            block = mosaic.read_many(self.windows[chosen], planes=self._planes(number, chosen))
            if isinstance(images, np.ndarray):
                images[places] = block
            else:
                for place, image in zip(places.tolist(), block, strict=True):
                    images[place] = image
            self._release(block.nbytes)

    def _read_masks(self, rows: IntArray) -> list[npt.NDArray[np.bool_]]:
        from skysift.sky.masks import as_mask

        masks = [np.zeros(size, bool) for size in self.sizes[rows].tolist()]
        for number, places in self._by_mosaic_and_size(rows):
            if self.mosaics[number]["mask_path"]:
                block = self._open(number, "mask_path").read_many(self.windows[rows[places]])
                for place, mask in zip(places.tolist(), block, strict=True):
                    masks[place] = as_mask(mask)
        return masks

    def _planes(self, number: int, rows: IntArray) -> IntArray | None:
        return self.planes[rows] if self.mosaics[number]["plane"] is None else None

    def _by_mosaic_and_size(self, rows: IntArray) -> Iterator[tuple[int, IntArray]]:
        """Yield each mosaic with the places in `rows` of its cutouts of one size, in the order of the file."""
        x0, y0, width, height = self.windows[rows].T
        numbers = self.mosaic_rows[rows]
        order = np.lexsort((x0, y0, self.planes[rows], height, width, numbers))
        keys = np.stack([numbers[order], width[order], height[order]])
        cuts = np.flatnonzero((np.diff(keys, axis=1) != 0).any(axis=0)) + 1
        for places in np.split(order, cuts):
            yield int(numbers[places[0]]), places

    def _open(self, number: int, which: str) -> Mosaic:
        """Return an open mosaic of this thread, checking that its file is the one that was located."""
        entry = self.mosaics[number]
        path = entry[which]
        if _mark(path) != self._marks[path]:
            raise RequestError(
                f"{path} has changed since its catalogue was made: put the old file back, or make the catalogue again."
            )
        if getattr(self._local, "pid", None) != os.getpid():
            self._local.pid, self._local.opened = os.getpid(), OrderedDict()
        opened: OrderedDict[tuple[int, str], Mosaic] = self._local.opened
        key = (number, which)
        if key not in opened:
            opened[key] = _open_mosaic(entry, which)
            if len(opened) > _OPEN_MOSAICS:
                opened.popitem(last=False)[1].close()
        opened.move_to_end(key)
        return opened[key]

    def _release(self, size: int) -> None:
        """Give mapped pages back now and then: they count as memory of this process."""
        self._local.read = getattr(self._local, "read", 0) + size
        if self._local.read > _RELEASE_BYTES:
            self._local.read = 0
            for opened in self._local.opened.values():
                opened.release()


def _open_mosaic(entry: dict[str, Any], which: str) -> Mosaic:
    from skysift.sky.mosaic import inspect_mosaic, open_mosaic

    shape = (entry["ny"], entry["nx"])
    if which == "path":
        hdu = entry["hdu"] if entry["format"].startswith("fits") else None
        info = inspect_mosaic(entry["path"], hdu=hdu, plane=entry["plane"] or 0, positions="ignore")
        opened = open_mosaic(info, zero_is_nan=bool(entry["zero_is_nan"]))
    else:
        opened = open_mosaic(inspect_mosaic(entry[which], plane=0, positions="ignore"))
    if opened.shape != shape:
        raise RequestError(
            f"{entry[which]} has {opened.shape} pixels, not the {shape} of its catalogue; make that again."
        )
    return opened


def _mark(path: str) -> tuple[int, int] | None:
    """Return size and modification time of a local file."""
    if "://" in path:
        return None
    try:
        state = Path(path).stat()
    except OSError as error:
        raise RequestError(f"{path} cannot be read any more ({error.strerror}); put it back.") from error
    return state.st_size, state.st_mtime_ns
