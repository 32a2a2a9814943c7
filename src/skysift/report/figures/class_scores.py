"""Precision, recall and F1 of every class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from skysift.report.figures.style import look, new_figure, shorten, styled

METRICS = (("precision", "precision"), ("recall", "recall"), ("f1", "F1 score"))
Number = float | None


def draw_class_scores(
    names: Sequence[str],
    scores: Mapping[str, Mapping[str, Sequence[tuple[Number, Number]]]],
    panels: Sequence[tuple[str, str]] = METRICS,
) -> Figure:
    """Draw scores a class, with their errors over draws.

    Parameters
    ----------
    names : sequence of str
        Names of the k classes.
    scores : mapping of str to mapping of str to sequence of (float or None, float or None)
        Series (a protocol or an encoder) -> panel -> mean and error of each class; None where unknown.
    panels : sequence of (str, str)
        Key of each panel and what its axis is called; by default precision, recall and F1.

    Returns
    -------
    Figure
    """
    with styled():
        row = max(0.34, 0.13 * len(scores))
        figure = new_figure(height=float(np.clip(0.9 + row * len(names), 2.2, 12)))
        place = np.arange(len(names))
        step = min(0.16, 0.8 / len(scores))
        grid = figure.subplots(1, len(panels), sharey=True, sharex=True, squeeze=False)[0]
        for axes, (metric, label) in zip(grid, panels, strict=True):
            for number, (name, found) in enumerate(scores.items()):
                shift = step * (number - (len(scores) - 1) / 2)
                mean = np.array([np.nan if m is None else m for m, _ in found[metric]], dtype=float)
                error = np.array([0.0 if e is None else e for _, e in found[metric]], dtype=float)
                axes.errorbar(
                    mean,
                    place + shift,
                    xerr=error,
                    fmt=look(number)["marker"],
                    color=look(number)["color"],
                    markersize=5,
                    elinewidth=1.3,
                    capsize=2.5,
                    label=shorten(name),
                )
            axes.set_xlim(-0.02, 1.02)
            axes.set_xlabel(label)
        grid[0].set_yticks(place, [shorten(name) for name in names])
        grid[0].set_ylim(len(names) - 0.4, -0.6)
        grid[0].set_ylabel("class")
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(scores), 5))
    return figure
