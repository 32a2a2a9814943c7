"""Reading the pixels of cutouts from the mosaics that a catalogue points into."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import Images, IntArray, PixelSource
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.sky.mosaic import Mosaic

_OPEN_MOSAICS = 32
_RELEASE_BYTES = 512 << 20


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
