"""Pictures of cutouts: a stretch from pixels to [0, 1], a colour map, and PNG files that are kept for a while."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from skysift.errors import RequestError
from skysift.imaging.zscale import SAMPLES, fit_zscale

__all__ = ["COLOUR_MAPS", "STRETCHES", "Scale", "Thumbnails", "palette", "png_bytes", "render", "scale_of", "shrink"]

STRETCHES = ("zscale", "asinh", "linear", "log")
COLOUR_MAPS = ("magma", "inferno", "viridis", "cividis", "gray", "gray_r")
NEUTRAL = 0.25
"""Contrast at which zscale is astropy's default and the other stretches show the whole range."""
SMALLEST, LARGEST = 8, 2048
"""Least and greatest side of a picture [pixel]."""

_NONE = 255
_TOP = 254
_FLAT = 0.3
_KNEE = 3.0
_LOG = 1000.0
_ENTRIES = 4096

Image = NDArray[np.float32]
Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Scale:
    """A monotonic map from pixels to [0, 1].

    Attributes
    ----------
    low, high : float
        Values that become 0 and 1 [unit of the pixels]; what lies beyond is clamped.
    bend : {"linear", "asinh", "log"}
        Linear; arcsinh((x - centre) / width); or log(1 + (x - centre) / width), brought to [0, 1].
    centre, width : float
        Of the bend [unit of the pixels].
    """

    low: float
    high: float
    bend: str = "linear"
    centre: float = 0.0
    width: float = 1.0

    def forward(self, values: NDArray[np.floating]) -> Floats:
        """Map pixels of any shape to [0, 1]; NaN stays NaN. A range without extent becomes a dark grey, 0.3."""
        values = np.asarray(values, np.float64)
        bottom, top = self._bend(np.array([self.low, self.high])).tolist()
        if not top > bottom:
            return np.where(np.isfinite(values), _FLAT, np.nan)
        bent = self._bend(np.clip(values, self.low, self.high))
        return np.clip((bent - bottom) / (top - bottom), 0.0, 1.0)

    def inverse(self, fractions: NDArray[np.floating]) -> Floats:
        """Return the pixel values that become these fractions of [0, 1]."""
        bottom, top = self._bend(np.array([self.low, self.high])).tolist()
        bent = bottom + np.asarray(fractions, np.float64) * (top - bottom)
        if self.bend == "asinh":
            bent = self.centre + self.width * np.sinh(bent)
        elif self.bend == "log":
            bent = self.centre + self.width * np.expm1(bent)
        return np.asarray(bent, np.float64)

    def _bend(self, values: Floats) -> Floats:
        if self.bend == "linear":
            return values
        scaled = (values - self.centre) / self.width
        return np.arcsinh(scaled) if self.bend == "asinh" else np.log1p(scaled)


def scale_of(image: Image, *, stretch: str = "zscale", contrast: float = NEUTRAL) -> Scale:
    """Choose the range of an image that is shown.

    Parameters
    ----------
    image : ndarray, shape (h, w)
        Pixels; those that are not finite are no data.
    stretch : {"zscale", "asinh", "linear", "log"}
        IRAF's zscale as in astropy; arcsinh of (x - median) / 3 rms from -1 rms to the maximum (at least 5 rms), rms =
        1.4826 MAD; minimum to maximum; log(1 + 1000 x) of the same brought to [0, 1].
    contrast : float
        In (0, 1]; more makes faint emission brighter. At 0.25 the above holds; otherwise zscale has this contrast, the
        3 rms are divided and the 1000 multiplied by contrast / 0.25, and the linear range above the median is divided
        by it.

    Raises
    ------
    RequestError
        An unknown stretch, or a contrast out of range.
    """
    if stretch not in STRETCHES:
        raise RequestError(f"There is no stretch {stretch!r}; there are {', '.join(STRETCHES)}.")
    if not 0 < contrast <= 1:
        raise RequestError(f"A contrast of {contrast} is out of range; choose one above 0, up to 1.")
    values = image[np.isfinite(image)]
    if not values.size:
        return Scale(0.0, 0.0)
    low, high, more = float(values.min()), float(values.max()), contrast / NEUTRAL
    if stretch == "zscale":
        samples = values[:: max(1, values.size // SAMPLES)][:SAMPLES].astype(np.float32)
        begin, end = fit_zscale(samples[None], np.array([len(samples)])).limits(contrast)
        return Scale(float(begin[0]), float(end[0]))
    if stretch == "log":
        return Scale(low, high, "log", low, (high - low) / (_LOG * more)) if high > low else Scale(low, high)
    median = float(np.median(values))
    if stretch == "linear":
        return Scale(low, median + (high - median) / more)
    rms = 1.4826 * float(np.median(np.abs(values - median)))
    if rms <= 0 or rms < 1e-6 * (high - low):
        return Scale(low, high)
    return Scale(median - rms, max(high, median + 5 * rms), "asinh", median, _KNEE * rms / more)


def shrink(image: Image, size: int) -> Image:
    """Bring the longer side of an image (h, w) to `size` pixels; no data weighs nothing, and stays where it is most.

    Averages over the pixels' areas where the image becomes smaller, interpolates linearly where it becomes larger,
    and repeats pixels where it becomes at least three times as large.
    """
    from PIL import Image as Pictures

    height, width = image.shape
    factor = size / max(height, width)
    shape = (max(1, round(width * factor)), max(1, round(height * factor)))
    if shape == (width, height):
        return np.where(np.isfinite(image), image, np.float32(np.nan))
    kernel = Pictures.Resampling
    method = kernel.BOX if factor < 1 else kernel.NEAREST if factor >= 3 else kernel.BILINEAR
    valid = np.isfinite(image)
    filled = image if valid.all() else np.where(valid, image, np.float32(0))
    small = np.array(Pictures.fromarray(np.ascontiguousarray(filled, np.float32)).resize(shape, method))
    if filled is image:
        return small
    weight = np.array(Pictures.fromarray(valid.astype(np.float32)).resize(shape, method))
    return np.divide(small, weight, out=np.full_like(small, np.nan), where=weight >= 0.5)


def render(
    image: Image, *, stretch: str = "zscale", contrast: float = NEUTRAL, colour_map: str = "magma", size: int = 128
) -> Bytes:
    """Make a picture of a cutout.

    Parameters
    ----------
    image : ndarray, shape (h, w)
        Pixels; those that are not finite are no data, shown in a grey blue that no colour map has.
    stretch, contrast
        As `scale_of`, whose range is found on all pixels.
    colour_map : str
        One of `COLOUR_MAPS`.
    size : int
        Longer side of the picture [pixel].

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        Red, green, blue; the first row of the image is at the bottom, as in FITS.

    Raises
    ------
    RequestError
        A stretch, contrast, colour map or size that there is not.
    """
    return palette(colour_map)[_indices(image, stretch, contrast, size)]


def png_bytes(
    image: Image, *, stretch: str = "zscale", contrast: float = NEUTRAL, colour_map: str = "magma", size: int = 128
) -> bytes:
    """Make the picture of `render` as a PNG file with a palette; parameters and errors as there."""
    from PIL import Image as Pictures

    picture = Pictures.fromarray(_indices(image, stretch, contrast, size))
    picture.putpalette(palette(colour_map).tobytes())
    stream = io.BytesIO()
    picture.save(stream, "png", compress_level=3)
    return stream.getvalue()


@lru_cache(maxsize=len(COLOUR_MAPS))
def palette(colour_map: str) -> Bytes:
    """Colours of a map, shape (256, 3), the last of them for no data.

    Raises
    ------
    RequestError
        If there is no such map.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    from skysift.report.figures.contact_sheet import NO_DATA

    if colour_map not in COLOUR_MAPS:
        raise RequestError(f"There is no colour map {colour_map!r}; there are {', '.join(COLOUR_MAPS)}.")
    colours = [colormaps[colour_map](place)[:3] for place in np.linspace(0, 1, _TOP + 1).tolist()]
    table = np.round(np.array([*colours, to_rgb(NO_DATA)]) * 255).astype(np.uint8)
    table.flags.writeable = False
    return table


class Thumbnails:
    """Pictures of a survey's cutouts; the latest few thousand are kept, by all that they depend on.

    Parameters
    ----------
    read : callable
        Row of the survey -> its pixels, shape (h, w); called from several threads.
    entries : int
        How many pictures are kept.
    """

    def __init__(self, read: Callable[[int], Image], entries: int = _ENTRIES) -> None:
        self._read = read
        self._kept = lru_cache(maxsize=entries)(self._make)

    def png(self, row: int, *, stretch: str, contrast: float, colour_map: str, size: int) -> bytes:
        """Return the picture of a row as a PNG file; parameters and errors as `render`."""
        return self._kept(int(row), stretch, float(contrast), colour_map, int(size))

    def _make(self, row: int, stretch: str, contrast: float, colour_map: str, size: int) -> bytes:
        return png_bytes(self._read(row), stretch=stretch, contrast=contrast, colour_map=colour_map, size=size)


def _indices(image: Image, stretch: str, contrast: float, size: int) -> Bytes:
    """Return the places in the palette, shape (H, W), top row first."""
    if not SMALLEST <= size <= LARGEST:
        raise RequestError(f"A picture of {size} pixels is out of range; choose {SMALLEST} to {LARGEST}.")
    scale = scale_of(image, stretch=stretch, contrast=contrast)
    shown = scale.forward(shrink(image, size))
    known = np.isfinite(shown)
    indices = np.full(shown.shape, _NONE, np.uint8)
    indices[known] = np.round(shown[known] * _TOP).astype(np.uint8)
    return np.ascontiguousarray(indices[::-1])
