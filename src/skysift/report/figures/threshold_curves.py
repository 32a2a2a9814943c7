"""Recall, precision and contamination against the threshold of a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from skysift.report.figures.style import INK, PALETTE, new_figure, shorten, styled

COLUMNS = 3
LINES = (("recall", PALETTE[0], "-"), ("precision", PALETTE[1], "-"), ("contamination", PALETTE[2], "--"))
WORDS = {
    "recall": "recall: share of the interesting cutouts that is selected",
    "precision": "precision: share of the selected that is interesting",
    "contamination": "contamination: share of the selected that is ordinary",
}


@dataclass(frozen=True)
class ThresholdCurves:
    """One panel.

    Attributes
    ----------
    title : str
        Name of the ranking.
    threshold, recall, precision, contamination : ndarray of float64, shape (t,)
        What a cutout's score must reach, and what that selects.
    crossing : float
        Threshold where recall and precision cross.
    """

    title: str
    threshold: NDArray[np.float64]
    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    contamination: NDArray[np.float64]
    crossing: float


def draw_threshold_curves(panels: Sequence[ThresholdCurves]) -> Figure:
    """Draw one panel a ranking, three in a row.

    Parameters
    ----------
    panels : sequence of ThresholdCurves
        From left to right and top to bottom.

    Returns
    -------
    Figure
    """
    lines = -(-len(panels) // COLUMNS)
    with styled():
        figure = new_figure(height=1.05 + 2.15 * lines)
        grid = figure.subplots(lines, min(len(panels), COLUMNS), squeeze=False, sharey=True)
        for axes in grid.ravel()[len(panels) :]:
            axes.set_visible(False)
        for axes, panel in zip(grid.ravel(), panels, strict=False):
            for name, colour, style in LINES:
                axes.plot(panel.threshold, 100 * getattr(panel, name), color=colour, linestyle=style, label=name)
            axes.axvline(panel.crossing, color=INK, linewidth=0.9, linestyle=":")
            axes.set_title(shorten(panel.title, 32))
            axes.set_ylim(-3, 103)
            axes.margins(x=0.02)
            axes.set_xlabel("threshold of the score")
        for row in grid:
            row[0].set_ylabel("share [%]")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, [WORDS[label] for label in labels], loc="outside lower center")
    return figure
