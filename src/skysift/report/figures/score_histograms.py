"""How cutouts with each label are distributed over an anomaly score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from skysift.report.figures.style import FAINT, INK, MIDDLE, PALETTE, new_figure, shorten, styled
from skysift.report.numbers import count

ROW = 0.36
FILLED = 0.86
COLOURS = {"interesting": PALETTE[1], "ordinary": PALETTE[0], "other": MIDDLE}
WORDS = {"interesting": "labels of interesting cutouts", "ordinary": "labels of ordinary ones", "other": "other labels"}


@dataclass(frozen=True)
class LabelHistogram:
    """One row of the figure.

    Attributes
    ----------
    label : str
        The label.
    kind : str
        `interesting`, `ordinary` or `other`: its colour.
    counts : ndarray of int64, shape (b,)
        Cutouts in each bin.
    """

    label: str
    kind: str
    counts: NDArray[np.int64]


def draw_score_histograms(
    rows: Sequence[LabelHistogram], edges: NDArray[np.float64], threshold: float | None = None
) -> Figure:
    """Draw a histogram of the score a label, one above the other, each scaled to its own maximum.

    Parameters
    ----------
    rows : sequence of LabelHistogram
        From top to bottom.
    edges : ndarray of float64, shape (b + 1,)
        Limits of the bins.
    threshold : float, optional
        Score from which on cutouts are selected.

    Returns
    -------
    Figure
    """
    with styled():
        figure = new_figure(height=1.0 + ROW * len(rows))
        axes = figure.subplots()
        for number, row in enumerate(rows):
            floor = len(rows) - 1 - number
            shape = FILLED * row.counts / max(int(row.counts.max(initial=0)), 1)
            axes.axhline(floor, color=FAINT, linewidth=0.6, zorder=1)
            axes.stairs(floor + shape, edges, baseline=floor, fill=True, color=COLOURS[row.kind], alpha=0.75, zorder=2)
            number_of = f"{count(int(row.counts.sum()))}"
            axes.text(1.012, floor + 0.35, number_of, transform=axes.get_yaxis_transform(), fontsize=8.5, va="center")
        place = axes.get_yaxis_transform()
        axes.text(1.012, len(rows) + 0.12, "cutouts", transform=place, fontsize=8.5, color=INK)
        if threshold is not None:
            axes.axvline(threshold, color=INK, linewidth=1.1, linestyle="--", zorder=3)
        axes.set_yticks(np.arange(len(rows)) + 0.35, [shorten(row.label) for row in rows][::-1])
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(-0.06, len(rows) + 0.05)
        axes.set_xlabel("score (1 = most anomalous)")
        axes.set_ylabel("label")
        there = {row.kind for row in rows}
        keys: list[Patch | Line2D] = [Patch(color=COLOURS[k], alpha=0.75, label=WORDS[k]) for k in WORDS if k in there]
        if threshold is not None:
            keys.append(Line2D([], [], color=INK, linestyle="--", linewidth=1.1, label="recall = precision"))
        figure.legend(handles=keys, loc="outside lower center", ncols=len(keys))
    return figure
