"""Reliability diagrams: how often predictions are right against how sure they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from skysift.report.figures.style import FAINT, GRID, INK, PALETTE, new_figure, styled

FEW = 5
Panel = tuple[str, Mapping[str, Any]]


def draw_reliability(panels: Sequence[Panel], n_classes: int) -> Figure:
    """Draw accuracy against confidence, and below it how many predictions there are of each confidence.

    Parameters
    ----------
    panels : sequence of (str, mapping)
        Title and what `metrics.json` of a classifier holds: `ece`, `ece_by_chance` and `bins` with `edges`, `count`,
        `confidence` and `accuracy` (None where a bin is empty).
    n_classes : int
        Number of classes; no prediction is less sure than one in so many.

    Returns
    -------
    Figure
        Error bars are 68 % Wilson intervals of the share that is right; the line is perfect calibration. Bins of fewer
        than five predictions are faint.
    """
    from astropy.stats import binom_conf_interval

    left = max(0.0, 1 / n_classes - 0.06)
    most = max(int(np.max(panel["bins"]["count"])) for _, panel in panels)
    with styled():
        figure = new_figure(height=4.3)
        grid = figure.subplots(2, len(panels), squeeze=False, sharex=True, sharey="row", height_ratios=[3.2, 1])
        for number, (title, panel) in enumerate(panels):
            bins = panel["bins"]
            edges, count = np.array(bins["edges"]), np.array(bins["count"])
            filled = count > 0
            confidence = np.array(bins["confidence"], dtype=np.float64)[filled]
            accuracy = np.array(bins["accuracy"], dtype=np.float64)[filled]
            right = np.rint(accuracy * count[filled]).astype(int)
            low, high = binom_conf_interval(right, count[filled], confidence_level=0.68, interval="wilson")
            upper, lower = grid[0, number], grid[1, number]
            upper.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2, linestyle="--", zorder=1)
            upper.vlines(
                confidence, np.minimum(accuracy, confidence), np.maximum(accuracy, confidence), color=GRID, lw=5
            )
            errors = np.maximum([accuracy - low, high - accuracy], 0)
            for few in (False, True):
                shown = (count[filled] < FEW) == few
                upper.errorbar(
                    confidence[shown],
                    accuracy[shown],
                    yerr=errors[:, shown],
                    color=PALETTE[number],
                    alpha=0.35 if few else 1,
                    marker="o",
                    markersize=5,
                    capsize=2.5,
                    elinewidth=1.1,
                    linestyle="none",
                    zorder=3,
                )
            said = f"ECE {panel['ece']:.3f} (chance {panel['ece_by_chance']:.3f})"
            upper.text(1, 1.015, said, transform=upper.transAxes, ha="right", va="bottom", color=INK, fontsize=8.5)
            upper.set_title(title)
            upper.set_ylim(-0.03, 1.05)
            lower.bar(edges[:-1], count, width=np.diff(edges), align="edge", color=PALETTE[number], alpha=0.75, lw=0)
            lower.set_xlim(left, 1.015)
            lower.set_ylim(0, 1.08 * most)
            lower.set_xlabel("confidence: probability of the predicted class")
            lower.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        grid[0, 0].set_ylabel("share that is right")
        grid[1, 0].set_ylabel("cutouts")
        figure.align_ylabels()
    return figure
