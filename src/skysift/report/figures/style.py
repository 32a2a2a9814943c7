"""One look for all figures: sizes in inches at page width, colours that colour-blind people can tell apart."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

PAGE_WIDTH = 9.4
"""Width of the page's text [inch]; a figure of this width is shown at its true size."""
DPI = 150
INK = "#1f2933"
FAINT = "#9aa5b1"
MIDDLE = "#7b8794"
GRID = "#e4e7eb"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#6A3D9A", "#7A5C00")
"""After Okabe and Ito (2008), with its yellow and black replaced: both are hard to see as small dots on white."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SEQUENTIAL = "cividis"
GREYS = "magma"

RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "lines.linewidth": 1.6,
    "text.color": INK,
}


@contextmanager
def styled() -> Iterator[None]:
    """Apply the look while a figure is made or drawn; nothing outside changes."""
    with rc_context(RC):
        yield


def look(number: int) -> dict[str, Any]:
    """Return colour and marker of the series of that number; the pair repeats after 64."""
    return {
        "color": PALETTE[number % len(PALETTE)],
        "marker": MARKERS[(number + number // len(PALETTE)) % len(MARKERS)],
    }


def new_figure(width: float = PAGE_WIDTH, height: float = 3.4) -> Figure:
    """Return an empty figure [inch] that lays its axes out without overlap."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.05))
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write the figure as PNG or SVG, by the path's ending; equal figures give equal bytes."""
    metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
    with styled(), rc_context({"svg.hashsalt": "skysift"}):
        figure.savefig(path, dpi=DPI, metadata=metadata)


def data_uri(figure: Figure) -> str:
    """Return the figure as a PNG inside a `data:` address; equal figures give equal text."""
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def shorten(text: str, length: int = 24) -> str:
    """Return a text of at most `length` characters, with an ellipsis where something is cut; $ is no formula."""
    short = text if len(text) <= length else text[: length - 1] + "…"
    return short.replace("$", r"\$")
