"""What calibration and deconvolution leave around bright sources: rings, rays and stripes."""

from __future__ import annotations

from typing import Literal

import numpy as np

from skysift.sky.simulate.beam import Beam, Float64

Kind = Literal["rings", "rays", "stripes"]
KINDS: tuple[Kind, ...] = ("rings", "rays", "stripes")


def artefact(rng: np.random.Generator, kind: Kind, amplitude: float, rms: float, beam: Beam, largest: int) -> Float64:
    """Draw the residual pattern around a bright point source.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the pattern.
    kind : {"rings", "rays", "stripes"}
        Concentric sidelobe rings; radial spokes as of a Y-shaped array; parallel stripes of a bad baseline.
    amplitude : float
        Brightness of the pattern near the source [Jy/beam].
    rms : float
        Noise [Jy/beam]: the pattern is followed until it drowns in it.
    beam : Beam
        The beam [pixel].
    largest : int
        Largest half side of the pattern [pixel].

    Returns
    -------
    ndarray, shape (2 h + 1, 2 h + 1)
        Brightness [Jy/beam], the source in the centre, where the pattern vanishes.
    """
    fade = beam.major * rng.uniform(4, 9) * (1.6 if kind != "rings" else 1.0)
    half = int(min(largest, np.ceil(fade * np.log(max(amplitude / (0.2 * rms), 2.0)))))
    axis = np.arange(-half, half + 1, dtype=np.float64)
    x, y = axis[None, :], axis[:, None]
    r = np.hypot(x, y)
    theta = np.arctan2(y, x)
    envelope = np.exp(-r / fade) * (1 - np.exp(-((r / (1.3 * beam.major)) ** 4)))
    envelope *= np.clip((half - r) / (0.15 * half), 0, 1)  # no square edge where the pattern is cut
    if kind == "rings":
        wavelength = beam.major * rng.uniform(1.6, 3.2)
        uneven = 1 + rng.uniform(0.1, 0.6) * np.cos(int(rng.integers(1, 4)) * (theta - rng.uniform(0, 2 * np.pi)))
        pattern = np.cos(2 * np.pi * r / wavelength + rng.uniform(0, 2 * np.pi)) * uneven
    elif kind == "rays":
        pattern = _rays(rng, x, y, r, beam)
    else:
        angle = rng.uniform(0, np.pi)
        wavelength = beam.major * rng.uniform(1.8, 4.0)
        along = x * np.cos(angle) + y * np.sin(angle)
        across = -x * np.sin(angle) + y * np.cos(angle)
        pattern = np.cos(2 * np.pi * along / wavelength + rng.uniform(0, 2 * np.pi))
        pattern *= np.exp(-0.5 * (across / (0.5 * fade)) ** 2) * 1.3
    return np.asarray(amplitude * envelope * pattern)


def _rays(rng: np.random.Generator, x: Float64, y: Float64, r: Float64, beam: Beam) -> Float64:
    """Spokes through the source, every one with its own sign changes along the way."""
    spokes = int(rng.choice([3, 3, 4, 6]))
    first = rng.uniform(0, np.pi)
    pattern = np.zeros(np.broadcast_shapes(x.shape, y.shape))
    for k in range(spokes):
        angle = first + k * np.pi / spokes + rng.normal(0, 0.06)
        across = -x * np.sin(angle) + y * np.cos(angle)
        width = 0.35 * beam.major + 0.03 * r
        wavelength = beam.major * rng.uniform(2.5, 7)
        wave = 0.5 + np.cos(2 * np.pi * r / wavelength + rng.uniform(0, 2 * np.pi))
        pattern += rng.uniform(0.4, 1.0) * wave * np.exp(-0.5 * (across / width) ** 2)
    return pattern
