"""Opening mosaics and image stacks of any supported format, and reading sections of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError
from skysift.sky.formats.base import FloatArray, Reader
from skysift.sky.formats.family import detect_format, reader_module
from skysift.sky.info import Choice, MosaicInfo, Positions

__all__ = ["Mosaic", "MosaicInfo", "inspect_mosaic", "open_mosaic"]

_CHUNK = 4 << 20  # bytes of windows that are cleaned at once, while they are still in the CPU's cache


def inspect_mosaic(
    path: str,
    *,
    hdu: int | None = None,
    plane: int | None = None,
    positions: Positions = "wcs",
    bunit: str | None = None,
) -> MosaicInfo:
    """Describe one image plane without reading its pixels.

    Parameters
    ----------
    path : str
        FITS image (2 to 4 axes in any order, `.gz`, tile-compressed `.fz`), stack of images (`.npz` with `images`,
        `.npy`, idx) or picture; local or any URL that fsspec knows.
    hdu : int, optional
        FITS extension; the first that holds an image by default.
    plane : int, optional
        Which of the planes along the other axes, in NumPy order, or which image of a stack. By default Stokes I of
        the first channel, or the first image.
    positions : {"wcs", "ignore"}
        "ignore" leaves positions empty, for headers that are known to be wrong; pixel scale and beam stay.
    bunit : str, optional
        Unit to take where the header has none; none is ever assumed.

    Warns
    -----
    SkysiftWarning
        Several planes and none chosen; a WCS that is missing, singular, or has the mosaic's centre off the sky
        (`wcs_header` is None then).

    Raises
    ------
    RequestError
        No such file, not an image, axes that are not supported, no such HDU or plane.
    SkysiftError
        A truncated or damaged file.
    """
    path = str(path)
    if positions not in ("wcs", "ignore"):
        raise RequestError(f"positions={positions} is not known; choose wcs or ignore.")
    family = detect_format(path)
    inspect: Callable[[str, str, Choice], MosaicInfo] = reader_module(family).inspect
    return inspect(path, family, Choice(hdu, plane, positions, bunit))


def open_mosaic(
    mosaic: MosaicInfo | str,
    *,
    hdu: int | None = None,
    plane: int | None = None,
    zero_is_nan: bool = False,
) -> Mosaic:
    """Open a mosaic for reading.

    Parameters
    ----------
    mosaic : MosaicInfo or str
        What `inspect_mosaic` gave, or a path to inspect.
    hdu, plane : int, optional
        As in `inspect_mosaic`; for paths only.
    zero_is_nan : bool
        Take exact zeros for no data, as in maps whose border was blanked with zeros.

    Raises
    ------
    RequestError, SkysiftError
        As `inspect_mosaic`.
    """
    if isinstance(mosaic, MosaicInfo):
        if hdu not in (None, mosaic.hdu) or plane not in (None, mosaic.plane):
            raise RequestError(f"{mosaic.path} was inspected with another HDU or plane; inspect the one that is meant.")
        return Mosaic(mosaic, zero_is_nan=zero_is_nan)
    return Mosaic(inspect_mosaic(mosaic, hdu=hdu, plane=plane), zero_is_nan=zero_is_nan)


class Mosaic:
    """Pixels of a mosaic or stack: float32 in native byte order, NaN wherever there is no data.

    NaN stands for blanked pixels, infinite values, everything outside the map and, on request, exact zeros. The
    object can be pickled and reads from several threads and processes; a context manager closes it.

    Parameters
    ----------
    info : MosaicInfo
        As `inspect_mosaic` gives it.
    zero_is_nan : bool
        Take exact zeros for no data.
    """

    def __init__(self, info: MosaicInfo, *, zero_is_nan: bool = False) -> None:
        self.info = info
        self.zero_is_nan = zero_is_nan
        self._reader: Reader = reader_module(info.format).open_reader(info)
        if self._reader.shape != info.shape or self._reader.planes != info.planes:
            raise RequestError(f"{info.path} has changed since it was inspected; run the request again from its start.")

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx) [pixel]."""
        return self.info.shape

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.info, self.zero_is_nan)

    def __enter__(self) -> Mosaic:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def release(self) -> None:
        """Drop mapped pages and kept blocks from this process's memory; the next read fetches them again.

        Pages of a memory-mapped file count as this process's memory once touched. That is bounded to about one
        gigabyte a mosaic without this; calling it after a pass leaves nothing.
        """
        self._reader.release()

    def read(self, y0: int, y1: int, x0: int, x1: int, *, plane: int | None = None) -> FloatArray:
        """Read the section [y0:y1, x0:x1], which may hang over the edges or miss the map.

        Parameters
        ----------
        y0, y1, x0, x1 : int
            Bounds [pixel], 0-based, ends exclusive; may be negative or beyond the map.
        plane : int, optional
            Another plane, or image of the stack, than `info.plane`.

        Returns
        -------
        ndarray of float32, shape (y1 - y0, x1 - x0)

        Raises
        ------
        RequestError
            Bounds in the wrong order, or no such plane.
        """
        if y1 < y0 or x1 < x0:
            raise RequestError(f"The section [{y0}:{y1}, {x0}:{x1}] of {self.info.path} ends before it starts.")
        out = np.empty((y1 - y0, x1 - x0), np.float32)
        self._fill(self._plane(plane), y0, y1, x0, x1, out)
        self._reader.note(y1 - y0)
        self._clean(out)
        return out

    def read_many(self, windows: npt.ArrayLike, *, planes: npt.ArrayLike | None = None) -> FloatArray:
        """Read windows of one size.

        Parameters
        ----------
        windows : array_like of int, shape (N, 4)
            x0, y0, width, height [pixel], as `skysift.sky.windows` gives them; may hang over the edges.
        planes : array_like of int, shape (N,), optional
            Plane, or image of the stack, of each window; `info.plane` by default.

        Returns
        -------
        ndarray of float32, shape (N, height, width)

        Raises
        ------
        RequestError
            Windows of several sizes, or no such plane.
        """
        boxes = np.asarray(windows, np.int64).reshape(-1, 4)
        if not len(boxes):
            return np.empty((0, 0, 0), np.float32)
        width, height = (int(v) for v in boxes[0, 2:])
        if (boxes[:, 2:] != boxes[0, 2:]).any() or width < 1 or height < 1:
            raise RequestError(
                "Windows read together must have one size of at least 1 pixel; group them by size first."
            )
        chosen = (
            [self._plane(None)] * len(boxes)
            if planes is None
            else [self._plane(p) for p in np.asarray(planes).tolist()]
        )
        ny, nx = self.info.shape
        x0, y0 = boxes[:, 0], boxes[:, 1]
        whole = ((x0 >= 0) & (y0 >= 0) & (x0 + width <= nx) & (y0 + height <= ny)).tolist()
        out = np.empty((len(boxes), height, width), np.float32)
        step = max(1, _CHUNK // (4 * width * height))
        for start in range(0, len(boxes), step):
            stop = min(start + step, len(boxes))
            last, view = -1, None
            for i, x, y in zip(range(start, stop), x0[start:stop].tolist(), y0[start:stop].tolist(), strict=True):
                if chosen[i] != last:
                    last, view = chosen[i], self._reader.view(chosen[i])
                if view is not None and whole[i]:
                    out[i] = view[y : y + height, x : x + width]
                else:
                    self._fill(chosen[i], y, y + height, x, x + width, out[i])
            self._reader.note((stop - start) * height)
            self._clean(out[start:stop])
        return out

    def strips(self, rows: int = 256, *, overlap: int = 0) -> Iterator[tuple[int, int, FloatArray]]:
        """Read the whole plane strip by strip, in bounded memory.

        Parameters
        ----------
        rows : int
            Height of a strip [pixel]; the last may be lower.
        overlap : int
            Rows that a strip repeats of the one before.

        Yields
        ------
        y0, y1 : int
            Rows of the strip.
        strip : ndarray of float32, shape (y1 - y0, nx)
        """
        if rows < 1 or not 0 <= overlap < rows:
            raise RequestError(f"Strips of {rows} rows that share {overlap} do not advance; choose more rows.")
        ny, nx = self.info.shape
        y0 = 0
        while True:
            y1 = min(y0 + rows, ny)
            yield y0, y1, self.read(y0, y1, 0, nx)
            self.release()
            if y1 == ny:
                return
            y0 = y1 - overlap

    def _plane(self, plane: int | None) -> int:
        if plane is None:
            return self.info.plane
        if not 0 <= plane < self.info.planes:
            raise RequestError(f"{self.info.path} has no plane {plane}; choose one from 0 to {self.info.planes - 1}.")
        return int(plane)

    def _fill(self, plane: int, y0: int, y1: int, x0: int, x1: int, out: FloatArray) -> None:
        ny, nx = self.info.shape
        if y0 >= 0 and x0 >= 0 and y1 <= ny and x1 <= nx:
            if out.size:
                self._reader.fill(plane, y0, y1, x0, x1, out)
            return
        out.fill(np.nan)
        ya, yb, xa, xb = max(y0, 0), min(y1, ny), max(x0, 0), min(x1, nx)
        if ya < yb and xa < xb:
            self._reader.fill(plane, ya, yb, xa, xb, out[ya - y0 : yb - y0, xa - x0 : xb - x0])

    def _clean(self, pixels: FloatArray) -> None:
        """Replace what is no data by NaN, in place."""
        bad = np.isinf(pixels)
        if bad.any():
            pixels[bad] = np.nan
        if self.zero_is_nan:
            np.equal(pixels, 0, out=bad)
            if bad.any():
                pixels[bad] = np.nan


def _reopen(info: MosaicInfo, zero_is_nan: bool) -> Mosaic:
    return Mosaic(info, zero_is_nan=zero_is_nan)
