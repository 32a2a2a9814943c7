"""Loss and signs of collapse over the epochs of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from skysift.report.figures.style import PALETTE, new_figure, styled

PANELS = (
    ("loss", "training loss", "Loss"),
    ("embedding_std", "std of unit embeddings × √D", "Spread (0 = collapse)"),
    ("rankme", "RankMe [dimensions]", "Effective rank (1 = collapse)"),
)


def draw_training_curves(history: Mapping[str, Sequence[float]]) -> Figure:
    """Draw what a training recorded an epoch.

    Parameters
    ----------
    history : mapping of str to sequence of float
        Columns `epoch`, `loss`, and `embedding_std`, `rankme` where there are such. `embedding_std` is the deviation of
        unit embeddings times the root of their dimension; a dashed line shows 1, the spread of random directions.

    Returns
    -------
    Figure
    """
    panels = [panel for panel in PANELS if panel[0] in history]
    with styled():
        figure = new_figure(height=2.9)
        for number, (axes, (column, label, title)) in enumerate(
            zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True)
        ):
            values = history[column]
            axes.plot(
                history["epoch"],
                values,
                color=PALETTE[number],
                marker="o" if len(values) < 40 else None,
                markersize=3.5,
            )
            if column == "embedding_std":
                axes.axhline(1, color="#52606d", linestyle="--", linewidth=1)
                axes.text(
                    1.0, 0.97, "random directions", transform=axes.get_yaxis_transform(), va="top", ha="right",
                    fontsize=8, color="#52606d",
                )  # fmt: skip
            if column != "loss":
                axes.set_ylim(0, 1.12 * max(*values, 1))
            else:
                axes.margins(y=0.12)
            axes.set_xlabel("epoch")
            axes.set_ylabel(label)
            axes.set_title(title)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return figure
