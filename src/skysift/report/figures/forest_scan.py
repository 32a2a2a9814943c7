"""How well forests rank labelled cutouts, against how many features and rows their trees are shown."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from skysift.report.figures.style import INK, MARKERS, PALETTE, new_figure, styled

PANELS = (("selection", "cutouts that selected the features"), ("held-out", "cutouts that were held out"))
ROUND = (0.001, 0.01, 0.1, 1.0)
Line = tuple[NDArray[np.float64], NDArray[np.float64]]


def draw_forest_scan(lines: Mapping[str, Mapping[int, Line]], chosen: tuple[int, float]) -> Figure:
    """Draw average precision against the share of cutouts that each tree is shown, a line a number of features.

    Parameters
    ----------
    lines : mapping of str to mapping of int to (share, average precision)
        `selection` and `held-out` -> number of features -> two arrays, the shares rising.
    chosen : tuple of (int, float)
        Number of features and share of the forest that was chosen; it is ringed.

    Returns
    -------
    Figure
    """
    with styled():
        figure = new_figure(height=3.3)
        grid = figure.subplots(1, len(PANELS), sharey=True)
        for axes, (part, title) in zip(grid, PANELS, strict=True):
            for number, (top, (share, value)) in enumerate(sorted(lines[part].items())):
                axes.plot(
                    share, 100 * value, color=PALETTE[number], marker=MARKERS[number], markersize=4, label=f"top {top}"
                )
                if top == chosen[0]:
                    at = int(np.argmin(np.abs(share - chosen[1])))
                    axes.plot(
                        share[at], 100 * value[at], marker="o", markersize=11, markerfacecolor="none",
                        markeredgecolor=INK, linestyle="none",
                    )  # fmt: skip
            axes.set_xscale("log")
            low = min(float(share.min()) for share, _ in lines[part].values())
            ticks = [tick for tick in ROUND if tick >= low * 0.99]
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlabel("share of the cutouts that a tree is shown")
            axes.set_title(title)
        grid[0].set_ylabel("average precision [%]")
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure
