"""Confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from skysift.report.figures.style import PAGE_WIDTH, SEQUENTIAL, new_figure, shorten, styled

MOST_NUMBERS = 16
MOST_IN_A_ROW = 3


def draw_confusion(matrices: Sequence[tuple[str, NDArray[np.int64]]], names: Sequence[str]) -> Figure:
    """Draw confusion matrices side by side, at most three in a row, in per cent of each true class.

    Parameters
    ----------
    matrices : sequence of (str, ndarray of int, shape (k, k))
        Title and counts; row = true class, column = predicted class.
    names : sequence of str
        Names of the k classes.

    Returns
    -------
    Figure
    """
    k, lines = len(names), -(-len(matrices) // MOST_IN_A_ROW)
    n = -(-len(matrices) // lines)
    side = min(PAGE_WIDTH / (max(n, 2) if lines == 1 else MOST_IN_A_ROW), 5.2)
    with styled():
        figure = new_figure(min(PAGE_WIDTH, side * n + 0.8), lines * (side + 0.3))
        table = figure.subplots(lines, n, squeeze=False, sharex=True, sharey=True)
        grid = list(table.ravel())[: len(matrices)]
        for axes in table.ravel()[len(matrices) :]:
            axes.remove()
        labels = [shorten(name, 18) for name in names]
        for axes, (title, counts) in zip(grid, matrices, strict=True):
            rows = counts.sum(axis=1, keepdims=True)
            share = np.where(rows > 0, 100 * counts / np.maximum(rows, 1), np.nan)
            axes.imshow(share, vmin=0, vmax=100, cmap=SEQUENTIAL)
            axes.set_title(title)
            axes.set_xticks(range(k), labels, rotation=0 if max(map(len, labels)) < 6 and k < 11 else 40, ha="center")
            if max(map(len, labels)) >= 6 or k >= 11:
                for text in axes.get_xticklabels():
                    text.set_ha("right")
                    text.set_rotation_mode("anchor")
            axes.set_yticks(range(k), labels)
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("predicted class")
            axes.grid(visible=False)
            if k <= MOST_NUMBERS:
                _numbers(axes, share, 10 if k < 7 else 8 if k < 11 else 6.5)
        for axes in table[:, 0]:
            axes.set_ylabel("true class")
        shrink = 0.8 / min(lines, 2)
        figure.colorbar(grid[0].images[0], ax=grid, label="share of the true class [%]", shrink=shrink, pad=0.02)
    return figure


def _numbers(axes: object, share: NDArray[np.float64], size: float) -> None:
    for (row, column), value in np.ndenumerate(share):
        if np.isfinite(value):
            colour = "black" if value > 55 else "white"
            axes.text(  # type: ignore[attr-defined]
                column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=size
            )
