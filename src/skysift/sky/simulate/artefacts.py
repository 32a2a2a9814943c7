"""What calibration and deconvolution leave around bright sources: rings, rays and stripes."""

from __future__ import annotations

from typing import Literal

import numpy as np

from skysift.sky.simulate.beam import Beam, Float64
from skysift.sky.simulate.cloud import texture

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
    fade = beam.major * rng.uniform(2.5, 5.5) * (1.5 if kind != "rings" else 1.0)
    half = int(min(largest, np.ceil(1.6 * fade * np.log(max(amplitude / (0.2 * rms), 2.0)))))
    axis = np.arange(-half, half + 1, dtype=np.float64)
    x, y = axis[None, :], axis[:, None]
    r = np.hypot(x, y)
    envelope = np.exp(-np.sqrt(r / fade) * np.sqrt(1 + r / (4 * fade)))  # steep near the source, long wings
    envelope *= 1 - np.exp(-((r / (1.3 * beam.major)) ** 4))
    envelope *= np.clip((half - r) / (0.3 * half), 0, 1)  # no square edge where the pattern is cut
    uneven = np.exp(0.5 * texture(rng, x + 0 * y, y + 0 * x, 2.5 * fade))
    strengths = {name: 1.0 if name == kind else rng.uniform(0, 0.3) for name in KINDS}
    pattern = strengths["rings"] * _rings(rng, x, y, r, beam)
    pattern += strengths["rays"] * _rays(rng, x, y, r, beam)
    pattern += strengths["stripes"] * _stripes(rng, x, y, fade, beam)
    return np.asarray(1.6 * amplitude * envelope * uneven * pattern)


def _rings(rng: np.random.Generator, x: Float64, y: Float64, r: Float64, beam: Beam) -> Float64:
    """Concentric sidelobes, stronger on some sides, that slowly get out of step."""
    theta = np.arctan2(y, x)
    wavelength = beam.major * rng.uniform(1.5, 2.8)
    phase = rng.uniform(0, 2 * np.pi) + rng.uniform(0, 0.8) * np.sin(theta + rng.uniform(0, 2 * np.pi))
    sides = [rng.uniform(0.1, 0.5) * np.cos(k * (theta - rng.uniform(0, 2 * np.pi))) for k in (1, 2, 3)]
    stretch = 1 + rng.uniform(-0.1, 0.1) * np.cos(2 * (theta - rng.uniform(0, np.pi)))
    return np.asarray(np.cos(2 * np.pi * r * stretch / wavelength + phase) * np.clip(1 + sum(sides), 0, None))


def _stripes(rng: np.random.Generator, x: Float64, y: Float64, fade: float, beam: Beam) -> Float64:
    """Parallel fringes of one or two bad baselines, across the source."""
    pattern = np.zeros(np.broadcast_shapes(x.shape, y.shape))
    angle = rng.uniform(0, np.pi)
    for _ in range(int(rng.integers(1, 3))):
        own = angle + rng.normal(0, 0.1)
        along, across = x * np.cos(own) + y * np.sin(own), -x * np.sin(own) + y * np.cos(own)
        wavelength = beam.major * rng.uniform(1.8, 4.5)
        wave = np.cos(2 * np.pi * along / wavelength + rng.uniform(0, 2 * np.pi))
        pattern += rng.uniform(0.4, 1.0) * wave * np.exp(-0.5 * (across / (0.9 * fade)) ** 2)
    return pattern


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
