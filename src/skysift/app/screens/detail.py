"""The screen "Detail": everything about the cutout in focus."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from skysift.app.detail import tables
from skysift.app.detail.context import MOST_PIXELS, ZOOMS, frame
from skysift.app.detail.contours import LEVELS, levels_of
from skysift.app.detail.links import links
from skysift.app.detail.place import Place, sexagesimal
from skysift.app.gallery.cells import cells
from skysift.app.parts import items
from skysift.app.ratings import JUDGEMENTS
from skysift.app.screen import Screen
from skysift.app.session import Session
from skysift.errors import RequestError

LOOK = ("stretch", "contrast", "colour_map")
NEIGHBOURS = 12
WIDE = 1100
"""Width of the page from which the figure is large [pixel of the screen]."""
SIDES = (380, 520)
AROUND = 256
STYLE = Path(__file__).parent.parent / "detail" / "detail.css"
JUDGED = {"interesting": ("Interesting", "good"), "artefact": ("Artefact", "bad"), "boring": ("Boring", "")}


class DetailScreen(Screen):
    """Pixels, surroundings, neighbours, what is known and what was said of one cutout."""

    name: ClassVar[str] = "detail"
    title: ClassVar[str] = "Detail"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.place: Place | None = None
        self._image: NDArray[np.float32] | None = None
        self._near = np.zeros(0, np.int64)
        self._contours = False
        self._levels = list(LEVELS)
        self._stale = True

    # -- building ----------------------------------------------------------------------------------------------------

    def panel(self) -> Any:
        """Return the figure on the left, and all else on the right and below."""
        import panel as pn

        from skysift.app.detail.figure import CutoutFigure
        from skysift.app.parts import Controls, Grid
        from skysift.app.points.later import Latest

        style = {"stylesheets": [STYLE.read_text()], "sizing_mode": "stretch_width", "margin": 0}
        strip = {"sizing_mode": "stretch_width", "margin": (0, 0, 10, 0)}
        self.head = pn.pane.HTML("", **style)
        self.controls = Controls(self.control, testid="detail-controls", measured=True, **strip)
        self.actions = Controls(self.act, testid="detail-actions", **strip)
        self.rating = Controls(self.act, testid="detail-rating", **strip)
        self.figure = CutoutFigure(SIDES[1])
        self.around = pn.pane.HTML("", **style)
        self.about, self.said = pn.pane.HTML("", **style), pn.pane.HTML("", **style)
        self.near_title = pn.pane.HTML("", **style)
        self.near = Grid(self.neighbour, ticks=False, columns=6, sizing_mode="stretch_width", margin=0)
        self.near.empty = ""
        self._sent = Latest(self._tell_sent, self._not_sent, pn.state.curdoc)
        watch = self.session.param.watch
        watch(self._later(self._update), ["focus"])
        watch(self._later(self._restyle), list(LOOK))
        watch(self._later(self._rerated), ["rated", "user"])
        watch(self._later(self._controls), ["selection", "filters", "sort", "descending"])
        gap = {"margin": (18, 0, 0, 0)}
        left = pn.Column(
            pn.pane.Bokeh(self.figure.figure, margin=0),
            pn.pane.Bokeh(self.figure.read_out, margin=(0, 0, 0, 8), sizing_mode="stretch_width"),
            margin=(0, 22, 0, 0),
        )
        right = pn.Column(
            self.rating,
            pn.Column(self.around, margin=(8, 0, 0, 0), sizing_mode="stretch_width"),
            pn.Column(self.near_title, self.near, sizing_mode="stretch_width", **gap),
            pn.Column(self.said, sizing_mode="stretch_width", **gap),
            pn.Column(self.about, sizing_mode="stretch_width", **gap),
            sizing_mode="stretch_width",
            margin=0,
            styles={"min-width": "0"},
        )
        top = pn.Column(self.head, margin=(0, 0, 10, 0), sizing_mode="stretch_width")
        body = pn.Row(left, right, sizing_mode="stretch_width", margin=0)
        return pn.Column(top, self.controls, self.actions, body, sizing_mode="stretch_width", margin=0)

    def visited(self) -> None:
        """Show the focus; the first cutout of the gallery if there is none."""
        session = self.session
        if session.focus < 0 and len(session.shown()):
            session.focus = int(session.shown()[0])
        if self._stale or self.place is None or self.place.row != session.focus:
            self._update()
        else:
            self._controls()

    def keys(self) -> dict[str, Callable[[], object]]:
        """Return keys that rate the cutout and go to the next one."""

        def does(words: str, function: Callable[..., object], *args: Any, **options: Any) -> Callable[[], object]:
            action = partial(function, *args, **options)

            def call() -> object:
                return action()

            call.__doc__ = words
            return call

        return {
            "ArrowLeft": does("The one before in the gallery", self.go, -1),
            "ArrowRight": does("The next one in the gallery", self.go, 1),
            **{str(n): does(f"Give the score {n}", self.rate, score=n) for n in range(6)},
            **{word[0]: does(f"Judge as {word}", self.rate, judgement=word) for word in JUDGEMENTS},
            "u": does("Take back my last rating", self.undo),
            "c": does("Contours", self.toggle_contours),
        }

    def _later(self, function: Callable[[], None]) -> Callable[[Any], None]:
        def react(_: Any) -> None:
            if self.session.screen == self.name:
                function()
            else:
                self._stale = True

        return react

    # -- showing -----------------------------------------------------------------------------------------------------

    def _update(self) -> None:
        """Show the cutout in focus."""
        row = self.session.focus
        if row < 0:
            self.head.object = "<p class='faint'>No cutout is chosen: pick one in the gallery.</p>"
            return
        self._stale = False
        survey = self.session.survey
        self.place = Place.of(survey, row)
        self._image = np.asarray(survey.pixels.read([row])[0], np.float32)
        self._head(self.place)
        self._draw()
        self._controls()
        self._actions()
        self._rerated()
        self._neighbours(row)
        self.about.object = tables.about_html(tables.about(survey, self.place))
        self._look_around()

    def _head(self, place: Place) -> None:
        centre = place.centre
        where = "no sky position" if centre is None else sexagesimal(*centre, precision=1)
        parts = [
            f"<b data-testid='detail-id'>{place.cutout_id}</b>",
            f"<span data-testid='detail-position'>{where}</span>",
        ]
        if place.info.path:
            parts.append(f"<span class='faint'>{escape(place.info.path)}</span>")
        self.head.object = f"<div class='head'>{''.join(parts)}</div>"

    def _draw(self) -> None:
        if self.place is not None and self._image is not None:
            session = self.session
            look = {name: getattr(session, name) for name in LOOK}
            self.figure.show(self.place, self._image, levels=self._levels if self._contours else [], **look)

    def _restyle(self) -> None:
        self._draw()
        self._controls()
        self._neighbour_look()
        self._look_around()

    def _look_around(self) -> None:
        if self.place is not None:
            self.around.object = around_html(self.place, _look(self.session))

    # -- neighbours --------------------------------------------------------------------------------------------------

    def _neighbours(self, row: int) -> None:
        survey = self.session.survey
        self._near, similarity = nearest(survey, row)
        said = (
            f"The {len(self._near)} nearest in feature space"
            if len(self._near)
            else "There are no features to compare."
        )
        self.near_title.object = f"<h2>Most similar</h2><p class='faint' style='margin-bottom:8px'>{said}</p>"
        self._similarity = similarity
        self._neighbour_look()
        self.near.visible = bool(len(self._near))
        self.near.param.update(total=len(self._near), generation=self.near.generation + 1, cursor=-1)

    def _neighbour_look(self) -> None:
        self.near.look = _look(self.session)

    def neighbour(self, message: dict[str, Any]) -> None:
        """Take a message of the neighbours: cells wanted, or a click."""
        if message.get("do") == "cells" and message.get("generation") == self.near.generation:
            found = cells(self.session, self._near, np.zeros(0, np.int64), 0, len(self._near))
            for cell, value in zip(found, self._similarity.tolist(), strict=True):
                cell["text"] = f"{value:.3f}"
                cell["title"] = f"{cell['id']}\ncosine similarity {value:.4f}"
            self.near.send_cells(0, found)
        elif message.get("do") in ("click", "open"):
            place = message.get("place")
            if isinstance(place, int) and 0 <= place < len(self._near):
                self.session.focus = int(self._near[place])

    # -- controls ----------------------------------------------------------------------------------------------------

    def _controls(self) -> None:
        session = self.session
        rows = session.shown()
        found = np.flatnonzero(rows == session.focus)
        said = f"{int(found[0]) + 1:,} of {len(rows):,}" if len(found) else f"not among the {len(rows):,} shown"
        levels = " ".join(f"{level:g}" for level in self._levels)
        field = items.field("levels", value=levels, label="at", help="In rms above the median", width=150)
        self.controls.items = [
            items.button("before", "←", look="square", help="The one before", disabled=not len(rows)),
            items.button("next", "→", look="square", help="The next one", disabled=not len(rows)),
            items.text("count", said),
            items.rule("rule"),
            items.menu("stretch", [(s, s) for s in session.param.stretch.objects], session.stretch, label="Stretch"),
            items.slider("contrast", session.contrast, 0.05, 1, 0.05, label="Contrast", digits=2),
            items.menu(
                "colour_map", [(c, c) for c in session.param.colour_map.objects], session.colour_map, label="Colours"
            ),
            items.button("contours", "Contours", on=self._contours, help="Lines of equal brightness"),
            *([field, items.text("rms", "rms")] if self._contours else []),
        ]

    def _actions(self) -> None:
        place = self.place
        if place is None:
            return
        centre = place.centre
        files = [items.link("fits", "Save FITS", f"./cutout/{place.cutout_id}.fits", file=True)]
        if centre is not None:
            files.append(items.link("region", "DS9 region", f"./region/{place.cutout_id}.reg", file=True))
        files.append(items.button("samp", "Send by SAMP", help="To Aladin, DS9 or TOPCAT on the server's machine"))
        if centre is None:
            self.actions.items = [*files, items.text("nowhere", "No sky position: no archives to look in.")]
            return
        radius = max(place.width, place.height) * (place.info.pixel_scale or 0) / 120
        known = [items.link(title.lower(), title, href, help=words) for title, href, words in links(*centre, radius)]
        self.actions.items = [*files, items.rule("rule"), items.text("at", "Look it up in"), *known]

    def control(self, message: dict[str, Any]) -> None:
        """Take a message of the controls."""
        session, name, value = self.session, message.get("name"), message.get("value")
        if name == "width" and isinstance(value, int):
            side = SIDES[1] if value >= WIDE else SIDES[0]
            self.figure.figure.update(frame_width=side, frame_height=side)
        elif name in ("before", "next"):
            self.go(-1 if name == "before" else 1)
        elif name == "contrast" and isinstance(value, int | float) and 0 < value <= 1:
            session.contrast = float(value)
        elif name in ("stretch", "colour_map") and value in session.param[name].objects:
            session.param.update(**{name: value})
        elif name == "contours":
            self.toggle_contours()
        elif name == "levels" and isinstance(value, str):
            self._levels = levels_of(value)
            self._draw_contours()

    def act(self, message: dict[str, Any]) -> None:
        """Take a message of the actions or of the rating."""
        name, value = message.get("name"), message.get("value")
        if name == "samp":
            self.send()
        elif name in JUDGEMENTS:
            self.rate(judgement=name)
        elif isinstance(name, str) and name.startswith("score-") and name[6:] in tuple("012345"):
            self.rate(score=int(name[6:]))
        elif name == "tag" and isinstance(value, str) and value.strip():
            self.rate(tags=value.split(","))
        elif name == "comment" and isinstance(value, str) and value.strip():
            self.rate(comment=value)
        elif name == "undo":
            self.undo()

    def go(self, step: int) -> None:
        """Look at the one before or after in the order of the gallery."""
        row = self.session.neighbour(step)
        if row >= 0:
            self.session.focus = row

    def toggle_contours(self) -> None:
        """Show or hide contours."""
        self._contours = not self._contours
        self._draw_contours()

    def _draw_contours(self) -> None:
        if self.place is not None and self._image is not None:
            self.figure.contour(self.place, self._image, self._levels if self._contours else [])
        self._controls()

    # -- ratings -----------------------------------------------------------------------------------------------------

    def _rerated(self) -> None:
        if self.place is None:
            return
        session = self.session
        history = session.survey.ledger.history(self.place.cutout_id).to_pylist()
        mine = tables.standing(history, session.user)
        self.said.object = f"<h2>Ratings</h2>{tables.history_html(history)}"
        known = sorted({w for text in session.survey.columns.codes("rating: tags")[1] for w in text.split(", ") if w})
        self.rating.items = [
            *(
                items.button(word, text, on=mine["judgement"] == word, look=look, help=f"Key {word[0]}")
                for word, (text, look) in JUDGED.items()
            ),
            items.rule("rule"),
            *(
                items.button(f"score-{n}", str(n), on=mine["score"] == n, look="square", help=f"Score {n}")
                for n in range(6)
            ),
            items.button("undo", "Undo", help="Take back my last rating, of whatever cutout"),
            items.field("tag", hint="Add a class", known=known, momentary=True, longest=64),
            items.field("comment", hint="Add a comment", momentary=True, longest=2000, width=200),
        ]

    def rate(self, **rating: Any) -> None:
        """Rate the cutout."""
        if self.place is None:
            raise RequestError("No cutout is chosen: pick one in the gallery.")
        self.session.rate([self.place.row], **rating)

    def undo(self) -> None:
        """Take back my last rating."""
        self.session.tell(
            "Took back the last rating." if self.session.undo() is not None else "There is nothing to undo."
        )

    # -- SAMP --------------------------------------------------------------------------------------------------------

    def send(self) -> None:
        """Send the cutout to other programs by SAMP."""
        if self.place is not None:
            self.session.busy = True
            self._sent.ask(partial(_send, self.session.survey, self.place))

    def _tell_sent(self, count: int) -> None:
        self.session.busy = False
        self.session.tell(f"Sent to {count} {'program' if count == 1 else 'programs'}.")

    def _not_sent(self, error: BaseException) -> None:
        self.session.busy = False
        self.session.fail(error)


def _send(survey: Any, place: Place) -> int:
    from skysift.app.detail.files import fits_bytes
    from skysift.app.samp import shared

    return shared().send(fits_bytes(survey, place.row), name=f"cutout {place.cutout_id}")


def _look(session: Session) -> str:
    """Return how pictures look, as the query of their addresses."""
    return urlencode({"stretch": session.stretch, "contrast": f"{session.contrast:g}", "cmap": session.colour_map})


def around_html(place: Place, look: str) -> str:
    """Show the surroundings at three zooms, the cutout framed, as HTML."""
    zooms = [factor for factor in ZOOMS if max(place.width, place.height) * factor <= MOST_PIXELS]
    if place.whole or not zooms:
        said = "The cutout is the whole image: there is nothing around it." if place.whole else "It is too large."
        return f"<h2>Surroundings</h2><p class='faint' data-testid='detail-context'>{said}</p>"
    parts = []
    for factor in zooms:
        left, top, width, height = (f"{100 * share:.3f}%" for share in frame(place, factor))
        address = f"./context/{place.cutout_id}.png?zoom={factor}&amp;size={AROUND}&amp;{escape(look)}"
        parts.append(
            f"<figure data-testid='detail-context-{factor}'>"
            f"<div class='view' style='aspect-ratio:{place.width}/{place.height}'>"
            f"<img alt='{factor} times as wide' src='{address}'>"
            f"<span class='frame' style='left:{left};top:{top};width:{width};height:{height}'></span></div>"
            f"<figcaption>{factor} × as wide{_extent(place, factor)}</figcaption></figure>"
        )
    return f"<h2>Surroundings</h2><div class='around' data-testid='detail-context'>{''.join(parts)}</div>"


def _extent(place: Place, factor: int) -> str:
    scale = place.info.pixel_scale
    return f", {place.width * factor * scale / 60:.3g}′" if scale else ""


def nearest(survey: Any, row: int, count: int = NEIGHBOURS) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the rows most similar to one, and their cosine similarities, (n,) each; none without features."""
    nothing = np.zeros(0, np.int64), np.zeros(0, np.float32)
    if survey.features is None:
        return nothing
    index = survey.similar
    if index is None:
        return nothing
    rows, similarity = index.query(survey.features.take([row]), count + 1)
    rows, similarity = np.asarray(rows).ravel(), np.asarray(similarity).ravel()
    kept = (rows != row) & (rows >= 0)
    return rows[kept][:count].astype(np.int64), similarity[kept][:count].astype(np.float32)
