"""What the screens of map and sky have in common: a strip of controls, a figure of points, and its legend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn

from skysift.app.parts.components import Controls
from skysift.app.parts.items import Item, button, menu, rule, space, text
from skysift.app.points.choices import ColourChoice
from skysift.app.points.legend import STYLE, legend
from skysift.app.points.picture import Picture
from skysift.app.points.plot import PointPlot
from skysift.app.screen import Screen

LEGEND_WIDTH = 208  # [pixel]
TOOLS = {
    "move": ("Move", "Drag the figure; scroll to zoom (M)"),
    "lasso": ("Lasso", "Draw around points to select them (L)"),
    "box": ("Box", "Draw a box around points to select them (B)"),
}
NOTE_STYLE = """
:host { font: 14px/1.55 var(--sk-font); color: var(--sk-soft); }
div { max-width: 560px; margin: 12vh auto 0; text-align: center; }
h2 { font-size: 17px; font-weight: 600; color: var(--sk-ink); margin: 0 0 8px; }
code { font: 13px ui-monospace, "DejaVu Sans Mono", monospace; background: var(--sk-line); border-radius: 4px;
  padding: 1px 6px; overflow-wrap: anywhere; }
"""


class PointScreen(Screen):
    """A screen that shows a survey's cutouts as points in a plane."""

    def panel(self) -> Any:
        """Return controls, figure and legend."""
        session = self.session
        self.choice = ColourChoice(session.survey)
        self.plot = PointPlot(session, self.name, drawn=self._drawn, moved=self.moved)
        self.picture: Picture | None = None
        self._tool = "move"
        self._stale = False
        self.controls = Controls(self._receive, testid=f"{self.name}-controls", sizing_mode="stretch_width")
        self.tools = Controls(self._receive, testid=f"{self.name}-tools", sizing_mode="stretch_width")
        self.legend = pn.pane.HTML(
            "", stylesheets=[STYLE], width=LEGEND_WIDTH, margin=0, css_classes=[f"sk-{self.name}-legend"]
        )
        self.note = pn.pane.HTML("", stylesheets=[NOTE_STYLE], sizing_mode="stretch_both", visible=False, margin=0)
        self.body = pn.Row(
            self.plot.view_pane, self.legend, sizing_mode="stretch_both", margin=(10, 0, 0, 0), styles={"gap": "14px"}
        )
        self.layers()
        self.fill()
        self.plot.recolour(self.choice.colouring())
        self._update_controls()
        session.param.watch(self._chosen, ["selection", "filters"])
        session.param.watch(lambda _: self.plot.mark_focus(), "focus")
        session.param.watch(self._rated, "rated")
        return pn.Column(
            pn.Column(self.controls, self.tools, sizing_mode="stretch_width", margin=0, styles={"gap": "8px"}),
            self.body,
            self.note,
            sizing_mode="stretch_both",
            margin=0,
            css_classes=[f"sk-{self.name}"],
        )

    # -- for a screen to fill in -----------------------------------------------------------------------------

    def layers(self) -> None:
        """Put into the figure what it draws beside the points."""

    def fill(self) -> None:
        """Put the points into the figure."""
        raise NotImplementedError

    def items(self) -> tuple[list[Item], list[Item]]:
        """Return this screen's own controls: those before the menu of colours, and those after it."""
        return [], []

    def take(self, name: str, value: Any) -> None:
        """Do what one of this screen's own controls asks for."""

    def drawn(self, picture: Picture) -> None:
        """Put what goes with a new picture into the figure."""

    def moved(self, place: tuple[float, float] | None) -> None:
        """Take the place under the cursor, None where it has left the figure."""

    def legend_tail(self) -> str:
        """Return HTML that stands below the legend."""
        return ""

    # -- what happens ------------------------------------------------------------------------------------------

    def visited(self) -> None:
        """Catch up with what happened while another screen was in front."""
        if self._stale:
            self._stale = False
            self.recolour()
            self._update_controls()

    def keys(self) -> dict[str, Callable[[], object]]:
        """Return the keys of tools, view and selection."""
        return {
            "m": self.use_move, "l": self.use_lasso, "b": self.use_box, "f": self.fit, "+": self.zoom_in,
            "-": self.zoom_out, "g": self.open_gallery, "c": self.clear,
        }  # fmt: skip

    def use_move(self) -> None:
        """Drag to move the figure"""
        self._use("move")

    def use_lasso(self) -> None:
        """Drag to draw a lasso"""
        self._use("lasso")

    def use_box(self) -> None:
        """Drag to draw a box"""
        self._use("box")

    def fit(self) -> None:
        """Show all points"""
        self.plot.fit()

    def zoom_in(self) -> None:
        """Zoom in"""
        self.plot.zoom(0.6)

    def zoom_out(self) -> None:
        """Zoom out"""
        self.plot.zoom(1 / 0.6)

    def open_gallery(self) -> None:
        """Open what is selected in the gallery"""
        self.session.screen = "gallery"

    def clear(self) -> None:
        """Clear the selection"""
        self.session.select([])

    def recolour(self) -> None:
        """Draw the points in the colours that are chosen, and the legend."""
        self.plot.recolour(self.choice.colouring())

    def _use(self, tool: str) -> None:
        self._tool = tool
        self.plot.use(tool)
        self._update_controls()

    def _receive(self, message: dict[str, Any]) -> None:
        name, value = str(message.get("name", "")), message.get("value")
        actions: dict[str, Callable[[], object]] = {
            "move": self.use_move, "lasso": self.use_lasso, "box": self.use_box, "fit": self.fit,
            "in": self.zoom_in, "out": self.zoom_out, "gallery": self.open_gallery, "clear": self.clear,
        }  # fmt: skip
        try:
            if name in actions:
                actions[name]()
            elif name == "combine":
                self.plot.combine = value if value in ("new", "add", "remove") else "new"
            elif self.choice.take(name, value):
                self.recolour()
            else:
                self.take(name, value)
        except Exception as error:  # noqa: BLE001 - the page must live on
            self.session.fail(error)
        self._update_controls()

    def _update_controls(self) -> None:
        before, after = self.items()
        self.controls.items = [*before, *self.choice.items(), *after]
        selected = len(self.session.selection)
        tools = [button(tool, words, on=tool == self._tool, help=help) for tool, (words, help) in TOOLS.items()]
        combine = menu(
            "combine",
            [("new", "new selection"), ("add", "add to it"), ("remove", "take away")],
            self.plot.combine,
            help="What lasso and box do with the points that are selected already",
        )
        self.tools.items = [
            *tools,
            combine,
            rule("before-zoom"),
            button("out", "−", look="square", help="Zoom out (-)"),
            button("in", "+", look="square", help="Zoom in (+)"),
            button("fit", "Fit", help="Show all points (F)"),
            space(),
            text("selected", f"{selected:,} selected" if selected else "nothing selected"),
            button("clear", "Clear", look="quiet", help="Clear the selection (C)", disabled=not selected),
            button(
                "gallery",
                "Open in gallery",
                look="main" if selected else "",
                help="Show them as pictures (G)",
                disabled=not selected,
            ),
        ]

    def _chosen(self, *_: Any) -> None:
        if self.session.screen != self.name:
            self._stale = True
            return
        self.plot.draw()
        self._update_controls()

    def _rated(self, *_: Any) -> None:
        if self.session.screen != self.name:
            self._stale = True
        elif self.choice.column.startswith("rating: "):
            self.recolour()

    def _drawn(self, picture: Picture) -> None:
        self.picture = picture
        self.relabel()
        self.drawn(picture)

    def relabel(self) -> None:
        """Write the legend anew; before the first picture there is none."""
        if self.picture is not None:
            self.legend.object = legend(self.plot.colouring, self.picture) + self.legend_tail()

    def explain(self, html: str) -> None:
        """Show a note in place of the figure; an empty one brings the figure back."""
        self.note.object = html
        self.note.visible = bool(html)
        self.body.visible = not html
        self.controls.visible = self.tools.visible = not html
