"""The figure of a cutout: pixels with a colour bar, the beam, contours, north and east, and what is under the mouse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skysift.app.detail.contours import contours
from skysift.app.detail.place import Place
from skysift.app.detail.units import shown_unit
from skysift.app.pictures import Scale, palette, scale_of

GRID = 17
"""Positions are computed on a grid of so many points a side, and interpolated in the browser."""
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
MOST_SHOWN = 1024
"""Longest side that is sent to the browser [pixel]."""
READ_OUT = (Path(__file__).parent / "readout.js").read_text()
INK, ACCENT = "#1f2933", "#0b5c96"

Image = NDArray[np.float32]


class CutoutFigure:
    """A Bokeh figure whose content follows the cutout that is looked at.

    Parameters
    ----------
    side : int
        Of the frame [pixel of the screen].
    """

    def __init__(self, side: int = 520) -> None:
        from bokeh.models import (
            ColorBar,
            ColumnDataSource,
            CustomJS,
            Div,
            FixedTicker,
            LinearColorMapper,
            Range1d,
        )
        from bokeh.plotting import figure

        self.x_range, self.y_range = Range1d(0, 1), Range1d(0, 1)
        self.figure: Any = figure(
            frame_width=side,
            frame_height=side,
            x_range=self.x_range,
            y_range=self.y_range,
            tools="pan,wheel_zoom,box_zoom,reset",
            active_scroll=None,
            toolbar_location="above",
            background_fill_color="#e9edf1",
            border_fill_color=None,
            outline_line_color="#9aa5b1",
        )
        self.figure.toolbar.logo = None
        self.figure.grid.grid_line_color = None
        for axis in self.figure.axis:
            axis.axis_label_text_font_style = "normal"
            axis.axis_label_text_color = axis.major_label_text_color = INK
            axis.axis_label_text_font_size = axis.major_label_text_font_size = "12px"
            axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = "#9aa5b1"
        self.mapper = LinearColorMapper(palette=["#000000", "#ffffff"], low=0, high=1, nan_color="#b8c4d0")
        empty: dict[str, list[Any]] = {"image": [], "value": [], "x": [], "y": [], "dw": [], "dh": []}
        self.pixels = ColumnDataSource(empty)
        self.figure.image("image", x="x", y="y", dw="dw", dh="dh", source=self.pixels, color_mapper=self.mapper)
        self.lines = ColumnDataSource({"xs": [], "ys": [], "width": [], "alpha": []})
        self.figure.multi_line(
            "xs", "ys", source=self.lines, line_color="#35d0ba", line_width="width", line_alpha="alpha"
        )
        self.beam = ColumnDataSource({"x": [], "y": [], "width": [], "height": [], "angle": []})
        self.figure.ellipse(
            "x", "y", "width", "height", "angle", source=self.beam, fill_color="#ffffff", fill_alpha=0.85,
            line_color=INK, line_width=1.2,
        )  # fmt: skip
        self.arrows = ColumnDataSource({"xs": [], "ys": []})
        self.figure.multi_line("xs", "ys", source=self.arrows, line_color="#ffffff", line_width=4, line_alpha=0.6)
        self.figure.multi_line("xs", "ys", source=self.arrows, line_color=INK, line_width=1.6)
        self.letters = ColumnDataSource({"x": [], "y": [], "text": []})
        self.figure.text(
            "x", "y", "text", source=self.letters, text_align="center", text_baseline="middle", text_color=INK,
            text_font_size="12px", text_font_style="bold", text_outline_color="#ffffff",
        )  # fmt: skip
        self.ticker = FixedTicker(ticks=[0, 1])
        self.bar = ColorBar(
            color_mapper=self.mapper, ticker=self.ticker, width=14, padding=4, label_standoff=6, border_line_color=None,
            background_fill_color=None, title_text_font_style="normal", title_text_font_size="12px",
            major_label_text_font_size="12px", major_label_text_color=INK, title_text_color=INK,
            major_tick_line_color=INK,
        )  # fmt: skip
        self.figure.add_layout(self.bar, "right")
        self.read_out = Div(text="", css_classes=["readout"], sizing_mode="stretch_width", height=22)
        self.sky = ColumnDataSource({"x": [], "y": [], "z": []})
        self.about = ColumnDataSource(
            {name: [] for name in ("width", "height", "step", "grid", "factor", "unit", "sky")}
        )
        follow = CustomJS(
            args={"out": self.read_out, "pixels": self.pixels, "sky": self.sky, "about": self.about}, code=READ_OUT
        )
        for event in ("mousemove", "mouseleave"):
            self.figure.js_on_event(event, follow)

    def show(
        self, place: Place, image: Image, *, stretch: str, contrast: float, colour_map: str, levels: list[float]
    ) -> None:
        """Show a cutout.

        Parameters
        ----------
        place : Place
            Where it is.
        image : ndarray, shape (h, w)
            Its pixels.
        stretch, contrast, colour_map
            As `skysift.app.pictures.render`.
        levels : list of float
            Contours [rms above the median]; none for an empty list.
        """
        height, width = image.shape
        step, unit = _step(place)
        left, right = -width / 2 * step, width / 2 * step
        bottom, top = -height / 2 * step, height / 2 * step
        scale = scale_of(image, stretch=stretch, contrast=contrast)
        thin = -(-max(height, width) // MOST_SHOWN)
        few = image[::thin, ::thin]
        finite = np.abs(few[np.isfinite(few)])
        factor, shown = shown_unit(place.info.bunit, float(finite.max()) if finite.size else 0.0)
        known = {"x": [left], "y": [bottom], "dw": [right - left], "dh": [top - bottom]}
        values = np.where(np.isfinite(few), few / np.float32(factor), np.nan).astype(np.float32)
        self.pixels.data = {"image": [scale.forward(few).astype(np.float32)], "value": [values], **known}
        half = max(right, top)
        for axis in (self.x_range, self.y_range):
            axis.update(start=-half, end=half, reset_start=-half, reset_end=half)
        self.figure.xaxis.axis_label = self.figure.yaxis.axis_label = f"offset from the centre [{unit}]"
        self._colours(scale, colour_map, factor, shown)
        self.contour(place, image, levels)
        self._beam(place, step, left, bottom)
        self._compass(place, right, top)
        self._positions(place, step, factor, shown)

    def contour(self, place: Place, image: Image, levels: list[float]) -> None:
        """Draw contours at these levels [rms above the median]."""
        step, _ = _step(place)
        height, width = image.shape
        found = contours(image, levels)
        lines = [(level, line) for level, many in found for line in many]
        low = min(levels, default=0.0)
        self.lines.data = {
            "xs": [(line[:, 0] + 0.5 - width / 2) * step for _, line in lines],
            "ys": [(line[:, 1] + 0.5 - height / 2) * step for _, line in lines],
            "width": [1.0 if level == low else 1.4 for level, _ in lines],
            "alpha": [0.7 if level == low else 1.0 for level, _ in lines],
        }

    def _colours(self, scale: Scale, colour_map: str, factor: float, unit: str) -> None:
        colours = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in palette(colour_map).tolist()]
        self.mapper.update(palette=colours[:-1], nan_color=colours[-1])
        places, labels = ticks(scale, factor)
        self.ticker.ticks = places
        self.bar.update(title=unit or None, major_label_overrides=dict(zip(places, labels, strict=True)))

    def _beam(self, place: Place, step: float, left: float, bottom: float) -> None:
        found = place.beam
        if found is None:
            self.beam.data = {name: [] for name in self.beam.data}
            return
        major, minor, angle = found
        room = 0.06 * -left * 2
        x, y = left + max(room, major * step), bottom + max(room, major * step)
        sides = {"width": [major * step], "height": [minor * step], "angle": [angle]}
        self.beam.data = {"x": [x], "y": [y], **sides}

    def _compass(self, place: Place, right: float, top: float) -> None:
        found = place.directions
        if found is None:
            self.arrows.data, self.letters.data = {"xs": [], "ys": []}, {"x": [], "y": [], "text": []}
            return
        length, reach = 0.13 * right, 0.2 * right
        # as far from the corner as the arms reach towards it
        corner = np.array([right, top]) - 0.07 * right
        start = corner - np.maximum(np.maximum(found[0], found[1]) * reach, 0)
        ends = [start + length * vector for vector in found]
        words = [start + reach * vector for vector in found]
        self.arrows.data = {axis + "s": [[start[i], end[i]] for end in ends] for i, axis in enumerate("xy")}
        self.letters.data = {"x": [w[0] for w in words], "y": [w[1] for w in words], "text": ["N", "E"]}

    def _positions(self, place: Place, step: float, factor: float, unit: str) -> None:
        along = np.linspace(-0.5, place.width - 0.5, GRID)
        up = np.linspace(-0.5, place.height - 0.5, GRID)
        x, y = np.meshgrid(along, up)
        ra, dec = (np.radians(v.ravel()) for v in place.sky(x, y))
        known = place.on_sky and bool(np.isfinite(ra).all())
        vectors = {"x": np.cos(dec) * np.cos(ra), "y": np.cos(dec) * np.sin(ra), "z": np.sin(dec)}
        self.sky.data = vectors if known else {name: [] for name in vectors}
        about = {"width": place.width, "height": place.height, "step": step, "grid": GRID, "factor": factor}
        self.about.data = {name: [value] for name, value in {**about, "unit": unit, "sky": known}.items()}


def ticks(scale: Scale, factor: float) -> tuple[list[float], list[str]]:
    """Choose round values for the colour bar.

    Parameters
    ----------
    scale : Scale
        From pixels to [0, 1].
    factor : float
        What values are divided by to be shown.

    Returns
    -------
    places : list of float
        In [0, 1], increasing.
    labels : list of str
        The values there.
    """
    values = scale.inverse(np.array(TICKS)) / factor
    span = float(values[-1] - values[0])
    if not span > 0:
        return [0.0], [f"{values[0]:.3g}"]
    rounded = [0.0 if abs(v) < 1e-3 * span else float(f"{v:.2g}") for v in values.tolist()]
    kept = sorted({v for v in rounded if values[0] <= v <= values[-1]})
    places = scale.forward(np.array(kept) * factor).tolist()
    return places, [f"{v:g}" for v in kept]


def _step(place: Place) -> tuple[float, str]:
    """Return the size of a pixel and its unit: arcmin for wide cutouts, else arcsec; pixels without a scale."""
    scale = place.info.pixel_scale
    if not scale:
        return 1.0, "pixel"
    return (scale / 60, "arcmin") if max(place.width, place.height) * scale > 600 else (scale, "arcsec")
