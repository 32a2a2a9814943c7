"""Cutouts side by side, each with words of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from skysift.report.figures.contact_sheet import NO_DATA, stretch
from skysift.report.figures.style import GREYS, PAGE_WIDTH, new_figure, shorten, styled

LINE = 0.165
GAP = 0.1


def draw_gallery(items: Sequence[tuple[NDArray[np.float32], Sequence[str]]], *, columns: int = 6) -> Figure:
    """Draw cutouts from left to right and top to bottom, with lines of text below each.

    Parameters
    ----------
    items : sequence of (ndarray of float32, sequence of str)
        Cutout, shape (h, w), NaN = no data, and its lines, as many for each; the first is set bold.
    columns : int
        Cutouts in a row.

    Returns
    -------
    Figure
        Brightness as in the contact sheet; each cutout fills its square.
    """
    colours = colormaps[GREYS].with_extremes(bad=NO_DATA)
    lines = max((len(texts) for _, texts in items), default=0)
    side = PAGE_WIDTH / columns - GAP
    step = side + LINE * lines + 2 * GAP
    rows = -(-len(items) // columns)
    height = step * rows
    letters = int(side / 0.069)
    with styled():
        figure = new_figure(PAGE_WIDTH, height)
        figure.set_layout_engine("none")
        for number, (image, texts) in enumerate(items):
            row, column = divmod(number, columns)
            left, top = column * (side + GAP), height - row * step
            axes = figure.add_axes((left / PAGE_WIDTH, (top - side) / height, side / PAGE_WIDTH, side / height))
            axes.set_axis_off()
            shown = np.ma.masked_invalid(stretch(image))
            axes.imshow(shown, origin="lower", cmap=colours, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
            for line, text in enumerate(texts):
                figure.text(
                    (left + 0.02) / PAGE_WIDTH,
                    (top - side - 0.05 - LINE * line) / height,
                    shorten(text, letters),
                    va="top",
                    fontsize=8.2,
                    weight="bold" if line == 0 else "normal",
                )
    return figure
