"""The elliptical Gaussian beam, on a pixel grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FWHM = math.sqrt(8 * math.log(2))  # full width at half maximum in standard deviations

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Beam:
    """An elliptical Gaussian.

    Parameters
    ----------
    major, minor : float
        Full widths at half maximum [pixel].
    pa : float
        Position angle of the major axis, north (+y) through east (-x) [deg].
    """

    major: float
    minor: float
    pa: float

    @property
    def area(self) -> float:
        """Solid angle [pixel]: pi / (4 ln 2) times both widths."""
        return math.pi / (4 * math.log(2)) * self.major * self.minor

    @property
    def covariance(self) -> tuple[float, float, float]:
        """Second moments (xx, yy, xy) [pixel squared]."""
        xx, yy, xy = covariance(np.array(self.major), np.array(self.minor), np.array(self.pa))
        return float(xx), float(yy), float(xy)

    def transfer(self, shape: tuple[int, int], blur: float = 0.0) -> Float64:
        """Fourier transform of the unit-sum beam for `scipy.fft.rfft2`.

        Parameters
        ----------
        shape : tuple of int
            Shape (ny, nx) of the image.
        blur : float
            Standard deviation of a further circular Gaussian [pixel].

        Returns
        -------
        ndarray, shape (ny, nx // 2 + 1)
            One at zero frequency, so that convolution conserves flux.
        """
        xx, yy, xy = self.covariance
        ky = np.fft.fftfreq(shape[0])[:, None]
        kx = np.fft.rfftfreq(shape[1])[None, :]
        quadratic = (xx + blur**2) * kx**2 + (yy + blur**2) * ky**2 + 2 * xy * kx * ky
        return np.exp(-2 * np.pi**2 * quadratic)


def covariance(major: Float64, minor: Float64, pa: Float64) -> tuple[Float64, Float64, Float64]:
    """Second moments (xx, yy, xy) [pixel squared] of Gaussians with these widths [pixel] and position angles [deg]."""
    angle = np.deg2rad(pa)
    east, north = -np.sin(angle), np.cos(angle)  # direction of the major axis: x grows to the west
    a2, b2 = (major / FWHM) ** 2, (minor / FWHM) ** 2
    return a2 * east**2 + b2 * north**2, a2 * north**2 + b2 * east**2, (a2 - b2) * east * north


def ellipse(xx: float, yy: float, xy: float) -> tuple[float, float, float]:
    """Full widths at half maximum (major, minor) and position angle in [0, 180) [deg] of second moments."""
    mean, half = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    angle = 0.5 * math.atan2(2 * xy, xx - yy)  # of the major axis, from +x to +y
    pa = (math.degrees(angle) - 90.0) % 180.0
    return FWHM * math.sqrt(max(mean + half, 0.0)), FWHM * math.sqrt(max(mean - half, 0.0)), pa
