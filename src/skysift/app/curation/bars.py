"""Sizes of clusters before and after, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skysift.app.queue.figures import SOFT, plot

BEFORE, AFTER = "#cbd2d9", "#0b5c96"


class Bars:
    """A figure of cluster sizes, the largest first: all cutouts behind, kept ones before them; logarithmic."""

    def __init__(self) -> None:
        from bokeh.models import ColumnDataSource, Legend, LegendItem

        self.figure = plot("Cluster sizes", "clusters, the largest first", "cutouts", height=210, y_axis_type="log",
                           x_range=(0, 1), y_range=(0.5, 10))  # fmt: skip
        self._source = ColumnDataSource({"x": [], "before": [], "after": []})
        bottom = 0.5
        pairs = [
            self.figure.vbar("x", 0.9, name, bottom, source=self._source, color=colour, line_color=None)
            for name, colour in (("before", BEFORE), ("after", AFTER))
        ]
        items = [LegendItem(label=label, renderers=[bar]) for label, bar in zip(("all", "kept"), pairs, strict=True)]
        self.figure.add_layout(
            Legend(
                items=items,
                location="top_right",
                orientation="horizontal",
                label_text_font_size="11px",
                label_text_color=SOFT,
                border_line_color=None,
                background_fill_alpha=0.7,
                glyph_width=10,
                glyph_height=10,
                padding=2,
            )
        )

    def show(self, before: Sequence[int], after: Sequence[int]) -> None:
        """Show these sizes."""
        places: list[Any] = list(range(1, len(before) + 1))
        # a cluster that gives nothing has no bar: its top is the bottom
        self._source.data = {
            "x": places,
            "before": [max(b, 0.5) for b in before],
            "after": [max(a, 0.5) for a in after],
        }
        self.figure.x_range.start, self.figure.x_range.end = 0.3, len(before) + 0.7
        self.figure.y_range.start, self.figure.y_range.end = 0.5, 2 * max([1, *before])
