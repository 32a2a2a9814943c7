"""Accuracy against the settings that were tried (k of kNN, C of the linear probe)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from skysift.report.figures.style import MARKERS, PALETTE, new_figure, styled

LABELS = {
    "k": "number of neighbours k",
    "C": "inverse strength of the penalty C",
}
SUBSETS = {"validation_accuracy": "validation samples (these choose)", "accuracy": "test samples"}


def draw_settings_sweep(
    sweeps: Mapping[str, Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]],
) -> Figure:
    """Draw accuracy against each parameter, on a logarithmic axis.

    Parameters
    ----------
    sweeps : mapping of str to mapping of str to (values, mean, error)
        Parameter -> metric (`accuracy`, `validation_accuracy`) -> its values, mean accuracy over draws and error.

    Returns
    -------
    Figure
    """
    with styled():
        figure = new_figure(height=3.0)
        grid = figure.subplots(1, len(sweeps), squeeze=False, sharey=True)[0]
        for axes, (parameter, curves) in zip(grid, sweeps.items(), strict=True):
            for number, (metric, (values, mean, error)) in enumerate(sorted(curves.items(), reverse=True)):
                axes.errorbar(
                    values,
                    mean,
                    yerr=np.nan_to_num(error),
                    color=PALETTE[number],
                    marker=MARKERS[number],
                    markersize=4.5,
                    capsize=2.5,
                    elinewidth=1,
                    label=SUBSETS[metric],
                )
            axes.set_xscale("log")
            ticks = sorted({float(v) for values, _, _ in curves.values() for v in values})
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlabel(LABELS.get(parameter, parameter))
        grid[0].set_ylabel("accuracy")
        every = [axes.get_legend_handles_labels() for axes in grid]
        known = {label: handle for handles, labels in every for handle, label in zip(handles, labels, strict=True)}
        figure.legend(known.values(), known.keys(), loc="outside lower center", ncols=len(known))
    return figure
