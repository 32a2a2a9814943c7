"""The screen "Map": features in two dimensions."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlencode

import numpy as np
from bokeh.models import ColumnDataSource

from skysift.app.map.clusters import Places, cluster_places, without_overlap
from skysift.app.map.components import principal_plane
from skysift.app.map.contours import SHARES, density_contours
from skysift.app.parts.components import Controls
from skysift.app.parts.items import Item, button, menu, slider
from skysift.app.points.cloud import Cloud
from skysift.app.points.colouring import Category, as_hex
from skysift.app.points.later import Latest
from skysift.app.points.picture import Picture
from skysift.app.points.screen import PointScreen

THUMBNAIL = 46  # of an exemplar [pixel]
HERE_AND_NOW = "principal components (made here)"


class MapScreen(PointScreen):
    """Cutouts whose features are alike lie close together."""

    name: ClassVar[str] = "map"
    title: ClassVar[str] = "Map"

    def panel(self) -> Any:
        """Return the map, or what to do for one."""
        import panel as pn

        self._projection = ""
        self._made: dict[str, np.ndarray[Any, Any]] = {}
        self._tree = ""
        self._level = 1
        self._contours = False
        self._exemplars = True
        self._places: tuple[Any, Places] | None = None
        self._make = Controls(self._receive, testid="map-make")
        self._maker = Latest(self._made_components, self._failed, pn.state.curdoc)
        self._contourer = Latest(self._put_contours, self.session.fail, pn.state.curdoc)
        view = super().panel()
        view.append(self._make)
        return view

    def layers(self) -> None:
        """Add contours, and exemplars of clusters."""
        figure = self.plot.figure
        self._lines = ColumnDataSource({"xs": [], "ys": [], "width": []})
        for colour, extra in (("white", 1.6), ("#1f2933", 0.0)):
            figure.multi_line(
                "xs", "ys", source=self._lines, line_color=colour, line_alpha=0.75, line_width=1.0 + extra,
                level="glyph",
            )  # fmt: skip
        self._frames = ColumnDataSource({"x": [], "y": [], "url": [], "colour": [], "text": []})
        size = THUMBNAIL
        figure.scatter(
            "x", "y", source=self._frames, marker="square", size=size + 6, fill_color="white", line_color="colour",
            line_width=2.5, level="glyph",
        )  # fmt: skip
        figure.image_url(
            "url", "x", "y", w={"value": size, "units": "screen"}, h={"value": size, "units": "screen"},
            anchor="center", source=self._frames, level="glyph",
        )  # fmt: skip
        figure.text(
            "x", "y", text="text", source=self._frames, y_offset=size / 2 + 6, text_align="center",
            text_baseline="top", text_font_size="11px", text_color="#1f2933", text_outline_color="white",
            level="annotation",
        )  # fmt: skip

    # -- which map ---------------------------------------------------------------------------------------------

    def projections(self) -> dict[str, Any]:
        """Return the maps to choose from by title: those of the store, and one that was made here."""
        return {**self.session.survey.projections, **self._made}

    def fill(self) -> None:
        """Show the chosen map; without any, say how to get one."""
        known = self.projections()
        self._make.items = []
        if not known:
            self._offer()
            return
        self.explain("")
        if self._projection not in known:
            self._projection = next(iter(known))
        self.plot.place(Cloud(np.asarray(known[self._projection])))
        self._places = None

    def _offer(self) -> None:
        features = self.session.survey.features
        if features is None:
            self.explain(
                "<div data-testid='map-note'><h2>No map yet</h2>These cutouts have no features. "
                "<code>skysift features</code> computes them with an encoder; then "
                "<code>skysift project</code> makes a map.</div>"
            )
            return
        base = self.session.survey.base.id[:12]
        self.explain(
            "<div data-testid='map-note'><h2>No map yet</h2>A map by principal components can be made here at once. "
            f"<code>skysift project {base}</code> makes one by UMAP, which shows more, and keeps it.</div>"
        )
        self._make.items = [button("components", "Make a map by principal components", look="main")]
        self._make.styles = {"margin": "-38vh auto 0"}

    def _make_components(self) -> None:
        features = self.session.survey.features
        if features is None:
            return
        self.session.busy = True
        self._maker.ask(lambda: principal_plane(features))

    def _made_components(self, points: Any) -> None:
        self.session.busy = False
        self._made[HERE_AND_NOW] = points
        self._projection = HERE_AND_NOW
        self.fill()
        self._update_controls()

    def _failed(self, error: BaseException) -> None:
        self.session.busy = False
        self.session.fail(error)

    # -- controls ------------------------------------------------------------------------------------------------

    def items(self) -> tuple[list[Item], list[Item]]:
        """Return the menu of maps, and the controls of clusters and contours."""
        known = self.projections()
        before = [menu("projection", [(t, t) for t in known], self._projection, label="Map")] if len(known) > 1 else []
        after: list[Item] = []
        trees = self.session.survey.clusters
        if trees:
            options = [("", "none"), *((title, title) for title in trees)]
            after.append(menu("tree", options, self._tree, label="Clusters", help="Colour by cluster"))
        if self._tree:
            depth = self._depth(self._tree)
            if depth > 1:
                after.append(slider("level", self._level, 1, depth, 1, label="Level", help="1 = the finest clusters"))
            after.append(button("exemplars", "Exemplars", on=self._exemplars, help="A typical cutout of each cluster"))
        after.append(button("contours", "Contours", on=self._contours, help="Lines of equal density of points"))
        return before, after

    def take(self, name: str, value: Any) -> None:
        """Do what a control asks for."""
        if name == "components":
            self._make_components()
        elif name == "projection" and value in self.projections():
            self._projection = str(value)
            self.fill()
            self._draw_contours()
        elif name == "tree" and (value == "" or value in self.session.survey.clusters):
            self._tree = str(value)
            self._level = self._depth(self._tree) if self._tree else 1
            self._colour_clusters()
        elif name == "level" and isinstance(value, int | float):
            self._level = int(np.clip(value, 1, self._depth(self._tree)))
            self._colour_clusters()
        elif name == "exemplars":
            self._exemplars = not self._exemplars
            self._put_exemplars()
        elif name == "contours":
            self._contours = not self._contours
            self._draw_contours()

    def recolour(self) -> None:
        """Draw the points in the chosen colours; a colour other than clusters ends these."""
        if self._tree and self.choice.column != self._column:
            tree, _, level = self.choice.column.rpartition(": level ")
            known = tree in self.session.survey.clusters and level.isdigit()
            self._tree, self._level = (tree, int(level)) if known else ("", 1)
        super().recolour()
        self._put_exemplars()

    @property
    def _column(self) -> str:
        return f"{self._tree}: level {self._level}"

    def _depth(self, tree: str) -> int:
        columns = self.session.survey.columns
        depth = 0
        while f"{tree}: level {depth + 1}" in columns:
            depth += 1
        return depth

    def _colour_clusters(self) -> None:
        if self._tree:
            self.choice.take("colour", self._column)
        else:
            from skysift.app.points.choices import first_choice

            self.choice.take("colour", first_choice(self.session.survey.columns))
        self.recolour()

    # -- what goes with the points -----------------------------------------------------------------------------

    def drawn(self, picture: Picture) -> None:
        """Put the exemplars that fit into the new view."""
        self._put_exemplars(picture)

    def _put_exemplars(self, picture: Picture | None = None) -> None:
        picture = picture or self.picture
        colouring = self.plot.colouring
        if not (self._tree and self._exemplars and picture and isinstance(colouring, Category)):
            if self._frames.data["x"]:
                self._frames.data = {name: [] for name in self._frames.data}
            return
        places = self._cluster_places()
        fit = without_overlap(places, picture.view, width=THUMBNAIL + 22, height=THUMBNAIL + 34)
        session = self.session
        rows = places.exemplar[fit]
        look = urlencode({"size": THUMBNAIL * 2, "stretch": session.stretch, "contrast": f"{session.contrast:g}",
                          "cmap": session.colour_map})  # fmt: skip
        colours = [as_hex(colouring.colours[colouring.codes[row]]) for row in rows]
        self._frames.data = {
            "x": places.x[fit].tolist(),
            "y": places.y[fit].tolist(),
            "url": [f"./thumbnail/{session.survey.ids[row]}.png?{look}" for row in rows],
            "colour": colours,
            "text": [f"{places.number[i]} ({places.size[i]:,})" for i in fit],
        }

    def _cluster_places(self) -> Places:
        key = (self._column, id(self.plot.cloud))
        if self._places is None or self._places[0] != key:
            self._places = key, cluster_places(self.plot.cloud, self.session.survey.columns[self._column])
        return self._places[1]

    def _draw_contours(self) -> None:
        if not self._contours:
            self._lines.data = {name: [] for name in self._lines.data}
            return
        cloud, shown = self.plot.cloud, self.plot.shown()
        self._contourer.ask(lambda: density_contours(cloud, shown))

    def _put_contours(self, contours: Any) -> None:
        if not self._contours:
            return
        lines = [line for _, group in contours for line in group]
        self._lines.data = {
            "xs": [line[:, 0] for line in lines],
            "ys": [line[:, 1] for line in lines],
            "width": [1.0] * len(lines),
        }

    def _chosen(self, *events: Any) -> None:
        super()._chosen(*events)
        if self._contours and self.session.screen == self.name:
            self._draw_contours()

    def legend_tail(self) -> str:
        """Say what the contours are."""
        if not self._contours:
            return ""
        shares = ", ".join(f"{100 * share:.0f}" for share in SHARES)
        return f"<p>Contours enclose {shares} % of the points.</p>"
