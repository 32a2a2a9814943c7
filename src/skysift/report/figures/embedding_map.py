"""Embeddings on a plane, coloured by cluster or class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from skysift.report.figures.style import FAINT, INK, MARKERS, PALETTE, new_figure, shorten, styled
from skysift.report.numbers import count

KEY_SIZE = 42
"""Area of a marker in the key, whatever it is in the map [point squared]."""


def draw_embedding_map(
    points: NDArray[np.float64],
    groups: NDArray[np.int64] | None,
    names: Sequence[str],
    *,
    axes_names: tuple[str, str],
    title: str,
    rest: str = "others",
) -> Figure:
    """Draw embeddings on a plane.

    The eight largest groups have a colour, a marker and their name at their median; the others are grey.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        Places.
    groups : ndarray of int, shape (n,), optional
        Cluster or class of each; -1 = none.
    names : sequence of str
        Name of each group.
    axes_names : tuple of str
        What the axes are called.
    title : str
        What the groups are: "top-level cluster", "class".
    rest : str
        What the grey points are called.

    Returns
    -------
    Figure
    """
    with styled():
        figure = new_figure(height=5.2)
        axes = figure.add_subplot()
        size = float(np.clip(14000 / max(len(points), 1), 4, 26))
        sizes = np.bincount(groups[groups >= 0], minlength=len(names)) if groups is not None else np.zeros(0, int)
        coloured = [int(g) for g in np.argsort(-sizes, kind="stable")[: len(PALETTE)] if sizes[g]]
        others = np.ones(len(points), bool) if groups is None else ~np.isin(groups, coloured)
        if others.any():
            label = rest if groups is not None else "cutouts"
            axes.scatter(
                points[others, 0], points[others, 1], s=size, color=FAINT, alpha=0.5, linewidths=0, label=label
            )
        for number, group in enumerate(sorted(coloured)):
            mine = points[groups == group]
            axes.scatter(
                mine[:, 0],
                mine[:, 1],
                s=size,
                color=PALETTE[number],
                marker=MARKERS[number],
                alpha=0.75,
                linewidths=0,
                label=f"{shorten(names[group])} ({count(int(sizes[group]))})",
            )
        medians = np.array([np.median(points[groups == group], axis=0) for group in coloured]).reshape(-1, 2)
        for group, (x, y) in zip(coloured, _apart(medians, np.ptp(points, axis=0)), strict=True):
            text = axes.text(x, y, shorten(names[group], 14), ha="center", va="center", fontsize=9, weight="bold")
            text.set_path_effects([withStroke(linewidth=2.6, foreground="white")])
        axes.set_xlabel(axes_names[0])
        axes.set_ylabel(axes_names[1])
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color(FAINT)
        if groups is not None:
            legend = axes.legend(title=title, loc="center left", bbox_to_anchor=(1.0, 0.5))
            legend.get_title().set_color(INK)
            for handle in legend.legend_handles:
                handle.set_sizes([KEY_SIZE])  # type: ignore[union-attr]
    return figure


def _apart(places: NDArray[np.float64], extent: NDArray[np.float64]) -> NDArray[np.float64]:
    """Push labels that would overlap apart along y."""
    moved = places.copy()
    width, height = 0.16 * extent[0], 0.05 * extent[1]
    for _ in range(50):
        for i in range(len(moved)):
            for j in range(i):
                gap = moved[i] - moved[j]
                if abs(gap[0]) < width and abs(gap[1]) < height:
                    push = 0.55 * (height - abs(gap[1])) * (1 if gap[1] >= 0 else -1)
                    moved[i, 1] += push
                    moved[j, 1] -= push
    return moved
