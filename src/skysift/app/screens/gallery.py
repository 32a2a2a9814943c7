"""The screen "Gallery": all cutouts that pass, to look at, sort, filter, mark, rate and export."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from skysift.app.gallery.cells import cells, marks_after
from skysift.app.gallery.export import WRITERS, table_bytes
from skysift.app.gallery.histograms import Cards
from skysift.app.gallery.names import grouped, short
from skysift.app.gallery.views import Views
from skysift.app.parts import items
from skysift.app.ratings import JUDGEMENTS
from skysift.app.screen import Screen
from skysift.app.session import NO_ROWS, Session
from skysift.errors import RequestError

Rows = NDArray[np.int64]
LOOK = ("stretch", "contrast", "colour_map")
ORDER = ("selection", "filters", "sort", "descending")
SIZES = (48, 320)
FORMS = (
    ("csv", "Table as CSV"),
    ("parquet", "Table as Parquet"),
    ("votable", "Table as VOTable"),
    ("fits", "FITS cutouts (zip)"),
    ("regions", "DS9 regions"),
    ("samp", "Table by SAMP"),
)
MOST_RATED = 5000
"""Cutouts that one click may rate."""


class GalleryScreen(Screen):
    """A grid of thumbnails beside filters, between a strip of controls and one of actions."""

    name: ClassVar[str] = "gallery"
    title: ClassVar[str] = "Gallery"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.cards, self.views = Cards(session), Views(session)
        self._names: list[str] = []
        self._anchor = -1
        self._naming = False
        self._stale = False
        self._rows: Rows | None = None

    # -- building ----------------------------------------------------------------------------------------------------

    def panel(self) -> Any:
        """Return filters on the left; controls, grid and actions on the right."""
        import panel as pn

        from skysift.app.parts import Controls, Filters, Grid
        from skysift.app.points.later import Latest

        self.filters = Filters(self.filter, width=248, sizing_mode="stretch_height", margin=(0, 8, 0, 0))
        self.controls = Controls(
            self.control, testid="gallery-controls", sizing_mode="stretch_width", margin=(0, 0, 10, 0)
        )
        self.grid = Grid(self.receive, sizing_mode="stretch_both", margin=0)
        self.actions = Controls(self.act, testid="gallery-actions", sizing_mode="stretch_width", margin=(10, 0, 0, 0))
        self._jobs = Latest(self._deliver, self._failed, pn.state.curdoc)
        watch = self.session.param.watch
        watch(self._later(self._reorder), list(ORDER))
        watch(self._later(self._restyle), ["size", *LOOK])
        watch(self._later(self._rerated), ["rated"])
        watch(self._later(self._remarked), ["marked"])
        self._update()
        right = pn.Column(
            self.controls, self.grid, self.actions, sizing_mode="stretch_both", margin=0, styles={"min-width": "0"}
        )
        return pn.Row(self.filters, right, sizing_mode="stretch_both", margin=0)

    def keys(self) -> dict[str, Callable[[], object]]:
        """Return keys that rate what is marked, or else what is in focus."""

        def does(function: Callable[..., object], words: str, **options: Any) -> Callable[[], object]:
            def action() -> object:
                return function(**options)

            action.__doc__ = words
            return action

        judged = {word[0]: does(self.rate, f"Judge as {word}", judgement=word) for word in JUDGEMENTS}
        scored = {str(n): does(self.rate, f"Give the score {n}", score=n) for n in range(6)}
        more = {
            "u": does(self.undo, "Take back my last rating"),
            "Enter": does(self.open_focus, "Look at it in detail"),
        }
        return {**judged, **scored, **more}

    def visited(self) -> None:
        """Catch up with what changed while another screen was shown."""
        if self._stale:
            self._update()
        place = np.flatnonzero(self.session.shown() == self.session.focus)
        self.grid.cursor = int(place[0]) if len(place) else -1

    def _later(self, function: Callable[[], None]) -> Callable[..., None]:
        """Return what calls a function while this screen is shown, and remembers otherwise that it is out of date."""

        def react(*_: Any) -> None:
            if self.session.screen == self.name:
                function()
            else:
                self._stale = True

        return react

    # -- the grid ------------------------------------------------------------------------------------------------------

    def receive(self, message: dict[str, Any]) -> None:
        """Take a message of the grid: cells wanted, a click, a key."""
        what, rows = message.get("do"), self.session.shown()
        place = _number(message.get("place"))
        shift, ctrl = message.get("shift") is True, message.get("ctrl") is True
        if what == "cells":
            first, count = _number(message.get("first")), _number(message.get("count"))
            if message.get("generation") == self.grid.generation:
                self.grid.send_cells(max(0, first), cells(self.session, rows, self.session.marked, first, count))
        elif what == "all":
            self.session.marked = np.sort(rows)
        elif what == "none":
            self.session.marked = NO_ROWS
        elif 0 <= place < len(rows):
            self._touch(str(what), rows, place, shift=shift, ctrl=ctrl)

    def _touch(self, what: str, rows: Rows, place: int, *, shift: bool, ctrl: bool) -> None:
        self.session.focus = int(rows[place])
        if what == "open":
            self.session.look_at(int(rows[place]))
        elif what == "click" or (what == "move" and shift):
            anchor = self._anchor if self._anchor >= 0 else place
            self.session.marked = marks_after(rows, self.session.marked, place, anchor, shift=shift, ctrl=ctrl)
        if not shift:
            self._anchor = place

    def _reorder(self) -> None:
        rows = self.session.shown()
        if rows is not self._rows:
            self._rows, self._anchor = rows, -1
            self.grid.param.update(total=len(rows), generation=self.grid.generation + 1, cursor=-1)
        self.filters.param.update(cards=self._filter_cards(), selected=len(self.session.selection))
        self._controls()
        self._actions()

    def _restyle(self) -> None:
        session = self.session
        look = urlencode({"stretch": session.stretch, "contrast": f"{session.contrast:g}", "cmap": session.colour_map})
        self.grid.param.update(size=session.size, look=look)
        self._controls()

    def _rerated(self) -> None:
        if self.session.shown() is not self._rows or any(name.startswith("rating: ") for name in self._names):
            self._reorder()
        self.grid.refreshed += 1
        self._actions()

    def _remarked(self) -> None:
        self.grid.refreshed += 1
        self._actions()

    def _update(self) -> None:
        self._stale = False
        self.filters.columns = [list(pair) for pair in grouped(self.session.survey.columns)]
        self._restyle()
        self._reorder()
        self.grid.refreshed += 1

    # -- filters -------------------------------------------------------------------------------------------------------

    def filter(self, message: dict[str, Any]) -> None:
        """Take a message of the filters: a range, words, a filter added or removed."""
        session, what, name = self.session, message.get("do"), message.get("name")
        if what == "clear":
            self._names = []
            session.param.update(filters={}, selection=NO_ROWS)
            self._reorder()
            return
        if what == "unselect":
            session.selection = NO_ROWS
            return
        columns = session.survey.columns
        if not isinstance(name, str) or name not in columns:
            raise RequestError("There is no such column: choose one of the menu.")
        others = {key: value for key, value in session.filters.items() if key != name}
        if what == "add" and name not in self._names:
            self._names.append(name)
            self._reorder()
        elif what == "drop":
            self._names = [other for other in self._names if other != name]
            session.filters = others
            self._reorder()
        elif what == "range" and not columns.is_text(name):
            low, high = _bound(message.get("low"), -np.inf), _bound(message.get("high"), np.inf)
            whole = np.isinf(low) and np.isinf(high)
            session.filters = others if whole else {**others, name: (min(low, high), max(low, high))}
        elif what == "words" and columns.is_text(name):
            given = message.get("words")
            words = (
                frozenset(word for word in given if isinstance(word, str)) if isinstance(given, list) else frozenset()
            )
            session.filters = {**others, name: words} if words else others

    def _filter_cards(self) -> list[dict[str, Any]]:
        self._names += [name for name in self.session.filters if name not in self._names]
        return self.cards.of(self._names)

    # -- controls ------------------------------------------------------------------------------------------------------

    def _controls(self) -> None:
        session = self.session
        columns: list[items.Option] = [(name, short(name), group) for name, group in grouped(session.survey.columns)]
        names = self.views.names()
        views: list[items.Option] = [
            ("", "Views …"),
            ("save", "Save this view …"),
            *((f"open:{n}", n, "Open") for n in names),
        ]
        views += [(f"delete:{n}", n, "Delete") for n in names]
        naming = [items.field("view-name", hint="Name, then Enter", momentary=True, longest=60)] if self._naming else []
        arrow = "↓" if session.descending else "↑"
        self.controls.items = [
            items.menu("sort", [("", "order of the catalogue"), *columns], session.sort, label="Sort by"),
            items.button(
                "descending",
                arrow,
                look="square",
                help="Largest first" if session.descending else "Smallest first",
                disabled=not session.sort,
            ),
            items.slider("size", session.size, *SIZES, 8, label="Size", help="Side of a thumbnail [pixel]"),
            items.menu("stretch", [(s, s) for s in session.param.stretch.objects], session.stretch, label="Stretch"),
            items.slider("contrast", session.contrast, 0.05, 1, 0.05, label="Contrast", digits=2),
            items.menu(
                "colour_map", [(c, c) for c in session.param.colour_map.objects], session.colour_map, label="Colours"
            ),
            items.menu("views", views, momentary=True, help="Saved filters, order and look"),
            *naming,
        ]

    def control(self, message: dict[str, Any]) -> None:
        """Take a message of the controls."""
        session, name, value = self.session, message.get("name"), message.get("value")
        if name == "sort" and isinstance(value, str) and (not value or value in session.survey.columns):
            session.sort = value
        elif name == "descending":
            session.descending = not session.descending
        elif name == "size":
            session.size = int(np.clip(_number(value), *SIZES))
        elif name == "contrast":
            session.contrast = float(np.clip(_bound(value, 0.25), 0.05, 1))
        elif name in ("stretch", "colour_map") and value in session.param[name].objects:
            session.param.update(**{name: value})
        elif name == "views" and isinstance(value, str):
            self._view(*value.partition(":")[::2])
        elif name == "view-name" and isinstance(value, str):
            self.views.save(value)
            self._naming = False
            session.tell(f"Saved the view “{' '.join(value.split())}”.")
            self._controls()

    def _view(self, what: str, name: str) -> None:
        if what == "open":
            self._names = []
            self.views.open(name)
        elif what == "delete":
            self.views.delete(name)
        self._naming = what == "save"
        self._controls()

    # -- actions -------------------------------------------------------------------------------------------------------

    def _actions(self) -> None:
        session = self.session
        marked, shown = len(session.marked), len(session.shown())
        what = f"{marked:,} marked" if marked else f"all {shown:,}"
        tags = sorted(
            {word for text in session.survey.columns.codes("rating: tags")[1] for word in text.split(", ") if word}
        )
        forms = [("", f"Export {what} …"), *FORMS]
        score = [("", "Score …"), *((str(n), str(n)) for n in range(6))]
        chosen = [
            items.text("count", f"{marked:,} marked"),
            items.button("unmark", "✕", look="square", help="Unmark all"),
            items.button("only", "Only these", help="Show only these here, on the map and on the sky"),
            items.rule("rule"),
            items.button("interesting", "Interesting"),
            items.button("artefact", "Artefact"),
            items.button("boring", "Boring"),
            items.menu("score", score, momentary=True),
            items.field("tag", hint="Add a class", known=tags, momentary=True, longest=64),
        ]
        hint = [items.text("hint", "Click to mark, with Ctrl or Shift several; double-click to open")]
        self.actions.items = [
            *(chosen if marked else hint),
            items.button("undo", "Undo", help="Take back my last rating"),
            items.space(),
            items.menu("export", forms, momentary=True, disabled=not shown),
        ]

    def act(self, message: dict[str, Any]) -> None:
        """Take a message of the actions."""
        name, value = message.get("name"), message.get("value")
        if name in JUDGEMENTS:
            self.rate(judgement=name)
        elif name == "score" and value in tuple("012345"):
            self.rate(score=int(value))
        elif name == "tag" and isinstance(value, str) and value.strip():
            self.rate(tags=value.split(","))
        elif name == "undo":
            self.undo()
        elif name == "only":
            self.session.select(self.session.marked)
        elif name == "unmark":
            self.session.marked = NO_ROWS
        elif name == "export" and isinstance(value, str) and value:
            self.export(value)

    def rate(self, **rating: Any) -> None:
        """Rate what is marked, or else what is in focus."""
        session = self.session
        rows = session.marked.tolist() or ([session.focus] if session.focus >= 0 else [])
        if not rows:
            raise RequestError("Nothing is marked: click on a cutout first.")
        if len(rows) > MOST_RATED:
            raise RequestError(f"{len(rows):,} cutouts are more than one click may rate, {MOST_RATED:,}: mark fewer.")
        count = session.rate(rows, **rating)
        said = rating.get("judgement") or (
            f"score {rating['score']}" if "score" in rating else ", ".join(rating["tags"])
        )
        session.tell(f"Rated {count:,} {'cutout' if count == 1 else 'cutouts'}: {said}.")

    def undo(self) -> None:
        """Take back my last rating."""
        self.session.tell(
            "Took back the last rating." if self.session.undo() is not None else "There is nothing to undo."
        )

    def open_focus(self) -> None:
        """Look at it in detail."""
        if self.session.focus >= 0:
            self.session.look_at(self.session.focus)

    def export(self, form: str) -> None:
        """Make a file of what is marked, or else of all that is shown, and let the browser save it."""
        session = self.session
        rows = session.marked if len(session.marked) else session.shown()
        session.busy = True
        self._jobs.ask(partial(self._make, form, rows))

    def _make(self, form: str, rows: Rows) -> tuple[str, bytes, str] | str:
        """Return name, content and type of a file; or what to tell."""
        from skysift.app.detail.files import fits_zip, regions

        survey = self.session.survey
        stem = f"skysift-{survey.base.id[:8]}-{len(rows)}"
        if form == "fits":
            return f"{stem}.zip", fits_zip(survey, rows.tolist()), "application/zip"
        if form == "regions":
            return f"{stem}.reg", regions(survey, rows.tolist()).encode(), "text/plain"
        if form == "samp":
            from skysift.app.samp import shared

            count = shared().send(table_bytes(survey, rows, "votable"), name=stem, suffix=".vot")
            return f"Sent {len(rows):,} rows to {count} {'program' if count == 1 else 'programs'}."
        data = table_bytes(survey, rows, form)
        ending, kind, _ = WRITERS[form]
        return f"{stem}{ending}", data, kind

    def _failed(self, error: BaseException) -> None:
        self.session.busy = False
        self.session.fail(error)

    def _deliver(self, made: tuple[str, bytes, str] | str) -> None:
        self.session.busy = False
        if isinstance(made, str):
            self.session.tell(made)
        else:
            self.actions.save(*made)


def _number(value: Any) -> int:
    """Return a whole number of the browser; -1 for anything else."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53 else -1


def _bound(value: Any, otherwise: float) -> float:
    """Return a number of the browser, or what an open end stands for."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    return float(value) if good else otherwise
