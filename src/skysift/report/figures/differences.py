"""Differences from a baseline with their confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from skysift.report.figures.style import MIDDLE, look, new_figure, shorten, styled


@dataclass(frozen=True)
class Difference:
    """The mean difference of an encoder from the baseline.

    Attributes
    ----------
    value : float
        Mean difference.
    low, high : float or None
        Ends of its confidence interval; None where unknown.
    sure : bool
        Whether it differs from 0 after correction for all comparisons.
    """

    value: float
    low: float | None
    high: float | None
    sure: bool


def draw_differences(
    names: Sequence[str], panels: Mapping[str, Mapping[str, Sequence[Difference]]], *, baseline: str, score: str
) -> Figure:
    """Draw how much each encoder differs from the baseline.

    Parameters
    ----------
    names : sequence of str
        Names of the encoders.
    panels : mapping of str to mapping of str to sequence of Difference
        Title of each panel (a labelled set) -> series (a protocol) -> difference of each encoder.
    baseline : str
        Name of the baseline.
    score : str
        What is compared.

    Returns
    -------
    Figure
    """
    series = list(next(iter(panels.values())))
    with styled():
        row = max(0.34, 0.17 * len(series))
        figure = new_figure(height=float(np.clip(1.3 + row * len(names), 2.2, 12)))
        grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        step = min(0.2, 0.8 / len(series))
        for axes, (title, found) in zip(grid, panels.items(), strict=True):
            axes.axvline(0, color=MIDDLE, linewidth=1)
            for number, name in enumerate(series):
                style = look(number)
                for place, difference in enumerate(found[name]):
                    y = place + step * (number - (len(series) - 1) / 2)
                    if difference.low is not None and difference.high is not None:
                        axes.plot([difference.low, difference.high], [y, y], color=style["color"], linewidth=1.3)
                    face = style["color"] if difference.sure else "white"
                    axes.plot([difference.value], [y], linestyle="", **style, markersize=5.5, markerfacecolor=face)
            axes.set_title(title)
            axes.set_xlabel(f"{score} minus {shorten(baseline, 16)}")
        grid[0].set_yticks(range(len(names)), [shorten(name) for name in names])
        grid[0].set_ylim(len(names) - 0.4, -0.6)
        grid[0].set_ylabel("encoder")
        handles = [Line2D([], [], **look(i), linewidth=1.3, label=name) for i, name in enumerate(series)]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(series), 5))
    return figure
