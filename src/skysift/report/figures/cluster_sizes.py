"""Cluster sizes before and after sampling."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from skysift.report.figures.style import FAINT, PALETTE, new_figure, styled

MOST_BARS = 40
LEVELS = (*PALETTE[2:], *PALETTE[:2])
"""Other colours than those of all, of the sample, and of even shares."""


def draw_cluster_sizes(
    levels: list[tuple[str, NDArray[np.int64]]], before: NDArray[np.int64], after: NDArray[np.int64] | None
) -> Figure:
    """Draw the share of each top cluster before and after sampling, and the sizes at every level by rank.

    Parameters
    ----------
    levels : list of (str, ndarray of int)
        Name of a level and the number of cutouts in each of its clusters.
    before : ndarray of int, shape (k,)
        Cutouts in each cluster of the top level.
    after : ndarray of int, shape (k,), optional
        Cutouts of the sample in each.

    Returns
    -------
    Figure
    """
    with styled():
        figure = new_figure(height=3.7)
        left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
        order = np.argsort(-before, kind="stable")
        shown = order[:MOST_BARS]
        place = np.arange(len(shown))
        width = 0.8 if after is None else 0.42
        left.bar(
            place - (0 if after is None else width / 2),
            100 * before[shown] / before.sum(),
            width,
            color=FAINT,
            label="all cutouts",
        )
        if after is not None and after.sum():
            left.bar(
                place + width / 2, 100 * after[shown] / after.sum(), width, color=PALETTE[1], label="after sampling"
            )
            left.axhline(100 / len(before), color=PALETTE[0], linestyle="--", linewidth=1.1, label="even shares")
        left.set_xlabel("cluster of the top level, largest first")
        left.set_ylabel("share of the cutouts [%]")
        step = max(1, len(shown) // 20 + (len(shown) > 20))
        left.set_xticks(place[::step], [str(c) for c in shown[::step]])
        left.grid(axis="x", visible=False)
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=3)
        left.set_title("Top level" + (f" ({MOST_BARS} largest)" if len(order) > MOST_BARS else ""))
        for number, (name, sizes) in enumerate(levels):
            ordered = np.sort(sizes[sizes > 0])[::-1]
            rank = np.linspace(0, 100, len(ordered)) if len(ordered) > 1 else np.array([50.0])
            right.plot(
                rank,
                ordered,
                color=LEVELS[number % len(LEVELS)],
                label=name,
                marker="o" if len(ordered) < 15 else None,
                markersize=4,
            )
        filled = np.concatenate([sizes[sizes > 0] for _, sizes in levels])
        if filled.max() > 20 * filled.min():  # fewer decades have too few round ticks
            right.set_yscale("log")
        else:
            right.set_ylim(0, None)
        right.set_xlabel("rank of the cluster [% of its level]")
        right.set_ylabel("cutouts in the cluster")
        right.set_title("All levels")
        figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=2)
    return figure
