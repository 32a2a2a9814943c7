"""Where cutouts lie on the sky."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from skysift.report.figures.style import MIDDLE, PAGE_WIDTH, PALETTE, new_figure, styled

WIDE = 60.0
MOST_POINTS = 40_000


def draw_sky_map(
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    kept: NDArray[np.bool_] | None = None,
    *,
    names: tuple[str, str] = ("all cutouts", "selected"),
) -> Figure:
    """Draw the centres of cutouts: a tangent map of a small field, the whole sky for a large one.

    Parameters
    ----------
    ra, dec : ndarray, shape (n,)
        ICRS [deg]; NaN where unknown.
    kept : ndarray of bool, shape (n,), optional
        Cutouts that were selected, drawn on top.
    names : tuple of str
        What the two groups are called.

    Returns
    -------
    Figure
    """
    known = np.isfinite(ra) & np.isfinite(dec)
    ra, dec = ra[known], dec[known]
    kept = None if kept is None else kept[known]
    # sparse rows suffice for a picture of many
    step = max(1, len(ra) // MOST_POINTS)
    centre = np.degrees(np.angle(np.exp(1j * np.radians(ra)).mean())) % 360
    offset = (ra - centre + 180) % 360 - 180
    wide = np.ptp(offset) > WIDE or np.ptp(dec) > WIDE
    with styled():
        if wide:
            figure = new_figure(PAGE_WIDTH, 4.8)
            axes = figure.add_subplot(projection="mollweide")
            # east is to the left; the map is centred on RA 0
            x, y = -np.radians((ra + 180) % 360 - 180), np.radians(dec)
            ticks = range(-150, 180, 30)
            outline = [withStroke(linewidth=2.5, foreground="white")]
            axes.set_xticks([np.radians(tick) for tick in ticks])
            axes.set_xticklabels([f"{(-tick) % 360}°" for tick in ticks], path_effects=outline, zorder=5)
            axes.set_xlabel("right ascension, ICRS [deg]")
            axes.set_ylabel("declination, ICRS [deg]")
        else:
            shape = max(float(np.ptp(dec)), 1e-6) / max(float(np.ptp(offset)) * np.cos(np.radians(dec.mean())), 1e-6)
            width = float(np.clip(5.2 / shape, 4.5, PAGE_WIDTH))
            figure = new_figure(width, float(np.clip(width * shape, 1.6, 5.2)) + 0.8)
            axes = figure.add_subplot()
            x, y = centre + offset, dec
            axes.set_aspect(1 / max(float(np.cos(np.radians(dec.mean()))), 0.02), adjustable="datalim")
            axes.invert_xaxis()
            axes.set_xlabel("right ascension, ICRS [deg]")
            axes.set_ylabel("declination, ICRS [deg]")
            axes.ticklabel_format(useOffset=False)
            axes.xaxis.set_major_formatter(lambda value, _: f"{value % 360:g}")
        depth = 0.4 if wide else 1.0  # the names of meridians lie on the map and stay in front
        size = float(np.clip(9000 / max(len(ra), 1), 2.5, 24))
        axes.scatter(
            x[::step], y[::step], s=size, marker="s", color=MIDDLE, alpha=0.6, linewidths=0, label=names[0],
            zorder=depth,
        )  # fmt: skip
        if kept is not None and kept.any():
            every = max(1, int(kept.sum()) // MOST_POINTS)
            chosen = np.flatnonzero(kept)[::every]
            axes.scatter(
                x[chosen], y[chosen], s=size * 1.6, marker="o", color=PALETTE[1], linewidths=0, label=names[1],
                zorder=depth,
            )  # fmt: skip
        figure.legend(loc="outside upper left", ncols=2, markerscale=float(6 / size**0.5))
    return figure
