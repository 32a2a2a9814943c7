"""Equal-area maps of the sky, right ascension increasing to the left."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]

CHUNK = 100_000  # positions at once; other threads have their turn in between
EDGE = 2 * np.degrees(1)  # radius of the zenithal map's disc [deg]


@dataclass(frozen=True)
class Projection:
    """A map of the sky, x to the right (west) and y up (north), both in degrees at the centre.

    Attributes
    ----------
    code : {"MOL", "ZEA"}
        Mollweide, for the whole sky; zenithal (Lambert's azimuthal) equal-area, which near its centre can't be told
        from a tangent plane and nevertheless holds surveys of any size (Calabretta & Greisen 2002, A&A 395, 1077,
        sections 5.2.6 and 5.1.7).
    ra, dec : float
        Centre, ICRS [deg]; Mollweide's lies on the equator.
    """

    code: Literal["MOL", "ZEA"]
    ra: float
    dec: float = 0.0

    @cached_property
    def _wcs(self) -> Any:
        from astropy.wcs import WCS

        wcs = WCS(naxis=2)
        wcs.wcs.ctype = [f"RA---{self.code}", f"DEC--{self.code}"]
        wcs.wcs.crval = [self.ra, self.dec]
        wcs.wcs.cdelt = [-1, 1]
        wcs.wcs.crpix = [0, 0]
        wcs.wcs.set()
        return wcs

    def forward(self, ra: npt.ArrayLike, dec: npt.ArrayLike) -> tuple[Float, Float]:
        """Return x and y [deg] of ICRS positions [deg]; NaN where a position is."""
        ra, dec = np.broadcast_arrays(np.asarray(ra, np.float64), np.asarray(dec, np.float64))
        x, y = self._by_chunks(self._wcs.wcs_world2pix, ra, dec)
        return x, y

    def inverse(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Float, Float]:
        """Return ICRS positions [deg] of x and y [deg]; NaN off the sky."""
        x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        return self._by_chunks(self._wcs.wcs_pix2world, x, y)

    @staticmethod
    def _by_chunks(function: Any, a: Float, b: Float) -> tuple[Float, Float]:
        pairs = np.column_stack([a.ravel(), b.ravel()])
        out = np.empty_like(pairs)
        for start in range(0, len(pairs), CHUNK):
            out[start : start + CHUNK] = function(pairs[start : start + CHUNK], 1)
        out[~(np.isfinite(pairs).all(axis=1) & np.isfinite(out).all(axis=1))] = np.nan
        return out[:, 0].reshape(a.shape), out[:, 1].reshape(a.shape)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """x0, x1, y0, y1 of the whole map [deg], with a margin."""
        if self.code == "MOL":
            half = 2 * np.sqrt(2) * np.degrees(1)
            return -1.06 * half, 1.06 * half, -0.56 * half, 0.56 * half
        return -1.05 * EDGE, 1.05 * EDGE, -1.05 * EDGE, 1.05 * EDGE

    def outline(self) -> tuple[Float, Float]:
        """Return x and y of the edge of the sky on this map, shape (361,)."""
        angle = np.radians(np.arange(361.0))
        if self.code == "MOL":
            half = 2 * np.sqrt(2) * np.degrees(1)
            return half * np.cos(angle), half / 2 * np.sin(angle)
        return EDGE * np.cos(angle), EDGE * np.sin(angle)


def centre_of(ra: Float, dec: Float) -> tuple[float, float, float]:
    """Return the middle of positions on the sphere and the distance of the farthest [deg].

    Parameters
    ----------
    ra, dec : ndarray, shape (N,)
        ICRS [deg]; NaN ones are left out, and one at least is not.

    Returns
    -------
    ra, dec, radius : float
        (0, 0, 180) where positions surround the sphere evenly.
    """
    good = np.isfinite(ra) & np.isfinite(dec)
    lon, lat = np.radians(ra[good]), np.radians(dec[good])
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    mean = points.mean(axis=1)
    length = float(np.linalg.norm(mean))
    if length < 1e-6:
        return 0.0, 0.0, 180.0
    mean /= length
    # the chord is exact for small angles, unlike the cosine
    chord = np.sqrt(np.max(((points - mean[:, None]) ** 2).sum(axis=0)))
    radius = float(np.degrees(2 * np.arcsin(min(chord / 2, 1.0))))
    return float(np.degrees(np.arctan2(mean[1], mean[0])) % 360), float(np.degrees(np.arcsin(mean[2]))), radius
