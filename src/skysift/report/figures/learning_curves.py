"""Loss and accuracy of a classifier over the epochs, on training and validation cutouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from skysift.report.figures.style import PALETTE, new_figure, styled

PANELS = (("loss", "cross-entropy"), ("accuracy", "accuracy"))
SETS = (("", "training cutouts, turned"), ("validation_", "validation cutouts"))


def draw_learning_curves(history: Mapping[str, Sequence[float]]) -> Figure:
    """Draw what a classifier's training recorded an epoch.

    Parameters
    ----------
    history : mapping of str to sequence of float
        Columns `epoch`, `loss`, `accuracy`, and with `validation_` before them those of the validation cutouts.

    Returns
    -------
    Figure
    """
    with styled():
        figure = new_figure(height=3.1)
        for axes, (column, label) in zip(figure.subplots(1, 2), PANELS, strict=True):
            for number, (prefix, name) in enumerate(SETS):
                if prefix + column in history:
                    axes.plot(history["epoch"], history[prefix + column], color=PALETTE[number], label=name)
            axes.set_xlabel("epoch")
            axes.set_ylabel(label)
            axes.margins(y=0.1)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(SETS))
    return figure
