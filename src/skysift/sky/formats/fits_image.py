"""FITS images: plain ones memory-mapped, tile-compressed and remote ones by blocks."""

from __future__ import annotations

import contextlib
import warnings
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError, SkysiftError, SkysiftWarning
from skysift.sky.axes import Axes, read_axes, read_frequency
from skysift.sky.beam import finite, read_beam, read_beam_table
from skysift.sky.files import open_seekable, size_of
from skysift.sky.formats.base import ArrayReader, BlockReader, FloatArray, Reader
from skysift.sky.info import Choice, MosaicInfo, NoImageError
from skysift.sky.quiet import quiet
from skysift.sky.wcs import celestial_wcs

if TYPE_CHECKING:
    from astropy.io.fits import HDUList, Header

_DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_ROWS = 64  # rows that are fetched at once from remote and row-tiled files


def inspect(path: str, kind: str, choice: Choice) -> MosaicInfo:
    """Describe one plane of a FITS image; see `skysift.sky.mosaic.inspect_mosaic`."""
    with _open(path) as (stream, hdus):
        number = _find_image(hdus, path, choice.hdu)
        image = hdus[number]
        compressed = hasattr(image, "tile_shape")
        header = image.header
        axes = read_axes(header, path)
        _check_length(stream, hdus, number, path)
        plane = _choose_plane(axes, choice.plane, path)
        text, scale, reason = celestial_wcs(header, axes.shape)
        if choice.positions == "ignore":
            text = None
        elif reason:
            warnings.warn(
                f"{path}: {reason}; its pixels are used, but the positions of its cutouts are left empty: correct the "
                "header if they are needed.",
                SkysiftWarning,
                stacklevel=3,
            )
        bmaj, bmin, bpa = read_beam(header)
        if bmaj is None and header.get("CASAMBM"):
            bmaj, bmin, bpa = read_beam_table(hdus, axes, plane)
        return MosaicInfo(
            path=path,
            format=f"{kind}.fz" if compressed else kind,
            hdu=number,
            plane=plane,
            shape=axes.shape,
            bunit=_unit(header) or choice.bunit,
            bmaj=bmaj,
            bmin=bmin,
            bpa=bpa,
            frequency=read_frequency(header, axes, plane),
            pixel_scale=scale,
            wcs_header=text,
            planes=axes.planes,
        )


def _unit(header: Header) -> str | None:
    return str(header.get("BUNIT") or "").strip() or None


def _choose_plane(axes: Axes, plane: int | None, path: str) -> int:
    if plane is not None:
        if not 0 <= plane < axes.planes:
            raise RequestError(
                f"{path} has no plane {plane}; choose one from 0 to {axes.planes - 1}, it has {axes.describe()}."
            )
        return plane
    if axes.planes > 1 or not axes.stokes_i:
        what = "Stokes I, first channel" if "STOKES" in axes.names else "the first"
        what = what if axes.stokes_i else "the first; there is no Stokes I"
        warnings.warn(
            f"{path} holds {axes.describe()}: plane {axes.default} is taken ({what}); choose another with --plane.",
            SkysiftWarning,
            stacklevel=4,
        )
    return axes.default


@contextlib.contextmanager
def _open(path: str) -> Any:
    """Open a file as (stream, HDUs); both are closed at the end."""
    stream = open_seekable(path)
    try:
        hdus = _hdus(stream, path)
        with hdus:
            yield stream, hdus
    finally:
        stream.close()


def _hdus(stream: BinaryIO, path: str) -> HDUList:
    from astropy.io import fits

    with quiet():
        try:
            return fits.open(stream, memmap=False, lazy_load_hdus=True)
        except (OSError, ValueError) as error:
            raise SkysiftError(f"{path} is not a complete FITS file ({error}); fetch it again.") from error


def _find_image(hdus: HDUList, path: str, wanted: int | None) -> int:
    """Number of the HDU to read: the wanted one, or the first that holds an image."""
    from astropy.io.fits.verify import VerifyError

    number = 0
    kinds: list[str] = []
    with quiet():
        while True:
            try:
                hdu = hdus[number]
            except IndexError:
                break
            except (OSError, VerifyError, ValueError, TypeError, KeyError) as error:
                raise SkysiftError(f"{path} is damaged at HDU {number} ({error}); fetch it again.") from error
            if hdu.is_image and len(hdu.shape) >= 1 and prod(hdu.shape) > 0:
                if wanted in (None, number):
                    return number
                kinds.append(f"{number} (image)")
            number += 1
    if wanted is None:
        raise NoImageError(f"{path} holds no image in any of its {number} HDUs; give a FITS image.")
    if not kinds:
        raise NoImageError(f"{path} has no image in HDU {wanted}; give another file, it holds no image at all.")
    raise RequestError(f"{path} has no image in HDU {wanted}; choose {' or '.join(kinds)}.")


def _check_length(stream: BinaryIO, hdus: HDUList, number: int, path: str) -> None:
    """Raise SkysiftError where the file ends before its pixels do."""
    hdu = hdus[number]
    info = hdu.fileinfo()
    # the span is padded to blocks of 2880 bytes, and some writers leave the last padding out
    needed = info["datLoc"] + info["datSpan"] - 2879
    if not hasattr(hdu, "tile_shape"):
        needed = info["datLoc"] + prod(hdu.shape) * abs(int(hdu.header["BITPIX"])) // 8
    held = size_of(stream)
    if held < needed:
        raise SkysiftError(f"{path} is truncated: it ends after {held} of at least {needed} bytes; fetch it again.")


def open_reader(info: MosaicInfo) -> Reader:
    """Open the pixels of a FITS image that `inspect` described."""
    if info.format == "fits.fz":
        return TileReader(info)
    with _open(info.path) as (stream, hdus):
        header = hdus[info.hdu].header
        axes = read_axes(header, info.path)
        _check_length(stream, hdus, info.hdu, info.path)
        # the image's own cards: `header` may have lost BSCALE and the like to astropy once data were read
        layout = _Layout(header, axes, hdus[info.hdu].fileinfo()["datLoc"])
        try:
            stream.fileno()
        except (OSError, AttributeError):  # not a file of this machine
            return RemoteReader(info, layout)
        return PlainReader(stream, layout)


class _Layout:
    """Where the numbers of a plain image lie, and how they turn into values."""

    def __init__(self, header: Header, axes: Axes, offset: int) -> None:
        self.axes = axes
        self.offset = offset
        self.dtype = np.dtype(_DTYPES[int(header["BITPIX"])])
        scale, zero = finite(header.get("BSCALE", 1.0)), finite(header.get("BZERO", 0.0))
        self.scale, self.zero = 1.0 if scale is None else scale, zero or 0.0
        blank = finite(header.get("BLANK")) if self.dtype.kind in "iu" else None
        self.blank = None if blank is None else int(blank)

    @property
    def as_stored(self) -> bool:
        """Whether the numbers are the values."""
        return self.scale == 1.0 and self.zero == 0.0 and self.blank is None

    def convert(self, raw: npt.NDArray[Any], out: FloatArray) -> None:
        """Write stored numbers as values into `out`, in double precision on the way."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.as_stored:
                out[...] = raw
                return
            out[...] = raw.astype(np.float64) * self.scale + self.zero
        if self.blank is not None:
            out[raw == self.blank] = np.nan


class PlainReader(ArrayReader):
    """An uncompressed image on a local disk, memory-mapped."""

    def __init__(self, stream: BinaryIO, layout: _Layout) -> None:
        axes = layout.axes
        super().__init__(np.memmap(stream, layout.dtype, "r", layout.offset, axes.array_shape))
        self.shape, self.planes = axes.shape, axes.planes
        self._layout = layout
        self._plane: tuple[int, npt.NDArray[Any]] | None = None

    def plane_array(self, plane: int) -> npt.NDArray[Any]:
        """The plane [y, x], as stored."""
        kept = self._plane  # read once: another thread may replace it
        if kept is None or kept[0] != plane:
            axes = self._layout.axes
            kept = self._plane = (plane, axes.orient(self._array[axes.index(plane)]))
        return kept[1]

    def view(self, plane: int) -> npt.NDArray[Any] | None:
        """The plane where the stored numbers are the values."""
        return self.plane_array(plane) if self._layout.as_stored and self._layout.dtype.itemsize <= 4 else None

    def fill(self, plane: int, y0: int, y1: int, x0: int, x1: int, out: FloatArray) -> None:
        """Convert the section."""
        self._layout.convert(self.plane_array(plane)[y0:y1, x0:x1], out)

    def close(self) -> None:
        """Forget the array."""
        super().close()
        self._plane = None


class RemoteReader(BlockReader):
    """An uncompressed image behind a URL: blocks of whole rows."""

    def __init__(self, info: MosaicInfo, layout: _Layout) -> None:
        super().__init__(layout.axes.shape, layout.axes.planes, (_ROWS, layout.axes.shape[1]))
        self._path, self._layout = info.path, layout
        self.reopen()

    def reopen(self) -> None:
        """Open the URL."""
        self._stream = open_seekable(self._path)

    def fetch(self, plane: int, y0: int, y1: int, x0: int, x1: int) -> FloatArray:
        """Read the least run of bytes that holds the section."""
        axes, dtype = self._layout.axes, self._layout.dtype
        index = axes.index(plane, slice(y0, y1), slice(x0, x1))
        first = np.ravel_multi_index([i.start if isinstance(i, slice) else i for i in index], axes.array_shape)
        last = np.ravel_multi_index([i.stop - 1 if isinstance(i, slice) else i for i in index], axes.array_shape)
        self._stream.seek(self._layout.offset + int(first) * dtype.itemsize)
        run = self._stream.read(int(last - first + 1) * dtype.itemsize)
        strides = np.cumprod([1, *reversed(axes.array_shape[1:])])[::-1] * dtype.itemsize
        counts = [i.stop - i.start if isinstance(i, slice) else 1 for i in index]
        section = np.ndarray(counts, dtype, run, strides=strides)
        section = axes.orient(section.squeeze(axes.others))
        out = np.empty(section.shape, np.float32)
        self._layout.convert(section, out)
        return out

    def close(self) -> None:
        """Close the URL."""
        self.release()
        self._stream.close()


class TileReader(BlockReader):
    """A tile-compressed image (`.fz`): blocks of whole tiles, each decompressed once while it is needed."""

    def __init__(self, info: MosaicInfo) -> None:
        self._path, self._hdu = info.path, info.hdu
        self.reopen()
        axes = self._axes
        tile = self._image.tile_shape
        rows, columns = tile[axes.y], tile[axes.x]
        rows *= max(1, _ROWS // rows)  # fpack's default tiles are single rows
        super().__init__(axes.shape, axes.planes, (rows, columns))

    def reopen(self) -> None:
        """Open the file."""
        self._stream = open_seekable(self._path)
        self._hdus = _hdus(self._stream, self._path)
        with quiet():
            self._image = self._hdus[self._hdu]
            self._axes: Axes = read_axes(self._image.header, self._path)

    def fetch(self, plane: int, y0: int, y1: int, x0: int, x1: int) -> FloatArray:
        """Decompress the tiles of a section."""
        index = self._axes.index(plane, slice(y0, y1), slice(x0, x1))
        try:
            with quiet():
                section: npt.NDArray[Any] = np.asarray(self._image.section[index])
        except (OSError, ValueError, TypeError) as error:
            raise SkysiftError(f"{self._path} is damaged at row {y0} ({error}); fetch it again.") from error
        out = np.empty((y1 - y0, x1 - x0), np.float32)
        with np.errstate(over="ignore"):
            out[...] = self._axes.orient(section)
        return out

    def close(self) -> None:
        """Close the file."""
        self.release()
        self._hdus.close()
        self._stream.close()
