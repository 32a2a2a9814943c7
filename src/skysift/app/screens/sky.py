"""The screen "Sky": where cutouts lie, all of it without a network."""

from __future__ import annotations

from html import escape
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from bokeh.models import ColumnDataSource

from skysift.app.detail.place import sexagesimal
from skysift.app.parts.items import Item, button, menu
from skysift.app.points.cloud import Cloud
from skysift.app.points.later import Latest
from skysift.app.points.picture import Picture
from skysift.app.points.screen import PointScreen
from skysift.app.sky.aladin import frame
from skysift.app.sky.graticule import graticule
from skysift.app.sky.outlines import area_text, covered_area, mosaic_outlines
from skysift.app.sky.projection import Projection, centre_of

WIDE = 60.0  # radius from which the whole sky is shown at first [deg]
LINE, LABEL = "#c6ced6", "#52606d"
NO_POSITIONS = (
    "<div data-testid='sky-note'><h2>No positions</h2>These cutouts have no place on the sky: their mosaics have no "
    "WCS, or one that leads nowhere. <code>skysift info MOSAIC</code> says what is wrong with it. Gallery, map and "
    "queue need no positions.</div>"
)


class SkyScreen(PointScreen):
    """The survey's footprint with the cutouts on it, right ascension increasing to the left."""

    name: ClassVar[str] = "sky"
    title: ClassVar[str] = "Sky"

    def panel(self) -> Any:
        """Return the map of the sky, or why there is none."""
        import panel as pn

        document = pn.state.curdoc
        self._placer = Latest(self._placed, self.session.fail, document)
        self._footprint = Latest(self._outlined, self.session.fail, document)
        self._measurer = Latest(self._measured, self.session.fail, document)
        self._clouds: dict[str, Cloud] = {}
        self._outlines: list[tuple[Any, Any]] = []
        self._lines: list[tuple[Any, Any]] = []
        self._area = 0.0
        self._which = "survey"
        self._projections: dict[str, Projection] = {}
        self._aladin = pn.pane.HTML("", sizing_mode="stretch_both", visible=False, margin=0)
        view = super().panel()
        self.body.insert(1, self._aladin)
        return view

    def fill(self) -> None:
        """Show the cutouts' positions, or say that there are none."""
        columns = self.session.survey.columns
        if "ra" not in columns or "dec" not in columns or not self._positions()[2].any():
            self.explain(NO_POSITIONS)
            return
        ra, dec, placed = self._positions()
        centre_ra, centre_dec, self._radius = centre_of(ra[placed], dec[placed])
        noon = 90 < centre_ra < 270  # the sky is cut where the survey is not
        self._projections = {
            "survey": Projection("ZEA", centre_ra, centre_dec),
            "sky": Projection("MOL", 180.0 if noon else 0.0),
        }
        self._which = "sky" if self._radius > WIDE else "survey"
        self._place()
        catalogue = self.session.survey.catalogue
        self._footprint.ask(lambda: mosaic_outlines(catalogue))
        self._measurer.ask(lambda: covered_area(catalogue))

    def _positions(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        columns = self.session.survey.columns
        ra, dec = (np.asarray(columns[name], np.float64) for name in ("ra", "dec"))
        return ra, dec, np.isfinite(ra) & np.isfinite(dec)

    def layers(self) -> None:
        """Add the graticule, the edge of the sky, and the outlines of mosaics."""
        figure = self.plot.figure
        self._grid = ColumnDataSource({"xs": [], "ys": []})
        self._edge = ColumnDataSource({"xs": [], "ys": []})
        self._mosaics = ColumnDataSource({"xs": [], "ys": []})
        figure.multi_line("xs", "ys", source=self._grid, line_color=LINE, line_width=0.8, level="image")
        figure.multi_line("xs", "ys", source=self._edge, line_color="#9aa5b1", line_width=1.2, level="image")
        figure.multi_line("xs", "ys", source=self._mosaics, line_color="#7b8794", line_width=1.3, level="image")
        self._labels = {}
        for kind, style in (
            ("ra", {"text_align": "center", "text_baseline": "bottom"}),
            ("dec", {"text_align": "left", "text_baseline": "middle"}),
        ):
            self._labels[kind] = ColumnDataSource({"x": [], "y": [], "text": []})
            figure.text(
                "x", "y", text="text", source=self._labels[kind], text_font_size="11.5px", text_color=LABEL,
                text_outline_color="white", level="annotation", **style,
            )  # fmt: skip

    # -- where things are ----------------------------------------------------------------------------------------

    @property
    def projection(self) -> Projection:
        """From the sky to the plane that is shown."""
        return self._projections[self._which]

    def _place(self) -> None:
        which, projection = self._which, self.projection
        if which in self._clouds:
            self._placed((which, self._clouds[which]))
            return
        ra, dec, _ = self._positions()
        self._placer.ask(lambda: (which, Cloud(np.column_stack(projection.forward(ra, dec)))))

    def _placed(self, result: tuple[str, Cloud]) -> None:
        which, cloud = result
        self._clouds[which] = cloud
        if which != self._which:
            return
        self._project_outlines()
        extent = self.projection.extent if which == "sky" else None
        edge_x, edge_y = self.projection.outline()
        far = which == "sky" or self._radius > WIDE
        self._edge.data = {"xs": [edge_x] if far else [], "ys": [edge_y] if far else []}
        self.plot.place(cloud, extent=extent)

    def _outlined(self, outlines: Any) -> None:
        self._outlines = outlines
        self._project_outlines()

    def _project_outlines(self) -> None:
        xs, ys = [], []
        for ra, dec in self._outlines:
            x, y = self.projection.forward(ra, dec)
            jump = np.abs(np.diff(x)) > 90  # over the edge of the map and back
            for part in np.split(np.arange(len(x)), np.flatnonzero(jump | ~np.isfinite(x[1:])) + 1):
                good = part[np.isfinite(x[part])]
                if len(good) > 1:
                    xs.append(x[good])
                    ys.append(y[good])
        self._mosaics.data = {"xs": xs, "ys": ys}

    def _measured(self, area: float) -> None:
        self._area = area
        self.relabel()

    # -- what is shown with the points ---------------------------------------------------------------------------

    def drawn(self, picture: Picture) -> None:
        """Draw the graticule of the new view."""
        lines = graticule(self.projection, picture.view)
        self._grid.data = {"xs": lines.xs, "ys": lines.ys}
        for kind, source in self._labels.items():
            own = [label for label in lines.labels if label[3] == kind]
            source.data = {name: [label[i] for label in own] for i, name in enumerate(("x", "y", "text"))}

    def moved(self, place: tuple[float, float] | None) -> None:
        """Read out the position under the cursor."""
        text = ""
        if place is not None and self._projections:
            ra, dec = (float(v) for v in self.projection.inverse(*place))
            if np.isfinite(ra):
                text = f"{sexagesimal(ra, dec, 1)}   ({ra:.4f}, {dec:+.4f})"
        self.plot.card.readout = text

    def legend_tail(self) -> str:
        """Say how many mosaics there are, and how much they cover."""
        survey = self.session.survey
        mosaics = survey.catalogue.mosaics.num_rows
        lines = [f"{mosaics:,} mosaic{'s' if mosaics != 1 else ''}"]
        if self._area:
            lines[0] += f", {area_text(self._area)}"
        missing = len(survey) - int(self._positions()[2].sum())
        if missing:
            lines.append(f"{missing:,} cutouts without a position")
        return "".join(f"<p>{escape(line)}</p>" for line in lines)

    # -- controls --------------------------------------------------------------------------------------------------

    def items(self) -> tuple[list[Item], list[Item]]:
        """Return the menu of views, and the button of Aladin Lite."""
        if not self._projections:
            return [], []
        views = [("survey", "survey"), ("sky", "all sky")]
        aladin = button(
            "aladin",
            "Aladin Lite",
            on=self._aladin.visible,
            help="Show this place in other surveys. This loads Aladin Lite and images from the web: "
            "the position that you look at is sent there",
        )
        more = [button("follow", "Go to this view", help="Show the place that is in view here")]
        return (
            [menu("view", views, self._which, label="View", help="What of the sky is shown")],
            [aladin, *(more if self._aladin.visible else [])],
        )

    def take(self, name: str, value: Any) -> None:
        """Do what a control asks for."""
        if name == "view" and value in self._projections:
            self._which = str(value)
            self._place()
        elif name == "aladin":
            self._aladin.visible = not self._aladin.visible
            self._aladin.object = self._frame() if self._aladin.visible else ""
        elif name == "follow" and self._aladin.visible:
            self._aladin.object = self._frame()

    def _frame(self) -> str:
        """Return the frame that shows Aladin Lite at this view, with the cutouts that are selected."""
        view = self.plot.view
        ra, dec = (float(v) for v in self.projection.inverse((view.x0 + view.x1) / 2, (view.y0 + view.y1) / 2))
        if not np.isfinite(ra):
            ra, dec = self.projection.ra, self.projection.dec
        all_ra, all_dec, placed = self._positions()
        rows = self.session.selection
        rows = rows[placed[rows]] if len(rows) else rows
        return frame(ra, dec, view.y1 - view.y0, np.column_stack([all_ra[rows], all_dec[rows]]))
