"""What is known of one image plane before any pixel is read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from skysift.errors import RequestError

if TYPE_CHECKING:
    from astropy.wcs import WCS

Positions = Literal["wcs", "ignore"]


class NoImageError(RequestError):
    """A sound FITS file without an image: a table, a spectrum, or headers alone."""


class Choice(NamedTuple):
    """What the user chose of a file; None stands for the default of `skysift.sky.mosaic.inspect_mosaic`."""

    hdu: int | None
    plane: int | None
    positions: Positions
    bunit: str | None


@dataclass(frozen=True)
class MosaicInfo:
    """Geometry, unit and beam of one plane of a mosaic or of an image stack.

    Attributes
    ----------
    path : str
        File or URL, as it was given.
    format : str
        Name of the reader: `fits`, `fits.fz`, `npy`, `npz`, `idx`, `batch`, `libsvm` or `picture`.
    hdu : int
        FITS extension that holds the image; 0 in other formats.
    plane : int
        Index over the axes that are not celestial, counted in NumPy order (the last one runs fastest), or the
        index of the image in a stack.
    shape : tuple of int
        (ny, nx) [pixel].
    bunit : str or None
        Unit of the pixels as the header says, or as the user told where it does not.
    bmaj, bmin, bpa : float or None
        Beam, full width at half maximum [deg] and position angle, north through east [deg].
    frequency : float or None
        Of the plane [Hz].
    pixel_scale : float or None
        Side of a square of a pixel's area at the reference point [arcsec].
    wcs_header : str or None
        Cards of the two-axis celestial WCS (longitude first), one a line; None where positions are unusable.
    planes : int
        How many planes there are to choose from.
    """

    path: str
    format: str
    hdu: int
    plane: int
    shape: tuple[int, int]
    bunit: str | None = None
    bmaj: float | None = None
    bmin: float | None = None
    bpa: float | None = None
    frequency: float | None = None
    pixel_scale: float | None = None
    wcs_header: str | None = None
    planes: int = 1

    @property
    def wcs(self) -> WCS | None:
        """The celestial WCS of two axes, pixel order (x, y); None where positions are unusable."""
        return None if self.wcs_header is None else parse_wcs(self.wcs_header)

    @property
    def beam_area_pixels(self) -> float | None:
        """Solid angle of the beam [pixel], which divides a sum of Jy/beam into Jy; None where it is unknown."""
        from skysift.sky.beam import beam_area_pixels

        return beam_area_pixels(self.bmaj, self.bmin, self.pixel_scale)


@lru_cache(maxsize=256)
def parse_wcs(header: str) -> WCS:
    """Build the WCS of `MosaicInfo.wcs_header`; the last 256 are kept."""
    from astropy.io import fits
    from astropy.wcs import WCS

    from skysift.sky.quiet import quiet

    with quiet():
        return WCS(fits.Header.fromstring(header, sep="\n"))
