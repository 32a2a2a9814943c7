"""Radio galaxies: FR-I, FR-II, wide- and narrow-angle tails.

Each function draws one source of a given largest angular size, its axis along x, as a cloud of unit flux. The shapes
follow Fanaroff & Riley 1974 (MNRAS 167, 31P) and Miley 1980 (ARA&A 18, 165): edge-darkened plumes from a bright core;
edge-brightened lobes with hot spots and backflow; tails swept back from the galaxy's motion.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skysift.sky.simulate.beam import Float64
from skysift.sky.simulate.cloud import Cloud, join, knots_only, ridge, smooth_random, textured

Maker = Callable[[np.random.Generator, float, float], Cloud]


def fr2(rng: np.random.Generator, size: float, beam: float, *, detached: bool = False) -> Cloud:
    """Draw an edge-brightened double: hot spots, lobes with backflow, often a core, sometimes a one-sided jet.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the shape.
    size : float
        Largest angular size [pixel].
    beam : float
        Width of the beam [pixel]; sets the smallest detail worth drawing.
    detached : bool
        Draw slim lobes apart from a strong core, without a bridge between them.
    """
    blur = max(0.02 * size, 0.15 * beam)
    asymmetry = float(np.clip(rng.normal(0, 0.2 if detached else 0.12), -0.35, 0.35))
    share = 1 / (1 + np.exp(rng.normal(0, 0.55)))
    reach = rng.uniform(0.2, 0.5) if detached else rng.uniform(0.45, 1.05)  # of the backflow, as a fraction of the arm
    fatness = rng.uniform(0.08, 0.2) if detached else rng.uniform(0.14, 0.4)
    hot = float(np.exp(rng.normal(np.log(0.2), 0.7)))
    parts: list[tuple[Cloud, float]] = []
    tips: list[tuple[float, float]] = []
    for side, flux in ((1.0, share), (-1.0, 1 - share)):
        arm = size / 2 * (1 + side * asymmetry)
        bend = rng.normal(0, 0.09) + (0.0 if side > 0 else np.pi)
        lobe, tip = _lobe(rng, arm, bend, reach, fatness, blur)
        spots = _hot_spots(rng, tip, bend, arm, beam)
        bright = float(np.clip(hot * np.exp(rng.normal(0, 0.4)), 0.02, 0.85))
        parts += [(lobe, flux * (1 - bright)), (spots, flux * bright)]
        tips.append(tip)
    if not detached:
        parts.append((_halo(rng, 0.42 * size, rng.uniform(0.08, 0.2) * size, blur), rng.uniform(0.0, 0.25)))
    if detached or rng.random() < 0.65:
        weakest, strongest = (0.03, 0.4) if detached else (0.004, 0.15)
        core = float(np.exp(rng.uniform(np.log(weakest), np.log(strongest))))
        parts.append((knots_only([(0.0, 0.0, 1.0, 0.1 * beam)]), core))
    if not detached and rng.random() < 0.35:
        tip = tips[int(rng.integers(2))]
        at = np.sort(rng.uniform(0.08, 0.85, int(rng.integers(3, 9))))
        knots = [(t * tip[0], t * tip[1], float(np.exp(rng.normal(0, 0.6))), 0.4 * beam) for t in at]
        parts.append((knots_only(knots), rng.uniform(0.01, 0.1)))
    return join(parts, blur)


def _halo(rng: np.random.Generator, length: float, width: float, blur: float) -> Cloud:
    """Draw faint old plasma about the axis, between half lengths [pixel] along and across it."""
    number = 3000
    r, phi = np.sqrt(rng.random(number)) ** 1.3, rng.uniform(0, 2 * np.pi, number)
    cloud = Cloud(length * r * np.cos(phi), width * r * np.sin(phi), np.ones(number), np.empty((0, 4)), blur)
    return textured(rng, cloud, 0.6, max(length, 4.0))


def _lobe(
    rng: np.random.Generator, arm: float, bend: float, reach: float, fatness: float, blur: float
) -> tuple[Cloud, tuple[float, float]]:
    """Draw a lobe from its tip back towards the core; return it and the tip's place."""
    fade = rng.uniform(0.18, 0.6)
    drift = rng.normal(0, 0.25)
    widest = arm * fatness

    def width(t: Float64) -> Float64:
        return widest * np.sqrt(np.clip(0.12 + 2.2 * t, 0, 1)) * np.sqrt(np.clip(1.15 - t, 0.05, 1))

    def heading(t: Float64) -> Float64:
        return np.asarray(np.pi + drift * t)

    def brightness(t: Float64) -> Float64:
        return np.exp(-t / fade) * np.clip((1.02 - t) / 0.25, 0, 1)

    flow = ridge(rng, arm * reach, heading, width, brightness, blur=blur, clumps=0.25)
    flow = textured(rng, flow, rng.uniform(0.1, 0.4), max(arm * 0.5, 4.0))
    moved = Cloud(flow.x + arm, flow.y, flow.weight, flow.knots, blur).rotated(bend)
    return moved, (arm * np.cos(bend), arm * np.sin(bend))


def _hot_spots(rng: np.random.Generator, tip: tuple[float, float], bend: float, arm: float, beam: float) -> Cloud:
    """Draw one or two hot spots just inside the tip of a lobe."""
    x, y = tip[0] * 0.965, tip[1] * 0.965
    width = max(0.035 * arm * rng.uniform(0.5, 2.5), 0.15 * beam)
    rows = [(x, y, 1.0, width)]
    if rng.random() < 0.3:
        along, across = rng.uniform(0.06, 0.2) * arm, rng.normal(0, 0.09) * arm
        rows.append(
            (
                x - along * np.cos(bend) - across * np.sin(bend),
                y - along * np.sin(bend) + across * np.cos(bend),
                rng.uniform(0.15, 0.9),
                width * rng.uniform(1.0, 2.5),
            )
        )
    return knots_only(rows)


def fr1(rng: np.random.Generator, size: float, beam: float) -> Cloud:
    """Draw an edge-darkened source: a core, two flaring jets that bend and fade into plumes; parameters as `fr2`."""
    blur = max(0.02 * size, 0.15 * beam)
    curve = rng.normal(0, 0.5)
    mirror = 1.0 if rng.random() < 0.6 else -1.0  # S- or C-shaped
    asymmetry = float(np.clip(rng.normal(0, 0.12), -0.4, 0.4))
    share = 1 / (1 + np.exp(rng.normal(0, 0.35)))
    fade = rng.uniform(0.18, 0.55)
    opening = np.deg2rad(rng.uniform(7, 20))
    plume = rng.uniform(0, 0.5)
    parts: list[tuple[Cloud, float]] = []
    for side, flux in ((1.0, share), (-1.0, 1 - share)):
        arm = size / 2 * (1 + side * asymmetry)
        wiggle = rng.uniform(0.1, 0.5) * smooth_random(rng, 400, 160)
        start = rng.normal(0, 0.05) + (0.0 if side > 0 else np.pi)
        turn = curve * (1.0 if side > 0 else mirror)
        flow = _plume(rng, arm, start, turn, wiggle, fade, opening, plume, blur, beam)
        parts.append((textured(rng, flow, rng.uniform(0.1, 0.45), max(arm * 0.4, 4.0)), flux))
    parts.append((_halo(rng, 0.42 * size, rng.uniform(0.1, 0.25) * size, blur), rng.uniform(0.0, 0.3)))
    core = float(np.exp(rng.normal(np.log(0.08), 0.9)))
    parts.append((knots_only([(0.0, 0.0, 1.0, 0.15 * beam)]), min(core, 1.2)))
    return join(parts, blur)


def _plume(
    rng: np.random.Generator,
    arm: float,
    start: float,
    turn: float,
    wiggle: Float64,
    fade: float,
    opening: float,
    plume: float,
    blur: float,
    beam: float,
) -> Cloud:
    """Draw one flaring, fading jet."""
    t0 = (np.arange(wiggle.size) + 0.5) / wiggle.size
    base = 0.25 * beam

    def heading(t: Float64) -> Float64:
        return start + turn * t**1.5 + np.interp(t, t0, wiggle) * np.clip(2 * t, 0, 1)

    def width(t: Float64) -> Float64:
        return base + arm * np.tan(opening) * t / np.sqrt(1 + (1.2 * t) ** 2)

    def brightness(t: Float64) -> Float64:
        rise = np.clip(t / 0.06, 0.1, 1)
        body = rise * np.exp(-t / fade) + plume * np.exp(-0.5 * ((t - 0.72) / 0.16) ** 2)
        return body * np.clip((1 - t) / 0.3, 0, 1)

    return ridge(rng, arm, heading, width, brightness, blur=blur, clumps=0.3)


def wide_angle_tail(rng: np.random.Generator, size: float, beam: float) -> Cloud:
    """Draw a wide-angle tail: straight inner jets, a bright flare, then tails swept back; parameters as `fr2`."""
    return _tails(
        rng,
        size * 0.62,
        beam,
        first=np.deg2rad(rng.uniform(62, 88)),
        last=np.deg2rad(rng.uniform(18, 42)),
        bend_at=rng.uniform(0.2, 0.45),
        sharpness=rng.uniform(0.05, 0.18),
        flare=rng.uniform(0.4, 2.0),
        fade=rng.uniform(0.35, 0.9),
        opening=np.deg2rad(rng.uniform(6, 15)),
        core=float(np.exp(rng.normal(np.log(0.06), 0.8))),
    )


def narrow_angle_tail(rng: np.random.Generator, size: float, beam: float) -> Cloud:
    """Draw a head-tail: jets bent sharply into two nearly parallel, fading tails; parameters as `fr2`."""
    return _tails(
        rng,
        size * 0.98,
        beam,
        first=np.deg2rad(rng.uniform(50, 85)),
        last=np.deg2rad(rng.uniform(-1, 6)),
        bend_at=rng.uniform(0.02, 0.07),
        sharpness=rng.uniform(0.015, 0.04),
        flare=rng.uniform(0.3, 1.5),
        fade=rng.uniform(0.22, 0.6),
        opening=np.deg2rad(rng.uniform(3, 9)),
        core=float(np.exp(rng.normal(np.log(0.15), 0.7))),
    )


def _tails(
    rng: np.random.Generator,
    arm: float,
    beam: float,
    *,
    first: float,
    last: float,
    bend_at: float,
    sharpness: float,
    flare: float,
    fade: float,
    opening: float,
    core: float,
) -> Cloud:
    """Draw two jets that leave at angles +-`first` from the tail's direction and turn to +-`last`."""
    blur = max(0.018 * arm, 0.15 * beam)
    sway = 0.16 * smooth_random(rng, 400, 170)  # what moves both tails alike: weather in the cluster
    share = 1 / (1 + np.exp(rng.normal(0, 0.3)))
    t0 = (np.arange(400) + 0.5) / 400
    parts: list[tuple[Cloud, float]] = []
    for side, flux in ((1.0, share), (-1.0, 1 - share)):
        wiggle = sway + 0.1 * smooth_random(rng, 400, 130)
        length = arm * float(np.clip(1 + rng.normal(0, 0.15), 0.6, 1.4))

        def heading(t: Float64, side: float = side, wiggle: Float64 = wiggle) -> Float64:
            turn = 1 / (1 + np.exp(-(t - bend_at) / sharpness))
            return side * (first + (last - first) * turn) + np.interp(t, t0, wiggle) * np.clip(2 * t, 0, 1)

        def width(t: Float64, length: float = length) -> Float64:
            return 0.12 * beam + length * np.tan(opening) * np.clip(t - 0.5 * bend_at, 0, None) ** 0.8

        def brightness(t: Float64) -> Float64:
            spot = flare * np.exp(-0.5 * ((t - bend_at) / (0.6 * sharpness + 0.02)) ** 2)
            tail = np.exp(-np.clip(t - bend_at, 0, None) / fade) * (t > bend_at)
            return (0.4 * np.exp(-t / fade) + spot + tail) * np.clip((1 - t) / 0.25, 0, 1)

        flow = ridge(rng, length, heading, width, brightness, blur=blur, clumps=0.3)
        parts.append((textured(rng, flow, rng.uniform(0.1, 0.4), max(arm * 0.4, 4.0)), flux))
    parts.append((knots_only([(0.0, 0.0, 1.0, 0.15 * beam)]), min(core, 1.0)))
    return join(parts, blur)
