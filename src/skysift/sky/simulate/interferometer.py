"""What a Y-shaped array samples in a few snapshots, and what that leaves: structured noise and residual sidelobes.

Snapshot surveys such as FIRST have noise that lies on the uv points of some minutes' observation, so it looks woven,
and calibration errors scatter a share of every source over the sidelobes of the dirty beam.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from skysift.sky.simulate.beam import Beam, Float64
from skysift.sky.simulate.noise import Float32

ARMS = np.deg2rad([355.0, 115.0, 236.0])  # azimuths of the VLA's arms
STATIONS = np.arange(1, 10) ** 1.716  # distances along an arm: the VLA's power law
LATITUDE = np.deg2rad(34.08)
REACH = 1.30  # longest baseline [cycles per beam width]; 11.4 km at 1.4 GHz and 5.4 arcsec for FIRST would be 1.42
SMEAR = 0.0022  # width of a sampled point [cycles/pixel]: time and bandwidth average over it
FLOOR = 0.03  # share of the noise power that is spread smoothly
TAPER = 1.5  # weight of a baseline: Gaussian of this standard deviation [cycles per beam width]
SHORT, EXCESS = 0.09, 1.6  # baselines below [cycles per beam width] are noisier, by sidelobes of the sky around

Complex = npt.NDArray[np.complex128]


@dataclass(frozen=True)
class Sampling:
    """The uv points of some snapshots.

    Parameters
    ----------
    uv : ndarray, shape (snapshots, baselines, 2)
        u along x, v along y [cycles/pixel].
    first, second : ndarray of int, shape (baselines,)
        The antennas of each baseline.
    weight : ndarray, shape (snapshots,)
        Weight of each snapshot in the co-add; they add up to one.
    noise : ndarray, shape (snapshots, baselines)
        Noise power of each visibility, any unit.
    """

    uv: Float64
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    weight: Float64
    noise: Float64

    def power(self, shape: tuple[int, int], beam: Beam) -> Float64:
        """Noise power on the grid of `scipy.fft.rfft2` of an image of this shape, shape (ny, nx // 2 + 1)."""
        values = (self.weight[:, None] ** 2 * self.noise).ravel().astype(np.complex128)
        sampled = _deposit(self.uv.reshape(-1, 2), values, shape).real
        smooth = beam.transfer(shape)
        return sampled / sampled.sum() + FLOOR * smooth / smooth.sum()

    def errors(self, rng: np.random.Generator, shape: tuple[int, int], level: float) -> Complex:
        """Draw what gain errors of an rms `level` per antenna do to a visibility, on the same grid."""
        snapshots, antennas = self.uv.shape[0], int(self.second.max()) + 1
        drawn = rng.standard_normal((2, snapshots, antennas))
        gain = 1 + level * (drawn[0] + 1j * drawn[1])
        wrong = gain[:, self.first] * gain[:, self.second].conj() - 1
        values = (wrong * self.weight[:, None] / self.uv.shape[1]).ravel()
        return _deposit(self.uv.reshape(-1, 2), values, shape) * (0.5 * shape[0] * shape[1])


def snapshots(rng: np.random.Generator, number: int, beam: Beam) -> Sampling:
    """Observe a field with a Y-shaped array a few times, at random hour angles and declination.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the hour angles.
    number : int
        Snapshots that are co-added.
    beam : Beam
        Restoring beam [pixel]; the array is scaled to it.
    """
    east = np.concatenate([STATIONS * np.sin(a) for a in ARMS])
    north = np.concatenate([STATIONS * np.cos(a) for a in ARMS])
    first, second = np.triu_indices(east.size, 1)
    de, dn = east[second] - east[first], north[second] - north[first]
    x, y, z = -dn * np.sin(LATITUDE), de, dn * np.cos(LATITUDE)
    declination = np.deg2rad(rng.uniform(-8, 62))
    middle = np.deg2rad(15 * rng.uniform(-1.5, 1.5))
    points = []
    for _ in range(number):
        hour = middle + np.deg2rad(15 * rng.normal(0, 1.0 if number > 1 else 0.0))
        u = x * np.sin(hour) + y * np.cos(hour)
        v = -x * np.sin(declination) * np.cos(hour) + y * np.sin(declination) * np.sin(hour) + z * np.cos(declination)
        points.append(np.column_stack([-u, v]))  # u grows to the east, x to the west
    longest = float(np.hypot(de, dn).max())
    uv = np.stack(points) * (REACH * rng.normal(1, 0.04) / np.sqrt(beam.major * beam.minor) / longest)
    weight = rng.uniform(0.3, 1.0, number)
    return Sampling(uv, first, second, weight / weight.sum(), _visibility_noise(rng, uv, beam))


def _visibility_noise(rng: np.random.Generator, uv: Float64, beam: Beam) -> Float64:
    """Draw how noise power falls with baseline length: weighting, taper and confusion differ from field to field."""
    k = np.hypot(uv[..., 0], uv[..., 1]) * np.sqrt(beam.major * beam.minor)
    excess = EXCESS * np.exp(rng.normal(0, 0.9))
    slope = rng.normal(0.12, 0.33)
    return np.asarray(
        np.exp(-0.5 * (k / TAPER) ** 2) * (0.1 + k) ** slope * (1 + excess * np.exp(-0.5 * (k / SHORT) ** 2))
    )


def residual(image: Float32, errors: Complex, beam: Beam, shape: tuple[int, int]) -> Float32:
    """Scatter a noise-free image [Jy/beam] over its sidelobes by the visibility errors of `Sampling.errors`.

    The errors multiply the sky's visibilities at the sampled points alone; what is returned [Jy/beam] is to be added.
    """
    transfer = np.maximum(beam.transfer(shape), 1e-5)
    sky = fft.rfft2(image.astype(np.float64), s=shape) / (transfer * beam.area)
    return np.asarray(fft.irfft2(sky * errors, s=shape)[: image.shape[0], : image.shape[1]], dtype=np.float32)


def _deposit(uv: Float64, values: Complex, shape: tuple[int, int]) -> Complex:
    """Put Gaussian blobs of unit sum at uv points and, conjugated, at their mirror images."""
    ny, nx = shape
    grid = np.zeros((ny, nx // 2 + 1), dtype=np.complex128)
    sx, sy = max(SMEAR * nx, 0.5), max(SMEAR * ny, 0.5)
    half_x, half_y = int(np.ceil(3 * sx)), int(np.ceil(3 * sy))
    for sign in (1, -1):
        px, py = sign * uv[:, 0] * nx, sign * uv[:, 1] * ny
        inside = (np.abs(uv) < 0.5).all(axis=1) & (px > -half_x)
        for x, y, value in zip(px[inside], py[inside], values[inside], strict=True):
            columns, rows = np.arange(-half_x, half_x + 1) + round(x), np.arange(-half_y, half_y + 1) + round(y)
            bx = np.exp(-0.5 * ((columns - x) / sx) ** 2)
            by = np.exp(-0.5 * ((rows - y) / sy) ** 2)
            scale = (value if sign > 0 else value.conjugate()) / (bx.sum() * by.sum())
            kept = (columns >= 0) & (columns <= nx // 2)
            grid[np.ix_(rows % ny, columns[kept])] += scale * by[:, None] * bx[None, kept]
    return grid
