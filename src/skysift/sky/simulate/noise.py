"""Noise correlated as an interferometer's is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

from skysift.sky.simulate.beam import Beam, Float64

Float32 = npt.NDArray[np.float32]


def noise_field(
    rng: np.random.Generator, shape: tuple[int, int], beam: Beam, *, natural: bool = False, snapshot: float = 0.0
) -> Float32:
    """Draw Gaussian noise of zero mean and unit variance with the correlation of a beam.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the noise.
    shape : tuple of int
        Shape (ny, nx).
    beam : Beam
        Restoring beam [pixel].
    natural : bool
        Correlate like the beam itself (noise of naturally weighted visibilities) instead of like the beam's
        autocorrelation (white noise smoothed with the beam).
    snapshot : float
        Share of the noise power that lies on the arms of a Y-shaped array's instantaneous uv coverage, in [0, 1).

    Returns
    -------
    ndarray of float32, shape (ny, nx)
    """
    pad = int(np.ceil(3 * beam.major))  # opposite edges of a Fourier field are neighbours: cut that off
    full = (fft.next_fast_len(shape[0] + pad, real=True), fft.next_fast_len(shape[1] + pad, real=True))
    power = beam.transfer(full) if natural else beam.transfer(full) ** 2
    if snapshot > 0:
        power = _with_arms(power, full, rng.uniform(0, np.pi), snapshot, beam)
    gain = np.sqrt(power).astype(np.float32)
    white = rng.standard_normal(full, dtype=np.float32)
    field = fft.irfft2(fft.rfft2(white) * gain, s=full)
    variance = (2 * (gain**2).sum(dtype=np.float64) - (gain[:, 0] ** 2).sum(dtype=np.float64)) / (full[0] * full[1])
    if full[1] % 2 == 0:
        variance -= (gain[:, -1] ** 2).sum(dtype=np.float64) / (full[0] * full[1])
    return np.asarray(field[: shape[0], : shape[1]] / np.float32(np.sqrt(variance)), dtype=np.float32)


def _with_arms(power: Float64, shape: tuple[int, int], angle: float, share: float, beam: Beam) -> Float64:
    """Move a share of the noise power onto three bars through the uv plane's centre, 60 degrees apart."""
    ky = np.fft.fftfreq(shape[0])[:, None]
    kx = np.fft.rfftfreq(shape[1])[None, :]
    width = 0.12 / beam.major  # a tenth of the beam's own extent in the uv plane
    arms = np.zeros_like(power)
    for k in range(3):
        theta = angle + k * np.pi / 3
        across = ky * np.cos(theta) - kx * np.sin(theta)
        arms += np.exp(-0.5 * (across / width) ** 2)
    arms *= power
    return (1 - share) * power + arms * (share * power.sum() / arms.sum())
