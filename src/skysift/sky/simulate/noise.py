"""Noise correlated as an interferometer's is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

from skysift.sky.simulate.beam import Beam, Float64

Float32 = npt.NDArray[np.float32]


def padded(shape: tuple[int, int], beam: Beam) -> tuple[int, int]:
    """Shape of a Fourier grid for an image: opposite edges of a periodic field are neighbours, so some is cut off."""
    pad = int(np.ceil(3 * beam.major))
    return fft.next_fast_len(shape[0] + pad, real=True), fft.next_fast_len(shape[1] + pad, real=True)


def noise_field(
    rng: np.random.Generator, shape: tuple[int, int], beam: Beam, *, natural: bool = False, power: Float64 | None = None
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
    power : ndarray, optional
        Power spectrum to use instead, on the grid of `scipy.fft.rfft2` for `padded(shape, beam)`.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
    """
    full = padded(shape, beam)
    if power is None:
        power = beam.transfer(full) if natural else beam.transfer(full) ** 2
    gain = np.sqrt(power).astype(np.float32)
    white = rng.standard_normal(full, dtype=np.float32)
    field = fft.irfft2(fft.rfft2(white) * gain, s=full)
    squares = (gain.astype(np.float64) ** 2).sum(axis=0)
    twice = 2 * squares.sum() - squares[0] - (squares[-1] if full[1] % 2 == 0 else 0.0)
    scale = np.sqrt(twice / (full[0] * full[1]))
    return np.asarray(field[: shape[0], : shape[1]] / np.float32(scale), dtype=np.float32)
