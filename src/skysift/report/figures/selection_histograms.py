"""Statistics of all cutouts against those of the selected ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from skysift.report.figures.style import FAINT, PALETTE, new_figure, styled

BINS = 40


def draw_selection_histograms(
    columns: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64] | None, bool]],
) -> Figure:
    """Draw the distributions of some columns before and after a selection, each normalised to its own sum.

    Parameters
    ----------
    columns : mapping of str to (all values, selected values or None, logarithmic)
        Axis label with unit -> values; those that are not finite (or not positive on a logarithmic axis) are left out.

    Returns
    -------
    Figure
    """
    with styled():
        figure = new_figure(height=2.8)
        grid = figure.subplots(1, len(columns), squeeze=False)[0]
        for axes, (label, (before, after, logarithmic)) in zip(grid, columns.items(), strict=True):
            good = before[np.isfinite(before) & ((before > 0) | (not logarithmic))]
            low, high = _range(good, after)
            if not high > low:
                low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
                logarithmic = logarithmic and low > 0
            logarithmic = logarithmic and high > 20 * low  # less than that has too few round ticks
            edges = np.geomspace(low, high, BINS) if logarithmic else np.linspace(low, high, BINS)
            _histogram(axes, good, edges, "all cutouts", color=FAINT, fill=True)
            if after is not None:
                _histogram(axes, after[np.isfinite(after)], edges, "selected", color=PALETTE[1], fill=False)
            axes.set_xscale("log" if logarithmic else "linear")
            if not logarithmic:
                axes.ticklabel_format(axis="x", scilimits=(-3, 5), useMathText=True)
            axes.set_xlabel(label)
        grid[0].set_ylabel("share of the cutouts [%]")
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _range(before: NDArray[np.float64], after: NDArray[np.float64] | None) -> tuple[float, float]:
    """Return limits that hold all but 0.2 % of either distribution; outliers are counted in the last bins."""
    ranges = [np.percentile(before, [0.1, 99.9])]
    if after is not None and np.isfinite(after).any():
        ranges.append(np.percentile(np.clip(after[np.isfinite(after)], before.min(), before.max()), [0.1, 99.9]))
    return float(min(r[0] for r in ranges)), float(max(r[1] for r in ranges))


def _histogram(
    axes: object, values: NDArray[np.float64], edges: NDArray[np.float64], label: str, *, color: str, fill: bool
) -> None:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    share = 100 * counts / max(len(values), 1)
    style = {"fill": True, "alpha": 0.6} if fill else {"fill": False, "linewidth": 1.6}
    axes.stairs(share, edges, color=color, label=label, **style)  # type: ignore[attr-defined]
