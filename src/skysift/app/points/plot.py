"""A figure of many points: drawn again as it moves, with lasso, a card under the cursor, and a mark at the focus."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

import numpy as np
import panel as pn
import param
from bokeh.events import DoubleTap, MouseLeave, MouseMove, RangesUpdate, SelectionGeometry, Tap
from bokeh.models import BoxSelectTool, ColumnDataSource, LassoSelectTool, PanTool, Range1d, WheelZoomTool
from bokeh.plotting import figure
from panel.custom import JSComponent

from skysift.app.gallery.cells import written
from skysift.app.points.cloud import Cloud, Mask, Rows
from skysift.app.points.colouring import Category, Colouring, Density
from skysift.app.points.later import Latest
from skysift.app.points.picture import Picture, paint
from skysift.app.points.raster import View
from skysift.app.session import Session

HERE = Path(__file__).parent
REACH = 12  # how far from the cursor a point may be [pixel]
CARD = (152, 216)  # size of the card [pixel]
HOVER_MS = 60
SMALLEST = 40  # a figure that is less wide has no place yet [pixel]
COMBINE: dict[str, Callable[[Rows, Rows], Rows]] = {
    "new": lambda old, drawn: drawn,  # noqa: ARG005
    "add": np.union1d,
    "remove": lambda old, drawn: np.setdiff1d(old, drawn),
}
"""What a lasso does to the rows selected before."""


class Card(JSComponent):
    """What is known of the point under the cursor, drawn by `card.js`."""

    content = param.Dict(default={}, doc="url, lines, left and top [pixel]; nothing hides the card.")
    readout = param.String(default="", doc="Shown in the figure's corner.")
    testid = param.String(default="card")

    _esm: ClassVar[Any] = HERE / "card.js"
    _stylesheets: ClassVar[list[str]] = [(HERE / "card.css").read_text()]


class PointPlot:
    """Points of a survey in a plane, with axes of equal scale.

    Parameters
    ----------
    session : Session
        Whose selection, filters and focus it shows and changes.
    name : str
        Of the screen; in `data-testid` and while it is hidden.
    drawn : callable
        Called with each new `Picture`, after it has been put into the figure.
    moved : callable, optional
        Called with the place under the cursor (x, y), or None where the cursor has left.
    """

    def __init__(
        self,
        session: Session,
        name: str,
        *,
        drawn: Callable[[Picture], object],
        moved: Callable[[tuple[float, float] | None], object] = lambda place: None,  # noqa: ARG005
    ) -> None:
        self.session, self.name = session, name
        self.cloud = Cloud(np.zeros((0, 2)))
        self.colouring: Colouring = Density()
        self.combine = "new"
        self._drawn, self._moved = drawn, moved
        self._document = pn.state.curdoc
        self._painter = Latest(self._put, session.fail, self._document)
        self._cursor: Any = None
        self._looking = False
        self._hovered = -1
        self._fitted = False
        self._tree_for: Cloud | None = None
        self._mask: Mask | None = None
        self._extent = self.cloud.extent
        self._build()

    def _build(self) -> None:
        self.tools = {
            "move": PanTool(),
            "lasso": LassoSelectTool(continuous=False, persistent=False),
            "box": BoxSelectTool(continuous=False, persistent=False),
        }
        wheel = WheelZoomTool(zoom_on_axis=False)
        self.figure = figure(
            tools=[*self.tools.values(), wheel],
            active_drag=self.tools["move"],
            active_scroll=wheel,
            x_range=Range1d(-1, 1),
            y_range=Range1d(-1, 1),
            toolbar_location=None,
            sizing_mode="stretch_both",
            min_border=1,
            background_fill_color="#ffffff",
            border_fill_color=None,
            outline_line_color="#dfe3e8",
            output_backend="canvas",
            lod_threshold=None,
        )
        self.figure.axis.visible = False
        self.figure.grid.visible = False
        self.pixels = ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []})
        image = self.figure.image_rgba("image", "x", "y", "dw", "dh", source=self.pixels, level="underlay")
        image.nonselection_glyph = None
        self.marks = ColumnDataSource({"x": [], "y": []})
        for width, colour in ((5, "white"), (2.2, "#D55E00")):  # a ring that is seen on any colour
            self.figure.scatter(
                "x", "y", source=self.marks, size=18, fill_alpha=0, line_color=colour, line_width=width, level="overlay"
            )
        for tool in ("lasso", "box"):
            self.tools[tool].renderers = []
        for event, function in (
            (RangesUpdate, self._ranges), (SelectionGeometry, self._selected), (MouseMove, self._mouse),
            (MouseLeave, self._left), (Tap, self._tapped), (DoubleTap, self._opened),
        ):  # fmt: skip
            self.figure.on_event(event, partial(self._guard, function))
        for side in ("inner_width", "inner_height"):
            self.figure.on_change(side, self._resized)
        self.card = Card(testid=f"{self.name}-card", sizing_mode="stretch_both")
        pane = pn.pane.Bokeh(self.figure, sizing_mode="stretch_both", css_classes=[f"sk-{self.name}-figure"])
        self.view_pane = pn.Column(
            pane, self.card, sizing_mode="stretch_both", styles={"position": "relative"}, margin=0, min_height=240
        )

    # -- what is shown -----------------------------------------------------------------------------------------

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frame [pixel]; (0, 0) while the browser has not told them."""
        try:
            width, height = int(self.figure.inner_width), int(self.figure.inner_height)
        except (TypeError, ValueError, AttributeError):  # not known yet
            return 0, 0
        return (width, height) if min(width, height) >= SMALLEST else (0, 0)

    @property
    def view(self) -> View:
        """What part of the plane is shown."""
        x, y = self.figure.x_range, self.figure.y_range
        width, height = self.size
        return View(float(x.start), float(x.end), float(y.start), float(y.end), width, height)

    def place(self, cloud: Cloud, *, extent: tuple[float, float, float, float] | None = None) -> None:
        """Show other points, all of them or those of a part of the plane (x0, x1, y0, y1)."""
        self.cloud = cloud
        self._extent = cloud.extent if extent is None else extent
        self._fitted = False
        self._hide_card()
        self.mark_focus()
        self.fit()

    def fit(self) -> None:
        """Show all points again."""
        width, height = self.size
        if width and len(self.cloud):
            self._go(View.around(*self._extent, width, height))
            self._fitted = True

    def go(self, x0: float, x1: float, y0: float, y1: float) -> None:
        """Show a box of the plane."""
        width, height = self.size
        if width:
            self._go(View.around(x0, x1, y0, y1, width, height))

    def _go(self, view: View) -> None:
        self.figure.x_range.update(start=view.x0, end=view.x1)
        self.figure.y_range.update(start=view.y0, end=view.y1)
        self.draw()

    def recolour(self, colouring: Colouring) -> None:
        """Show the points in other colours."""
        self.colouring = colouring
        self.draw()

    def shown(self) -> Mask | None:
        """Return which rows pass selection and filters, shape (N,); None where all do."""
        session = self.session
        return session.passing() if len(session.selection) or session.filters else None

    def draw(self) -> None:
        """Draw the points again, soon; only while the screen is in front."""
        width, _ = self.size
        if not width or not self._fitted or self.session.screen != self.name:
            return
        cloud, view, colouring, shown = self.cloud, self.view, self.colouring, self.shown()
        self._mask = shown
        self._painter.ask(lambda: paint(cloud, view, colouring, shown))

    def _put(self, picture: Picture) -> None:
        view = picture.view
        image = np.ascontiguousarray(picture.rgba).view(np.uint32)[..., 0]
        self.pixels.data = {
            "image": [image],
            "x": [view.x0],
            "y": [view.y0],
            "dw": [view.x1 - view.x0],
            "dh": [view.y1 - view.y0],
        }
        self._drawn(picture)

    def mark_focus(self) -> None:
        """Mark the row in focus, if it has a place."""
        row = self.session.focus
        there = 0 <= row < len(self.cloud) and bool(self.cloud.placed[row])
        self.marks.data = {
            "x": [float(self.cloud.x[row])] if there else [],
            "y": [float(self.cloud.y[row])] if there else [],
        }

    def use(self, tool: str) -> None:
        """Let the mouse move the figure ("move"), or draw a "lasso" or a "box"."""
        self.figure.toolbar.active_drag = self.tools[tool]

    def zoom(self, factor: float) -> None:
        """Show `factor` times as much of the plane, around the same centre."""
        view = self.view
        x, y = (view.x0 + view.x1) / 2, (view.y0 + view.y1) / 2
        half_x, half_y = (view.x1 - view.x0) / 2 * factor, (view.y1 - view.y0) / 2 * factor
        self.go(x - half_x, x + half_x, y - half_y, y + half_y)

    # -- what the browser tells --------------------------------------------------------------------------------

    def _guard(self, function: Callable[[Any], object], event: Any) -> None:
        try:
            function(event)
        except Exception as error:  # noqa: BLE001 - a figure must not break the page
            self.session.fail(error)

    def _resized(self, attr: str, old: Any, new: Any) -> None:  # noqa: ARG002 - the signature that Bokeh asks for
        width, height = self.size
        if not width:
            return
        if not self._fitted:
            self.fit()
            return
        x, y = self.figure.x_range, self.figure.y_range
        centre_x, centre_y, pixel = (x.start + x.end) / 2, (y.start + y.end) / 2, self._pixel
        self._go(
            View.around(
                centre_x - pixel * width / 2, centre_x + pixel * width / 2,
                centre_y - pixel * height / 2, centre_y + pixel * height / 2,
                width, height,
            )
        )  # fmt: skip

    @property
    def _pixel(self) -> float:
        """Side of a pixel in the newest picture."""
        data = self.pixels.data
        if not len(data["dw"]):
            return self.view.pixel
        return float(data["dw"][0]) / data["image"][0].shape[1]

    def _ranges(self, event: Any) -> None:  # noqa: ARG002 - the ranges are up to date already
        self._hide_card()
        self.draw()

    def _selected(self, event: Any) -> None:
        if not event.final:
            return
        drawn = self.cloud.inside(event.geometry)
        if not len(drawn) and self.combine == "new":
            self.session.tell("There is no point in there.")
            return
        self.session.select(COMBINE[self.combine](self.session.selection, drawn))

    def _mouse(self, event: Any) -> None:
        self._cursor = event
        if self._looking:
            return
        if self._document is None or self._document.session_context is None:
            self._look()
            return
        self._looking = True
        self._document.add_timeout_callback(self._look, HOVER_MS)

    def _left(self, event: Any) -> None:  # noqa: ARG002
        self._cursor = None
        self._hide_card()
        self._moved(None)

    def nearest(self, x: float, y: float) -> int:
        """Return the row within reach of a place that is shown, -1 if there is none."""
        if self._tree_for is not self.cloud:
            return -1
        return self.cloud.nearest(x, y, within=REACH * self.view.pixel, among=self._mask)

    def _prepare(self) -> None:
        """Build what finding the nearest point needs, the first time the cursor is over the figure."""
        if self._tree_for is self.cloud or not len(self.cloud):
            return
        cloud = self.cloud

        def ready(_: Any) -> None:
            self._tree_for = cloud

        Latest(ready, self.session.fail, self._document).ask(cloud.prepare)

    def _look(self) -> None:
        self._looking = False
        cursor = self._cursor
        if cursor is None or cursor.x is None or cursor.y is None:
            return
        self._moved((cursor.x, cursor.y))
        self._prepare()
        row = self.nearest(cursor.x, cursor.y)
        if row < 0:
            self._hide_card()
        elif row != self._hovered:
            self._hovered = row
            self.card.content = self.describe(row, cursor.sx, cursor.sy)

    def describe(self, row: int, sx: float, sy: float) -> dict[str, Any]:
        """Return what the card says of a row, and where it stands so that it covers neither cursor nor edge."""
        session = self.session
        width, height = self.size
        look = {
            "size": 134,
            "stretch": session.stretch,
            "contrast": f"{session.contrast:g}",
            "cmap": session.colour_map,
        }
        lines = [str(session.survey.ids[row])]
        if not isinstance(self.colouring, Density):
            name = self.colouring.title
            value = session.survey.columns[name][row]
            word = str(value) if isinstance(self.colouring, Category) else written(value, self.colouring.unit)
            lines.append(f"{name}: {word or 'none'}")
        left = sx + 16 if sx + 16 + CARD[0] < width else sx - 16 - CARD[0]
        top = min(max(sy - CARD[1] / 2, 4), max(height - CARD[1] - 4, 4))
        url = f"./thumbnail/{session.survey.ids[row]}.png?{urlencode(look)}"
        return {"url": url, "lines": lines, "left": round(left), "top": round(top)}

    def _hide_card(self) -> None:
        if self._hovered >= 0:
            self._hovered = -1
            self.card.content = {}

    def _tapped(self, event: Any) -> None:
        self._prepare()
        row = self.nearest(event.x, event.y)
        if row >= 0:
            self.session.focus = row

    def _opened(self, event: Any) -> None:
        row = self.nearest(event.x, event.y)
        if row >= 0:
            self.session.look_at(row)
