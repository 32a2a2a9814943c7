"""From a figure to a block."""

from __future__ import annotations

from matplotlib.figure import Figure

from skysift.report.blocks import Picture
from skysift.report.figures.style import data_uri


def picture(figure: Figure, caption: str, alt: str) -> Picture:
    """Draw a figure and return it with its words."""
    return Picture(data_uri(figure), caption, alt, float(figure.get_figwidth()), figure)
