"""Lines of right ascension and declination over a view of the sky, and their labels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from skysift.app.points.raster import View
from skysift.app.sky.projection import Projection

Float = npt.NDArray[np.float64]

_MINUTE, _SECOND = 15 / 60, 15 / 3600  # of time [deg]
RA_STEPS = (
    60, 30, 15, *(n * _MINUTE for n in (30, 20, 10, 5, 2, 1)),
    *(n * _SECOND for n in (30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1)),
)  # fmt: skip
"""[deg]; whole hours, minutes and seconds."""
DEC_STEPS = (
    30, 15, 10, 5, 2, 1, *(n / 60 for n in (30, 20, 10, 5, 2, 1)), *(n / 3600 for n in (30, 20, 10, 5, 2, 1)),
)  # fmt: skip
"""[deg]; whole degrees, minutes and seconds of arc."""
LINES = 4.5  # about so many along the shorter side of a view
SAMPLES = 181
APART = (76, 20)  # labels are at least so far from each other [pixel]


@dataclass
class Graticule:
    """Lines, and labels at the edges of a view.

    Attributes
    ----------
    xs, ys : list of ndarray
        Lines, in units of the plane.
    labels : list of (float, float, str, str)
        x, y, text, and what it says: `ra` (stands above its place) or `dec` (to the right of it).
    """

    xs: list[Float] = field(default_factory=list)
    ys: list[Float] = field(default_factory=list)
    labels: list[tuple[float, float, str, str]] = field(default_factory=list)


def graticule(projection: Projection, view: View) -> Graticule:
    """Draw a graticule over a view.

    Parameters
    ----------
    projection : Projection
        From the sky to the plane.
    view : View
        What part of the plane is shown.
    """
    made = Graticule()
    shown = _range(projection, view)
    if shown is None:
        return made
    ra0, ra1, dec0, dec1 = shown
    whole = ra1 - ra0 >= 359
    widest = np.cos(np.radians(np.clip(0, dec0, dec1)))  # parallels are longest there
    dec_step = _step(DEC_STEPS, min(dec1 - dec0, 180) / LINES)
    ra_step = _step(RA_STEPS, (ra1 - ra0) / LINES if not whole else 30)
    if not whole:  # cells about as wide as high
        ra_step = max(ra_step, _step(RA_STEPS, 0.8 * dec_step / max(widest, 1e-3)))
    decs = _multiples(dec_step, max(dec0, -90), min(dec1, 90))
    decs = decs[np.abs(decs) < 90 - 1e-9]
    ras = np.arange(0, 360, ra_step) if whole else _multiples(ra_step, ra0, ra1)
    pad = 0.02 * (dec1 - dec0)
    top = 90 - (1e-6 if len(ras) <= 4 else 0)
    column = np.linspace(max(dec0 - pad, -top), min(dec1 + pad, top), SAMPLES)
    for ra in ras:
        _add_line(made, projection, view, np.full(SAMPLES, ra), column)
    centre = projection.ra if whole else (ra0 + ra1) / 2
    half = 180 - 1e-6 if whole else (ra1 - ra0) / 2 * 1.05
    row = centre + np.linspace(-half, half, 2 * SAMPLES)
    for dec in decs:
        _add_line(made, projection, view, row, np.full(len(row), dec))
    _label_meridians(made, projection, view, ras, column, ra_step)
    _label_parallels(made, projection, view, row, decs, dec_step)
    return made


def _range(projection: Projection, view: View) -> tuple[float, float, float, float] | None:
    """Return the right ascensions (perhaps beyond 360) and declinations in a view [deg]; None off the sky."""
    x, y = np.meshgrid(np.linspace(view.x0, view.x1, 41), np.linspace(view.y0, view.y1, 41))
    ra, dec = projection.inverse(x, y)
    good = np.isfinite(ra)
    if not good.any():
        return None
    dec0, dec1 = float(dec[good].min()), float(dec[good].max())
    poles = [_covers(view, *projection.forward(0.0, pole)) for pole in (-90.0, 90.0)]
    if poles[0]:
        dec0 = -90.0
    if poles[1]:
        dec1 = 90.0
    middle_ra = ra[good][np.argmin((x[good] - (view.x0 + view.x1) / 2) ** 2 + (y[good] - (view.y0 + view.y1) / 2) ** 2)]
    offset = (ra[good] - middle_ra + 180) % 360 - 180
    ra0, ra1 = float(middle_ra + offset.min()), float(middle_ra + offset.max())
    if any(poles) or ra1 - ra0 > 300:
        ra0, ra1 = 0.0, 360.0
    return ra0, ra1, dec0, dec1


def _covers(view: View, x: Float, y: Float) -> bool:
    return bool(view.x0 <= x <= view.x1 and view.y0 <= y <= view.y1)


def _step(steps: tuple[float, ...], wanted: float) -> float:
    """Return the smallest step that is not below what is wanted; the largest if all are."""
    return min((step for step in steps if step >= wanted), default=steps[0])


def _multiples(step: float, low: float, high: float) -> Float:
    return np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step


def _add_line(made: Graticule, projection: Projection, view: View, ra: Float, dec: Float) -> None:
    x, y = projection.forward(ra, dec)
    jump = np.hypot(np.diff(x), np.diff(y)) > max(view.x1 - view.x0, view.y1 - view.y0)
    for part in np.split(np.arange(len(x)), np.flatnonzero(jump | ~np.isfinite(x[1:])) + 1):
        part = part[np.isfinite(x[part])]
        if len(part) > 1:
            made.xs.append(x[part])
            made.ys.append(y[part])


def _label_meridians(
    made: Graticule, projection: Projection, view: View, ras: Float, column: Float, step: float
) -> None:
    """Put a label where each meridian leaves the view at the bottom; if none does, where it crosses the equator."""
    bottom = view.y0 + 3 * view.pixel
    places = []
    for ra in ras:
        x, y = projection.forward(np.full(len(column), ra), column)
        places.append((_crossing(y, x, bottom), bottom, ra))
    left, right = view.x0 + 60 * view.pixel, view.x1 - 30 * view.pixel
    inside = [place for place in places if left < place[0] < right]
    if not inside and projection.code == "MOL":
        x, y = projection.forward(ras, np.zeros(len(ras)))
        away = np.abs((ras - projection.ra + 180) % 360 - 180) < 179
        inside = [(float(a), float(b), r) for a, b, r, far in zip(x, y, ras, away, strict=True) if far]
    taken: list[float] = []
    for x_label, y_label, ra in inside:
        if view.x0 < x_label < view.x1 and all(abs(x_label - other) > APART[0] * view.pixel for other in taken):
            taken.append(x_label)
            made.labels.append((x_label, y_label, ra_text(ra, step), "ra"))


def _label_parallels(made: Graticule, projection: Projection, view: View, row: Float, decs: Float, step: float) -> None:
    """Put a label where each parallel enters the view at the left, or at the left edge of the sky."""
    left = view.x0 + 4 * view.pixel
    taken: list[float] = []
    for dec in decs:
        x, y = projection.forward(row, np.full(len(row), dec))
        place = _crossing(x, y, left)
        x_label = left
        if not np.isfinite(place):
            end = int(np.nanargmin(x)) if np.isfinite(x).any() else 0
            x_label, place = float(x[end]), float(y[end])
            if not view.x0 < x_label < (view.x0 + view.x1) / 2:
                continue
        low, high = view.y0 + 26 * view.pixel, view.y1 - 10 * view.pixel
        if low < place < high and all(abs(place - other) > APART[1] * view.pixel for other in taken):
            taken.append(place)
            made.labels.append((x_label, place, dec_text(dec, step), "dec"))


def _crossing(across: Float, along: Float, level: float) -> float:
    """Return `along` where `across` first passes a level, NaN if it does not."""
    before, after = across[:-1] - level, across[1:] - level
    with np.errstate(invalid="ignore"):
        place = np.flatnonzero((before * after <= 0) & (before != after))
    if not len(place):
        return float("nan")
    i = place[0]
    part = before[i] / (before[i] - after[i])
    return float(along[i] + part * (along[i + 1] - along[i]))


def ra_text(ra: float, step: float) -> str:
    """Write a right ascension [deg] as finely as steps of `step` [deg] ask for.

    Examples
    --------
    >>> ra_text(187.5, 7.5), ra_text(15.0, 15)
    ('12h 30m', '1h')
    """
    places = max(0, int(np.ceil(-np.log10(step / _SECOND) - 1e-9)))
    hours, minutes, seconds = _split(ra % 360 / 15, places, 24)
    if _whole(step / 15):
        return f"{hours}h"
    if _whole(step / _MINUTE):
        return f"{hours}h {minutes:02d}m"
    return f"{hours}h {minutes:02d}m {seconds:0{3 + places if places else 2}.{places}f}s"


def dec_text(dec: float, step: float) -> str:
    """Write a declination [deg] as finely as steps of `step` [deg] ask for.

    Examples
    --------
    >>> dec_text(-0.5, 0.5), dec_text(30.0, 10)
    ('−0° 30′', '+30°')
    """
    degrees, minutes, seconds = _split(abs(dec), 0, 0)
    sign = "" if abs(dec) < 1e-9 else "−" if dec < 0 else "+"
    if _whole(step):
        return f"{sign}{degrees}°"
    if _whole(step * 60):
        return f"{sign}{degrees}° {minutes:02d}′"
    return f"{sign}{degrees}° {minutes:02d}′ {seconds:02.0f}″"


def _split(value: float, places: int, turn: int) -> tuple[int, int, float]:
    """Return whole units, sixtieths, and seconds rounded to some decimal places."""
    seconds = round(value * 3600, places)
    units, rest = divmod(seconds, 3600)
    return int(units) % turn if turn else int(units), int(rest // 60), rest % 60


def _whole(value: float) -> bool:
    return abs(value - round(value)) < 1e-6 and round(value) >= 1
