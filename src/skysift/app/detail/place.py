"""Where a cutout lies: its window, its mosaic, and positions on the sky if there are any."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skysift.errors import RequestError
from skysift.sky.info import MosaicInfo
from skysift.sky.wcs import pixel_to_icrs

if TYPE_CHECKING:
    from skysift.app.survey import Survey

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """A cutout in its mosaic.

    Attributes
    ----------
    row : int
        Of the survey.
    cutout_id : str
        16 hex digits.
    x0, y0, width, height : int
        Its window [pixel].
    plane : int
        Of the cube, or image of the stack.
    info : MosaicInfo
        Unit, beam, pixel scale and WCS of the mosaic; its path is a name only, "" where it is not known.
    mosaic : dict
        Row of the table of mosaics.
    """

    row: int
    cutout_id: str
    x0: int
    y0: int
    width: int
    height: int
    plane: int
    info: MosaicInfo
    mosaic: dict[str, Any]

    @classmethod
    def of(cls, survey: Survey, row: int) -> Place:
        """Look up a row.

        Raises
        ------
        RequestError
            If there is no such row.
        """
        if not 0 <= row < len(survey):
            raise RequestError("There is no such cutout: choose one in the gallery.")
        one = survey.catalogue.select([row])
        cutout = one.table.to_pylist()[0]
        mosaic = one.mosaics.to_pylist()[int(one.mosaic_rows()[0])]
        info = MosaicInfo(
            path=_name(survey, mosaic["mosaic"]),
            format=mosaic["format"],
            hdu=mosaic["hdu"] or 0,
            plane=cutout["plane"] or 0,
            shape=(mosaic["ny"], mosaic["nx"]),
            **{key: mosaic[key] for key in ("bunit", "bmaj", "bmin", "bpa", "frequency", "pixel_scale", "wcs_header")},
        )
        return cls(
            row=row,
            plane=cutout["plane"] or 0,
            info=info,
            mosaic=mosaic,
            **{name: cutout[name] for name in ("cutout_id", "x0", "y0", "width", "height")},
        )

    @property
    def on_sky(self) -> bool:
        """Whether its pixels have positions."""
        return self.info.wcs_header is not None

    @property
    def whole(self) -> bool:
        """Whether there is nothing around it: it is all of its image."""
        ny, nx = self.info.shape
        return self.x0 <= 0 and self.y0 <= 0 and self.x0 + self.width >= nx and self.y0 + self.height >= ny

    def sky(self, x: Any, y: Any) -> tuple[Floats, Floats]:
        """Right ascension and declination of its pixels, 0-based from its own corner; ICRS [deg], NaN off the sky."""
        return pixel_to_icrs(self.info, np.asarray(x, np.float64) + self.x0, np.asarray(y, np.float64) + self.y0)

    @property
    def centre(self) -> tuple[float, float] | None:
        """Right ascension and declination of its centre, ICRS [deg]; None where there is none."""
        ra, dec = self.sky((self.width - 1) / 2, (self.height - 1) / 2)
        return (float(ra), float(dec)) if np.isfinite(ra) and np.isfinite(dec) else None

    @property
    def corners(self) -> tuple[Floats, Floats] | None:
        """Its four corners, ICRS [deg], (4,) each; None where one is off the sky."""
        right, upper = self.width - 0.5, self.height - 0.5
        ra, dec = self.sky([-0.5, right, right, -0.5], [-0.5, -0.5, upper, upper])
        return (ra, dec) if np.isfinite(ra).all() and np.isfinite(dec).all() else None

    @property
    def directions(self) -> tuple[Floats, Floats] | None:
        """Unit vectors (x, y) towards north and east at its centre; None where there is no position.

        From positions around the centre: the gradient of declination and that of right ascension times cos(Dec).
        """
        if self.centre is None:
            return None
        x, y = (self.width - 1) / 2, (self.height - 1) / 2
        ra, dec = self.sky([x, x + 1, x, x - 1, x], [y, y, y + 1, y, y - 1])
        east_steps = ((ra - ra[0] + 180) % 360 - 180) * np.cos(np.radians(dec[0]))
        # rows: what one pixel to the right, and one up, changes in (east, north)
        change = np.array(
            [
                [east_steps[1] - east_steps[3], dec[1] - dec[3]],
                [east_steps[2] - east_steps[4], dec[2] - dec[4]],
            ]
        )
        if not np.isfinite(change).all() or abs(np.linalg.det(change)) < 1e-24:
            return None
        north, east = np.linalg.solve(change.T, [0.0, 1.0]), np.linalg.solve(change.T, [1.0, 0.0])
        return north / np.linalg.norm(north), east / np.linalg.norm(east)

    @property
    def beam(self) -> tuple[float, float, float] | None:
        """Major and minor axis of the beam [pixel] and the angle of the major one from the x axis [rad]; or None."""
        info = self.info
        if info.bmaj is None or info.bmin is None or not info.pixel_scale:
            return None
        found = self.directions
        north, east = found if found is not None else (np.array([0.0, 1.0]), np.array([-1.0, 0.0]))
        angle = np.radians(info.bpa or 0.0)
        major = np.cos(angle) * north + np.sin(angle) * east
        steps = 3600 / info.pixel_scale
        return info.bmaj * steps, info.bmin * steps, float(np.arctan2(major[1], major[0]))


def sexagesimal(ra: float, dec: float, precision: int = 2) -> str:
    """Write a position as `12h34m56.78s -12d34m56.8s`."""
    from astropy import units
    from astropy.coordinates import SkyCoord

    text: str = SkyCoord(ra * units.deg, dec * units.deg).to_string("hmsdms", precision=precision)
    return text


def _name(survey: Survey, fingerprint: str) -> str:
    """Return the name of a mosaic's file, "" where it is not known."""
    try:
        return PurePath(survey.store.sources.locate(fingerprint)).name
    except RequestError:
        return ""
