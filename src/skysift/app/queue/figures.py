"""Two small figures beside the queue: candidates found, and how well ratings were foreseen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Curve = tuple[Sequence[float], Sequence[float]]
COLOURS = ("#0b5c96", "#b86200", "#1b7f5c", "#8a4f9e", "#b3261e", "#52606d")
INK, SOFT, LINE = "#1f2933", "#52606d", "#dfe3e8"


def plot(title: str, x: str, y: str, *, height: int = 220, **options: Any) -> Any:
    """Return an empty figure in the look of the app."""
    from bokeh.plotting import figure

    made = figure(
        height=height, sizing_mode="stretch_width", toolbar_location=None, title=title, x_axis_label=x, y_axis_label=y,
        min_border=4, tools="", **options,
    )  # fmt: skip
    made.title.text_font_size, made.title.text_color, made.title.text_font_style = "13px", INK, "bold"
    made.outline_line_color = None
    made.background_fill_color = made.border_fill_color = "white"
    for axis in made.axis:
        axis.axis_label_text_font_style, axis.axis_label_text_font_size = "normal", "12px"
        axis.axis_label_text_color = axis.major_label_text_color = SOFT
        axis.major_label_text_font_size = "11px"
        axis.axis_line_color = axis.major_tick_line_color = LINE
        axis.minor_tick_line_color = None
        axis.axis_label_standoff = 6
    made.grid.grid_line_color = "#eef1f4"
    made.x_range.start = 0
    if not options:
        made.y_range.start = 0
    return made


class Curves:
    """A figure with some named curves that come and go.

    Parameters
    ----------
    title, x, y : str
        Of the figure and its axes.
    steps : bool
        Whether values hold until the next one.
    """

    def __init__(self, title: str, x: str, y: str, *, steps: bool = False) -> None:
        self.figure = plot(title, x, y)
        self._steps = steps
        self._known: dict[str, Any] = {}

    def show(self, curves: Mapping[str, Curve]) -> None:
        """Show these curves and no others."""
        from bokeh.models import Legend, LegendItem

        for number, (name, (x, y)) in enumerate(curves.items()):
            data = {"x": list(x), "y": list(y)}
            if name not in self._known:
                colour = COLOURS[number % len(COLOURS)]
                if self._steps:
                    self._known[name] = self.figure.step(
                        "x", "y", mode="after", source=data, color=colour, line_width=2
                    )
                else:
                    self._known[name] = self.figure.line("x", "y", source=data, color=colour, line_width=2)
            self._known[name].data_source.data = data
        for name, renderer in self._known.items():
            renderer.visible = name in curves
        if not self.figure.legend:
            self.figure.add_layout(
                Legend(
                    location="top_left",
                    label_text_font_size="11px",
                    label_text_color=SOFT,
                    padding=4,
                    spacing=0,
                    border_line_color=None,
                    background_fill_alpha=0.7,
                    glyph_width=16,
                    label_height=14,
                    glyph_height=14,
                )
            )
        items = [LegendItem(label=name, renderers=[self._known[name]]) for name in curves]
        self.figure.legend[0].items = items
