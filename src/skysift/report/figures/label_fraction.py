"""A score against the share of the labels that may be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from skysift.report.figures.style import look, new_figure, shorten, styled

Number = float | None


def draw_label_fraction(
    fractions: Sequence[float],
    panels: Mapping[str, Mapping[str, Sequence[tuple[Number, Number]]]],
    *,
    score: str = "macro F1",
) -> Figure:
    """Draw a score against the label fraction, on a logarithmic axis, a line an encoder.

    Parameters
    ----------
    fractions : sequence of float
        Shares of the training labels.
    panels : mapping of str to mapping of str to sequence of (float or None, float or None)
        Title of each panel -> encoder -> mean and error at each fraction; None where unknown.
    score : str
        What is drawn.

    Returns
    -------
    Figure
    """
    with styled():
        figure = new_figure(height=3.7)
        grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, (title, curves) in zip(grid, panels.items(), strict=True):
            for number, (encoder, points) in enumerate(curves.items()):
                axes.errorbar(
                    fractions,
                    np.array([np.nan if mean is None else mean for mean, _ in points], dtype=float),
                    yerr=np.array([0.0 if error is None else error for _, error in points], dtype=float),
                    **look(number),
                    markersize=5,
                    elinewidth=1.1,
                    capsize=2.5,
                    label=shorten(encoder),
                )
            axes.set_xscale("log")
            axes.set_xticks(sorted(fractions), [f"{fraction:g}" for fraction in sorted(fractions)])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlabel("share of the labels")
            axes.set_title(title)
        grid[0].set_ylabel(score)
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5))
    return figure
