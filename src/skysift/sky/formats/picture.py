"""PNG and JPEG pictures, read as luminance."""

from __future__ import annotations

import warnings

import numpy as np

from skysift.errors import RequestError, SkysiftError
from skysift.sky.files import open_seekable
from skysift.sky.formats.base import ArrayReader, FloatArray
from skysift.sky.info import Choice, MosaicInfo

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's mode L


def inspect(path: str, kind: str, choice: Choice) -> MosaicInfo:
    """Describe a picture; see `skysift.sky.mosaic.inspect_mosaic`."""
    if choice.hdu not in (None, 0) or choice.plane not in (None, 0):
        raise RequestError(f"{path} is a single picture; leave out the HDU and plane.")
    return MosaicInfo(path, kind, 0, 0, PictureReader(path).shape, choice.bunit)


def open_reader(info: MosaicInfo) -> PictureReader:
    """Read a picture."""
    return PictureReader(info.path)


class PictureReader(ArrayReader):
    """A decoded picture in memory: float32, 0-255 for 8-bit ones, the stored numbers for deeper ones.

    Fully transparent pixels are NaN.
    """

    def __init__(self, path: str) -> None:
        super().__init__(_decode(path))
        self.shape = (int(self._array.shape[0]), int(self._array.shape[1]))
        self.planes = 1

    def plane_array(self, plane: int) -> FloatArray:  # noqa: ARG002 - there is one
        """The luminance."""
        return self._array


def _decode(path: str) -> FloatArray:
    from PIL import Image

    with open_seekable(path) as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(stream) as opened:
                palette = opened.mode in ("P", "PA")
                picture = opened.convert("RGBA" if "transparency" in opened.info else "RGB") if palette else opened
                pixels = np.asarray(picture)
                mode = picture.mode
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise SkysiftError(f"{path} is not a complete picture ({error}); fetch it again.") from error
    if mode == "1":
        return pixels.astype(np.float32) * 255
    if pixels.ndim == 2:
        return pixels.astype(np.float32)
    if mode not in ("LA", "RGB", "RGBA", "RGBX"):
        raise RequestError(f"{path} has colours of mode {mode}; save it as RGB or as greyscale.")
    values = pixels[..., 0].astype(np.float32) if mode == "LA" else pixels[..., :3] @ LUMA
    if mode in ("LA", "RGBA"):
        values[pixels[..., -1] == 0] = np.nan
    return values
