"""The brightness model of an extended source: a cloud of weighted points and a few compact knots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skysift.sky.simulate.beam import Float64


@dataclass(frozen=True)
class Cloud:
    """An extended source of unit flux, relative to its own centre.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Offsets of the points [pixel], x to the west, y to the north.
    weight : ndarray, shape (n,)
        Flux of each point.
    knots : ndarray, shape (k, 4)
        Compact Gaussians: offset x, offset y [pixel], flux, full width at half maximum [pixel].
    blur : float
        Standard deviation of the Gaussian that smooths the points [pixel].
    """

    x: Float64
    y: Float64
    weight: Float64
    knots: Float64
    blur: float

    def normalised(self) -> Cloud:
        """Scale the total flux to one."""
        total = self.weight.sum() + self.knots[:, 2].sum()
        knots = self.knots.copy()
        knots[:, 2] /= total
        return Cloud(self.x, self.y, self.weight / total, knots, self.blur)

    def rotated(self, angle: float) -> Cloud:
        """Turn about the centre by an angle [radian]."""
        cos, sin = np.cos(angle), np.sin(angle)
        knots = self.knots.copy()
        knots[:, 0], knots[:, 1] = (
            cos * self.knots[:, 0] - sin * self.knots[:, 1],
            sin * self.knots[:, 0] + cos * self.knots[:, 1],
        )
        return Cloud(cos * self.x - sin * self.y, sin * self.x + cos * self.y, self.weight, knots, self.blur)

    def shifted(self, x: float, y: float) -> Cloud:
        """Move by an offset [pixel]."""
        knots = self.knots + np.array([x, y, 0.0, 0.0])
        return Cloud(self.x + x, self.y + y, self.weight, knots, self.blur)

    def moments(self) -> tuple[float, float, float, float, float]:
        """Flux-weighted centre (x, y) and second moments (xx, yy, xy) [pixel, pixel squared]."""
        x = np.concatenate([self.x, self.knots[:, 0]])
        y = np.concatenate([self.y, self.knots[:, 1]])
        flux = np.concatenate([self.weight, self.knots[:, 2]])
        own = np.concatenate([np.full(self.x.shape, self.blur**2), self.knots[:, 3] ** 2 / (8 * np.log(2))])
        flux = flux / flux.sum()
        # plain sums, no BLAS: its threads would change the last digits
        cx, cy = float((flux * x).sum()), float((flux * y).sum())
        spread = float((flux * own).sum())
        return (
            cx,
            cy,
            float((flux * (x - cx) ** 2).sum()) + spread,
            float((flux * (y - cy) ** 2).sum()) + spread,
            float((flux * (x - cx) * (y - cy)).sum()),
        )

    def extent(self) -> float:
        """Largest angular size [pixel]: the span of 98 % of the points and all knots along the widest direction."""
        x = np.concatenate([self.x, self.knots[:, 0]])
        y = np.concatenate([self.y, self.knots[:, 1]])
        angles = np.arange(0, np.pi, np.pi / 12)
        along = np.cos(angles)[:, None] * x + np.sin(angles)[:, None] * y
        low, high = np.quantile(along, [0.01, 0.99], axis=1)
        knots = along[:, self.x.size :]
        if knots.size:
            low, high = np.minimum(low, knots.min(axis=1)), np.maximum(high, knots.max(axis=1))
        return float((high - low).max()) + 2 * self.blur


def join(clouds: list[tuple[Cloud, float]], blur: float) -> Cloud:
    """Add clouds, each scaled to a share of the flux."""
    parts = [(cloud.normalised(), share) for cloud, share in clouds]
    knots = [np.column_stack([c.knots[:, :2], c.knots[:, 2] * share, c.knots[:, 3]]) for c, share in parts]
    return Cloud(
        np.concatenate([c.x for c, _ in parts]),
        np.concatenate([c.y for c, _ in parts]),
        np.concatenate([c.weight * share for c, share in parts]),
        np.concatenate(knots) if knots else np.empty((0, 4)),
        blur,
    ).normalised()


def knots_only(rows: list[tuple[float, float, float, float]], blur: float = 0.0) -> Cloud:
    """Make a cloud of compact Gaussians (x, y [pixel], flux, width [pixel]) alone."""
    nothing = np.empty(0)
    return Cloud(nothing, nothing, nothing, np.array(rows, dtype=np.float64).reshape(-1, 4), blur)


def ridge(
    rng: np.random.Generator,
    length: float,
    heading: Callable[[Float64], Float64],
    width: Callable[[Float64], Float64],
    brightness: Callable[[Float64], Float64],
    *,
    number: int = 4000,
    blur: float,
    clumps: float = 0.35,
) -> Cloud:
    """Scatter points about a curved ridge that starts at the origin: a jet, a tail, a filament.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the positions.
    length : float
        Length along the ridge [pixel].
    heading, width, brightness : callable
        Direction [radian], half width [pixel] and brightness at a fraction of the length in [0, 1].
    number : int
        Number of points.
    blur : float
        Smoothing [pixel].
    clumps : float
        Standard deviation of the logarithm of the brightness along the ridge.
    """
    t = (np.arange(400) + 0.5) / 400
    angle = heading(t)
    step = length / t.size
    px, py = np.cumsum(np.cos(angle)) * step, np.cumsum(np.sin(angle)) * step
    profile = np.maximum(brightness(t), 0) * np.exp(clumps * smooth_random(rng, t.size, 40))
    total = np.cumsum(profile)
    at = np.interp(rng.random(number) * total[-1], total, t)
    across = width(at) * np.sqrt(rng.random(number)) * np.cos(rng.uniform(0, 2 * np.pi, number))
    theta = np.interp(at, t, angle)
    x = np.interp(at, t, px) - across * np.sin(theta)
    y = np.interp(at, t, py) + across * np.cos(theta)
    return Cloud(x, y, np.full(number, 1 / number), np.empty((0, 4)), blur)


def smooth_random(rng: np.random.Generator, number: int, scale: float) -> Float64:
    """Draw a smooth random function of zero mean and unit variance on `number` points."""
    x = np.arange(number) / scale
    waves = rng.uniform(0.15, 1.0, 8)
    phases = rng.uniform(0, 2 * np.pi, 8)
    return np.asarray(np.sqrt(2 / 8) * np.cos(2 * np.pi * waves[:, None] * x / 2 + phases[:, None]).sum(axis=0))


def texture(rng: np.random.Generator, x: Float64, y: Float64, scale: float, *, octaves: int = 3) -> Float64:
    """Evaluate a fractal Gaussian random field of about unit variance at points.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the waves.
    x, y : ndarray
        Positions [pixel].
    scale : float
        Longest wavelength [pixel]; each octave halves it and has 0.6 of the amplitude.
    octaves : int
        Number of octaves.
    """
    field = np.zeros(np.shape(x))
    norm = 0.0
    for octave in range(octaves):
        amplitude = 0.6**octave
        for _ in range(4):
            k = 2 * np.pi / (scale / 2**octave) * rng.uniform(0.7, 1.4)
            theta, phase = rng.uniform(0, 2 * np.pi, 2)
            field += amplitude * np.cos(k * (x * np.cos(theta) + y * np.sin(theta)) + phase)
            norm += amplitude**2 / 2
    return np.asarray(field / np.sqrt(norm))


def textured(rng: np.random.Generator, cloud: Cloud, strength: float, scale: float) -> Cloud:
    """Multiply the points' fluxes by a log-normal fractal field of this strength and longest scale [pixel]."""
    weight = cloud.weight * np.exp(strength * texture(rng, cloud.x, cloud.y, scale))
    return Cloud(cloud.x, cloud.y, weight, cloud.knots, cloud.blur)


def projected_sphere(rng: np.random.Generator, number: int) -> tuple[Float64, Float64]:
    """Draw points uniformly on the unit sphere, seen in projection: x, y."""
    r = np.sqrt(1 - rng.uniform(-1, 1, number) ** 2)
    phi = rng.uniform(0, 2 * np.pi, number)
    return r * np.cos(phi), r * np.sin(phi)
