"""The axes of a FITS image: which two are the sky, and what the planes along the others are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError
from skysift.sky.beam import finite
from skysift.sky.info import NoImageError

if TYPE_CHECKING:
    from astropy.io.fits import Header

_SPECTRAL = re.compile(r"FREQ|VELO|VRAD|VOPT|WAVE|AWAV|WAVN|ZOPT|BETA|ENER|FELO|CHAN", re.IGNORECASE)
_LONGITUDE = re.compile(r"RA--|RA$|[A-Z]LON|[A-Z]{2}LN")
_LATITUDE = re.compile(r"DEC-|DEC$|[A-Z]LAT|[A-Z]{2}LT")
_HERTZ = {"": 1.0, "HZ": 1.0, "KHZ": 1e3, "MHZ": 1e6, "GHZ": 1e9}
_REMEDY = "give an image of 2 to 4 axes: two of the sky, and FREQ or STOKES beside them"


@dataclass(frozen=True)
class Axes:
    """How the planes of a FITS image lie in its array.

    Attributes
    ----------
    array_shape : tuple of int
        Of the whole array, NumPy order.
    x, y : int
        NumPy axes of longitude and latitude.
    others : tuple of int
        The remaining NumPy axes, in their order; planes are counted over them, the last one fastest.
    names : tuple of str
        What each of `others` is: `STOKES`, `FREQ`, ..., or `axis N` where the header does not say.
    default : int
        Plane of Stokes I in the first channel, or the first plane where there is no Stokes I.
    stokes_i : bool
        False where the header describes Stokes parameters and I is not among them.
    """

    array_shape: tuple[int, ...]
    x: int
    y: int
    others: tuple[int, ...]
    names: tuple[str, ...]
    default: int
    stokes_i: bool

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx) of a plane."""
        return self.array_shape[self.y], self.array_shape[self.x]

    @property
    def planes(self) -> int:
        """Number of planes."""
        return prod(self.array_shape[k] for k in self.others)

    def position(self, plane: int) -> tuple[int, ...]:
        """Index of a plane along each of `others`."""
        return tuple(int(i) for i in np.unravel_index(plane, [self.array_shape[k] for k in self.others] or [1]))

    def index(self, plane: int, y: slice = slice(None), x: slice = slice(None)) -> tuple[int | slice, ...]:
        """Index into the whole array of a section of a plane; `orient` turns the result into [y, x]."""
        index: list[int | slice] = [slice(None)] * len(self.array_shape)
        for axis, i in zip(self.others, self.position(plane), strict=False):
            index[axis] = i
        index[self.y], index[self.x] = y, x
        return tuple(index)

    def orient(self, section: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turn what `index` cuts out into [y, x]."""
        return section.T if self.y > self.x else section

    def describe(self) -> str:
        """Such as `32 planes (STOKES: 2, FREQ: 16)`."""
        sizes = [(self.array_shape[k], name) for k, name in zip(self.others, self.names, strict=True)]
        along = ", ".join(f"{name}: {n}" for n, name in sizes if n > 1)
        return f"{self.planes} planes ({along})" if along else "1 plane"


def read_axes(header: Header, path: str) -> Axes:
    """Find the sky among the axes of an image.

    Celestial axes are recognised by CTYPE. Without any, the two longest in front are taken (axis 1 as x), so that an
    image without a WCS, or behind axes of length 1, can be read still.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the image.
    path : str
        For messages.

    Raises
    ------
    RequestError
        Fewer than 2 or more than 4 axes, only one of the celestial pair, or an axis that is neither spectral nor
        Stokes and longer than 1.
    """
    ndim = int(header["NAXIS"])
    if ndim < 2:
        raise NoImageError(f"{path} has {ndim} axis, so that it is no image; {_REMEDY}.")
    if ndim > 4:
        raise RequestError(f"{path} has {ndim} axes, which is not supported; {_REMEDY}.")
    sizes = [int(header[f"NAXIS{i}"]) for i in range(1, ndim + 1)]
    types = [str(header.get(f"CTYPE{i}", "")).strip().upper() for i in range(1, ndim + 1)]
    x, y = _sky(sizes, types, path)
    for size, name in zip(sizes, types, strict=True):
        known = (
            not name or name == "STOKES" or _SPECTRAL.search(name) or _LONGITUDE.match(name) or _LATITUDE.match(name)
        )
        if size > 1 and not known and name not in (types[x], types[y]):
            raise RequestError(f"{path} has an axis {name} of length {size}, which is not supported; {_REMEDY}.")
    others = [i for i in reversed(range(ndim)) if i not in (x, y)]  # NumPy order: the last FITS axis first
    position, has_i = [], True
    for i in others:
        found = _stokes_i(header, i + 1, sizes[i]) if types[i] == "STOKES" else 0
        has_i &= found is not None
        position.append(found or 0)
    default = int(np.ravel_multi_index(position, [sizes[i] for i in others])) if others else 0
    names = tuple(types[i].split("-")[0] or f"axis {i + 1}" for i in others)
    return Axes(
        tuple(reversed(sizes)), ndim - 1 - x, ndim - 1 - y, tuple(ndim - 1 - i for i in others), names, default, has_i
    )


def _sky(sizes: list[int], types: list[str], path: str) -> tuple[int, int]:
    """0-based FITS axes of x and y."""
    lon = [i for i, name in enumerate(types) if _LONGITUDE.match(name)]
    lat = [i for i, name in enumerate(types) if _LATITUDE.match(name)]
    if len(lon) == 1 and len(lat) == 1:
        return lon[0], lat[0]
    if lon or lat:
        raise RequestError(
            f"{path} has the axes {', '.join(t or '(none)' for t in types)} without a pair of longitude and latitude;"
            f" {_REMEDY}."
        )
    free = [
        i
        for i, (n, name) in enumerate(zip(sizes, types, strict=True))
        if not (name == "STOKES" or _SPECTRAL.search(name))
    ]
    if len(free) < 2:
        raise RequestError(f"{path} has the axes {', '.join(types)} and none of the sky; {_REMEDY}.")
    long = [i for i in free if sizes[i] > 1]
    pair = (long if len(long) >= 2 else free)[:2]
    return pair[0], pair[1]


def _stokes_i(header: Header, axis: int, size: int) -> int | None:
    """0-based index of Stokes I (value 1) along a FITS axis."""
    value, step, reference = (
        finite(header.get(f"{key}{axis}", default)) for key, default in (("CRVAL", 1.0), ("CDELT", 1.0), ("CRPIX", 1.0))
    )
    if value is None or step is None or reference is None:
        return None
    values = value + (np.arange(1, size + 1) - reference) * step
    hits = np.flatnonzero(np.abs(values - 1) < 0.01)
    return int(hits[0]) if hits.size else None


def read_frequency(header: Header, axes: Axes, plane: int) -> float | None:
    """Frequency of a plane [Hz].

    From the FREQ axis where there is one (also one that outlived its axis, as cutouts of cubes often have), else
    from the keywords `FREQ`, `OBSFREQ`, `RESTFRQ` or `RESTFREQ`.
    """
    ndim = len(axes.array_shape)
    channels = dict(zip((ndim - k for k in axes.others), axes.position(plane), strict=False))
    for axis in range(1, 6):
        if str(header.get(f"CTYPE{axis}", "")).upper().startswith("FREQ"):
            value, step, reference = (
                finite(header.get(f"{key}{axis}", default))
                for key, default in (("CRVAL", None), ("CDELT", 0.0), ("CRPIX", 1.0))
            )
            unit = _HERTZ.get(str(header.get(f"CUNIT{axis}", "")).strip().upper())
            if value is None or unit is None:
                continue
            channel = channels.get(axis)
            shift = 0.0 if channel is None else (channel + 1 - (reference or 0.0)) * (step or 0.0)
            return (value + shift) * unit
    for key in ("FREQ", "OBSFREQ", "RESTFRQ", "RESTFREQ"):
        value = finite(header.get(key))
        if value is not None and value > 0:
            return value
    return None
