"""Stacks of images: npy, npz, idx files (MNIST), pickled batches, libsvm. The plane is the index of the image."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from typing import IO, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError, SkysiftError
from skysift.sky.cache import copy, open_cached
from skysift.sky.files import local_path, open_seekable
from skysift.sky.formats.base import ArrayReader, FloatArray
from skysift.sky.formats.decoded import open_decoded
from skysift.sky.formats.picture import LUMA
from skysift.sky.info import Choice, MosaicInfo

IMAGES = "images"  # the array of an npz that holds the pictures
_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def inspect(path: str, kind: str, choice: Choice) -> MosaicInfo:
    """Describe one image of a stack; see `skysift.sky.mosaic.inspect_mosaic`."""
    if choice.hdu not in (None, 0):
        raise RequestError(f"{path} is a stack of images without HDUs; leave out HDU {choice.hdu}.")
    reader = StackReader(path, kind)
    plane = choice.plane or 0
    if not 0 <= plane < reader.planes:
        raise RequestError(f"{path} has no image {plane}; choose one from 0 to {reader.planes - 1}.")
    return MosaicInfo(path, kind, 0, plane, reader.shape, choice.bunit, planes=reader.planes)


def open_reader(info: MosaicInfo) -> StackReader:
    """Open the pixels of a stack."""
    return StackReader(info.path, info.format)


class StackReader(ArrayReader):
    """Images (N, H, W), a single one (H, W), or colour (N, H, W, 3 or 4), of which the luminance is read.

    The array is memory-mapped; a compressed one is expanded into the cache first.

    Parameters
    ----------
    path : str
        File.
    kind : {"npy", "npz", "idx", "batch", "libsvm"}
        Its format.
    """

    def __init__(self, path: str, kind: str) -> None:
        opener = {"npy": _open_npy, "npz": _open_npz, "idx": _open_idx}.get(kind)
        array = open_decoded(path, kind, _map_npy) if opener is None else opener(path)
        if array.ndim not in (2, 3, 4) or array.size == 0 or (array.ndim == 4 and array.shape[-1] not in (1, 3, 4)):
            raise RequestError(
                f"{path} holds an array of shape {array.shape}, not images (N, height, width); reshape it to that."
            )
        if array.dtype.kind not in "biuf":
            raise RequestError(f"{path} holds numbers of type {array.dtype}, not real ones; store float32 or integers.")
        super().__init__(array)
        if self._array.ndim == 2:
            self._array = self._array[None]
        if self._array.ndim == 4 and self._array.shape[-1] == 1:
            self._array = self._array[..., 0]
        self.planes = int(self._array.shape[0])
        self.shape = (int(self._array.shape[1]), int(self._array.shape[2]))

    def plane_array(self, plane: int) -> npt.NDArray[Any]:
        """The image, as stored."""
        return self._array[plane]

    def view(self, plane: int) -> npt.NDArray[Any] | None:
        """The image where it has no colours."""
        return self._array[plane] if self._array.ndim == 3 else None

    def fill(self, plane: int, y0: int, y1: int, x0: int, x1: int, out: FloatArray) -> None:
        """Copy, colours as luminance."""
        if self._array.ndim == 3:
            super().fill(plane, y0, y1, x0, x1, out)
        else:
            out[...] = self._array[plane, y0:y1, x0:x1, :3] @ LUMA


def _open_npy(path: str) -> npt.NDArray[Any]:
    with open_seekable(path) as stream:
        return _map_npy(stream, path)


def _open_npz(path: str) -> npt.NDArray[Any]:
    with open_seekable(path) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                names = archive.namelist()
                if f"{IMAGES}.npy" not in names:
                    arrays = ", ".join(n.removesuffix(".npy") for n in names)
                    raise RequestError(
                        f"{path} holds {arrays or 'nothing'} but no array `{IMAGES}`; save one by that name."
                    )
                member = archive.getinfo(f"{IMAGES}.npy")
                mark = (path, str(_stamp(path)), member.CRC, member.file_size)
                key = hashlib.blake2b(repr(mark).encode(), digest_size=16).hexdigest()

                def expand(target: IO[bytes]) -> None:
                    with archive.open(member) as source:
                        copy(source, target)

                with open_cached(key, expand, source=path) as expanded:
                    return _map_npy(expanded, path)
        except (zipfile.BadZipFile, EOFError) as error:
            raise SkysiftError(f"{path} is truncated or damaged ({error}); fetch it again.") from error


def _stamp(path: str) -> tuple[str, int] | None:
    local = local_path(path)
    return None if local is None else (str(local.resolve()), local.stat().st_mtime_ns)


def _map_npy(stream: BinaryIO, path: str) -> npt.NDArray[Any]:
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except (ValueError, EOFError) as error:
        raise SkysiftError(f"{path} is not a complete NumPy file ({error}); save it again.") from error
    if dtype.hasobject:
        raise RequestError(f"{path} holds Python objects; save an array of numbers.")
    return _map(stream, path, dtype, shape, "F" if fortran else "C")


def _open_idx(path: str) -> npt.NDArray[Any]:
    with open_seekable(path) as stream:
        head = stream.read(4)
        if len(head) < 4 or head[2] not in _IDX_TYPES:
            raise SkysiftError(f"{path} is not a complete idx file; fetch it again.")
        sizes = stream.read(4 * head[3])
        if len(sizes) < 4 * head[3]:
            raise SkysiftError(f"{path} is truncated inside its header; fetch it again.")
        return _map(stream, path, np.dtype(_IDX_TYPES[head[2]]), struct.unpack(f">{head[3]}I", sizes), "C")


def _map(stream: BinaryIO, path: str, dtype: Any, shape: tuple[int, ...], order: Any) -> npt.NDArray[Any]:
    """Memory-map what follows in a file; files without a descriptor are read."""
    offset = stream.tell()
    needed = offset + int(np.prod(shape)) * dtype.itemsize
    held = stream.seek(0, 2)
    if held < needed:
        raise SkysiftError(f"{path} is truncated: it ends after {held} of {needed} bytes; fetch it again.")
    if needed == offset:
        return np.empty(shape, dtype)
    try:
        stream.fileno()
    except (OSError, AttributeError):
        stream.seek(offset)
        return np.frombuffer(stream.read(needed - offset), dtype).reshape(shape, order=order)
    return np.memmap(stream, dtype, "r", offset, shape, order)
