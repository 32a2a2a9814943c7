"""Rows of cutouts, one row a cluster (or class)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from skysift.report.figures.style import GREYS, PAGE_WIDTH, new_figure, shorten, styled

TITLE = 1.55
GAP = 0.04
NO_DATA = "#b8c4d0"


def draw_contact_sheet(rows: Sequence[tuple[str, Sequence[NDArray[np.float32]]]], *, columns: int = 10) -> Figure:
    """Draw cutouts in rows, each stretched on its own.

    Parameters
    ----------
    rows : sequence of (str, sequence of ndarray)
        Title of the row (lines parted by a newline) and its cutouts, shape (h, w), NaN = no data.
    columns : int
        Cutouts a row at most.

    Returns
    -------
    Figure
        Brightness: arcsinh of (pixel - median) / 3 rms, from -1 rms to the maximum; no data is grey-blue.
    """
    colours = colormaps[GREYS].with_extremes(bad=NO_DATA)
    cell = (PAGE_WIDTH - TITLE) / columns
    with styled():
        figure = new_figure(PAGE_WIDTH, cell * len(rows))
        figure.set_layout_engine("none")
        axes = figure.add_axes((TITLE / PAGE_WIDTH, 0, 1 - TITLE / PAGE_WIDTH, 1))
        axes.set_axis_off()
        for number, (title, images) in enumerate(rows):
            bottom = len(rows) - 1 - number
            lines = "\n".join(shorten(line, 26) for line in title.split("\n"))
            figure.text(0.0, (bottom + 0.5) / len(rows), lines, va="center", ha="left", fontsize=8.5, linespacing=1.35)
            for column, image in enumerate(images[:columns]):
                place = (column, column + 1 - GAP, bottom, bottom + 1 - GAP)
                shown = np.ma.masked_invalid(stretch(image))
                axes.imshow(shown, origin="lower", cmap=colours, vmin=0, vmax=1, extent=place, aspect="auto")
        axes.set_xlim(0, columns)
        axes.set_ylim(0, len(rows))
    return figure


def stretch(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Map pixels to [0, 1] for the eye; NaN stays NaN.

    The median becomes nearly black and faint emission visible beside bright peaks. Images without noise (constant
    background) are scaled from their minimum to their maximum.
    """
    values = np.where(np.isfinite(image), image, np.nan).astype(np.float64)
    good = values[np.isfinite(values)]
    if not good.size:
        return values
    median = float(np.median(good))
    rms = 1.4826 * float(np.median(np.abs(good - median)))
    if rms <= 0 or rms < 1e-6 * (good.max() - good.min()):
        low, high = float(good.min()), float(good.max())
        return (
            np.zeros_like(values) + (values - low) / (high - low)
            if high > low
            else np.where(values == low, 0.3, values)
        )
    bent = np.arcsinh((values - median) / (3 * rms))
    low, high = np.arcsinh(-1 / 3), max(float(np.nanmax(bent)), np.arcsinh(5 / 3))
    return np.clip((bent - low) / (high - low), 0, 1)
