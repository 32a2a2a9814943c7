"""Rare and diffuse sources: rings, shells, diffuse patches, filaments, and shapes that fit nowhere."""

from __future__ import annotations

import numpy as np

from skysift.sky.simulate.beam import Float64
from skysift.sky.simulate.cloud import Cloud, join, knots_only, projected_sphere, ridge, smooth_random, textured
from skysift.sky.simulate.galaxies import fr1, fr2

NO_KNOTS = np.empty((0, 4))


def ring(rng: np.random.Generator, size: float, beam: float) -> Cloud:
    """Draw an edge-brightened ring like the odd radio circles of Norris et al. 2021 (PASA 38, e003).

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the shape.
    size : float
        Diameter [pixel].
    beam : float
        Width of the beam [pixel].
    """
    blur = max(0.025 * size, 0.2 * beam)
    radius, number = size / 2, 12_000
    phi = rng.uniform(0, 2 * np.pi, number)
    r = radius * (1 + rng.normal(0, rng.uniform(0.03, 0.09), number))
    lumps = 1 + sum(rng.uniform(0, 0.45) / k * np.cos(k * phi + rng.uniform(0, 2 * np.pi)) for k in (1, 2, 3, 5))
    flatten = rng.uniform(0.86, 1.0)
    rim = Cloud(r * np.cos(phi), flatten * r * np.sin(phi), np.clip(lumps, 0.05, None), NO_KNOTS, blur)
    x, y = projected_sphere(rng, 6000)
    depth = radius * 0.95 * rng.uniform(0.85, 1.0, x.size)
    inside = Cloud(x * depth, flatten * y * depth, np.ones(x.size), NO_KNOTS, blur)
    parts = [
        (textured(rng, rim, 0.25, size / 2), 1.0),
        (textured(rng, inside, 0.5, size / 2), rng.uniform(0.1, 0.5)),
    ]
    if rng.random() < 0.6:
        parts.append((knots_only([(*rng.normal(0, 0.04 * size, 2), 1.0, 0.1 * beam)]), rng.uniform(0.01, 0.08)))
    return join(parts, blur)


def shell(rng: np.random.Generator, size: float, beam: float) -> Cloud:
    """Draw a limb-brightened, often lopsided or two-sided shell like a supernova remnant; parameters as `ring`."""
    blur = max(0.012 * size, 0.2 * beam)
    radius, number = size / 2, 30_000
    x, y = projected_sphere(rng, number)
    thickness = rng.uniform(0.05, 0.16)
    depth = radius * (1 - thickness * rng.random(number) ** 1.5)
    bulge = 1 + 0.07 * sum(np.cos(k * np.arctan2(y, x) + rng.uniform(0, 2 * np.pi)) / k for k in (1, 2, 3, 4))
    axis = rng.uniform(0, 2 * np.pi)
    toward = x * np.cos(axis) + y * np.sin(axis)
    if rng.random() < 0.5:  # barrel-shaped: two bright limbs
        bright = np.clip(1 - toward**2, 0, 1) ** rng.uniform(0.5, 2.0)
    else:  # brighter where it runs into denser gas
        bright = np.exp(rng.uniform(0.3, 1.4) * toward)
    cloud = Cloud(x * depth * bulge, rng.uniform(0.82, 1.0) * y * depth * bulge, bright, NO_KNOTS, blur)
    cloud = textured(rng, cloud, rng.uniform(0.35, 0.75), size / 3)
    if rng.random() < 0.15:
        plerion = Cloud(
            rng.normal(0, 0.09 * size, 4000), rng.normal(0, 0.09 * size, 4000), np.ones(4000), NO_KNOTS, blur
        )
        return join([(cloud, 1.0), (textured(rng, plerion, 0.4, size / 4), rng.uniform(0.1, 0.4))], blur)
    return cloud.normalised()


def diffuse(rng: np.random.Generator, size: float, beam: float) -> Cloud:
    """Draw a small roundish diffuse patch, as a cluster's halo; parameters as `ring`."""
    blur = max(0.04 * size, 0.4 * beam)
    number = 16_000
    scale = size / 4.6
    r = rng.gamma(2.0, scale * 0.55, number) if rng.random() < 0.5 else np.abs(rng.rayleigh(scale, number))
    r = np.where(r > size * 0.6, r * rng.random(number), r)
    phi = rng.uniform(0, 2 * np.pi, number)
    cloud = Cloud(r * np.cos(phi), rng.uniform(0.6, 1.0) * r * np.sin(phi), np.ones(number), NO_KNOTS, blur)
    return textured(rng, cloud, rng.uniform(0.25, 0.6), size / 1.5).normalised()


def diffuse_large(rng: np.random.Generator, size: float, beam: float) -> Cloud:
    """Draw an irregular diffuse cloud, as Galactic emission, from a fractal field; parameters as `ring`."""
    blur = max(0.015 * size, 0.4 * beam)
    step = max(size / 160, 0.75)
    axis = np.arange(-size / 2, size / 2 + step, step)
    gx, gy = np.meshgrid(axis, axis * rng.uniform(0.6, 1.0))
    x, y = gx.ravel(), gy.ravel()
    jitter = rng.uniform(-0.5, 0.5, (2, x.size)) * step
    cloud = textured(rng, Cloud(x, y, np.ones(x.size), NO_KNOTS, blur), 1.0, size * 0.8)
    radius = np.hypot(gx.ravel(), y / max(np.abs(y).max(), 1e-9) * size / 2) / (size / 2)
    envelope = np.clip(1.15 - radius, 0, 1) ** 0.8
    field = np.log(cloud.weight) + 1.4 * envelope
    weight = np.clip(field - np.quantile(field, 0.45), 0, None) * envelope
    kept = weight > 0
    return Cloud(x[kept] + jitter[0][kept], y[kept] + jitter[1][kept], weight[kept], NO_KNOTS, blur).normalised()


def filament(rng: np.random.Generator, size: float, beam: float) -> Cloud:
    """Draw a long thin ridge, curved and uneven, with a thread or two beside it; parameters as `ring`."""
    blur = 0.25 * beam
    t0 = (np.arange(400) + 0.5) / 400
    parts: list[tuple[Cloud, float]] = []
    bend = rng.normal(0, 0.5)
    for thread in range(1 + int(rng.integers(0, 3))):
        wiggle = rng.uniform(0.12, 0.4) * smooth_random(rng, 400, 140)
        length = size * (1.0 if thread == 0 else rng.uniform(0.25, 0.6))
        lean = 0.0 if thread == 0 else rng.normal(0, 0.25)
        thick = beam * rng.uniform(0.15, 0.6)

        def heading(t: Float64, wiggle: Float64 = wiggle, lean: float = lean) -> Float64:
            return np.asarray(bend * (t - 0.5) + lean + np.interp(t, t0, wiggle))

        def width(t: Float64, thick: float = thick) -> Float64:
            return np.full(np.shape(t), thick)

        def brightness(t: Float64) -> Float64:
            return np.clip(np.sin(np.pi * np.clip(t, 0.02, 0.98)), 0, None) ** 0.5

        line = ridge(rng, length, heading, width, brightness, blur=blur, clumps=0.55, number=9000)
        start = (0.0, 0.0) if thread == 0 else (rng.uniform(0.05, 0.5) * size, rng.normal(0, 0.04) * size)
        line = Cloud(line.x + start[0], line.y + start[1], line.weight, line.knots, blur)
        parts.append((line, 1.0 if thread == 0 else rng.uniform(0.15, 0.5)))
    return _centred(join(parts, blur))


def peculiar(rng: np.random.Generator, size: float, beam: float) -> Cloud:
    """Draw a shape of no class: an X, a double-double askew, linked rings or a pinwheel; parameters as `ring`."""
    kind = int(rng.integers(4))
    blur = max(0.02 * size, 0.2 * beam)
    if kind == 0:  # X-shaped: old wings across an active pair
        wings = fr1(rng, size * rng.uniform(0.7, 1.0), beam).rotated(rng.uniform(1.0, 2.1))
        return join([(fr2(rng, size, beam), 1.0), (wings, rng.uniform(0.4, 1.2))], blur)
    if kind == 1:  # a young pair inside an old one, turned
        inner = fr2(rng, size * rng.uniform(0.25, 0.45), beam).rotated(rng.normal(0, 0.8))
        return join([(fr2(rng, size, beam), 1.0), (inner, rng.uniform(0.3, 1.0))], blur)
    if kind == 2:  # rings that touch, one of them partial
        first, second = ring(rng, size * 0.6, beam), ring(rng, size * rng.uniform(0.35, 0.6), beam)
        moved = second.shifted(size * 0.42, 0.0)
        return _centred(join([(first, 1.0), (moved, rng.uniform(0.4, 1.0))], blur))
    return _pinwheel(rng, size, beam, blur)


def _pinwheel(rng: np.random.Generator, size: float, beam: float, blur: float) -> Cloud:
    """Draw curved arms about a core."""
    arms = int(rng.integers(2, 5))
    winding = rng.uniform(1.2, 3.0)
    parts: list[tuple[Cloud, float]] = [(knots_only([(0, 0, 1.0, 0.2 * beam)]), 0.1)]
    for arm in range(arms):

        def heading(t: Float64, first: float = 2 * np.pi * arm / arms) -> Float64:
            return first + winding * t

        def width(t: Float64) -> Float64:
            return 0.1 * beam + 0.05 * size * t

        flow = ridge(rng, size * 0.75, heading, width, lambda t: np.exp(-t), blur=blur)
        parts.append((flow, rng.uniform(0.4, 1.0)))
    return join(parts, blur)


def _centred(cloud: Cloud) -> Cloud:
    x, y = cloud.moments()[:2]
    return cloud.shifted(-x, -y).normalised()
