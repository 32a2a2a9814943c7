"""The page around the screens: navigation, keys, status line, short messages; screens are built when first visited."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any, ClassVar

import panel as pn
import param
from panel.custom import JSComponent

from skysift.app import address, screens
from skysift.app.screen import Screen
from skysift.app.session import Session
from skysift.errors import SkysiftError

ASSETS = Path(__file__).parent / "assets"
POLL_MS = 1500
"""How often the ledger is asked whether others have rated [ms]."""
SCREENS = ("GalleryScreen", "DetailScreen", "MapScreen", "SkyScreen", "CurationScreen", "QueueScreen", "RunsScreen")


def load_screens() -> list[type[Screen]]:
    """Import all screens; called before the first browser comes, as imports take seconds."""
    return [getattr(screens, name) for name in SCREENS]


class Frame(JSComponent):
    """Navigation, status line, messages, help and name of the user, drawn by `assets/shell.js`."""

    survey_title = param.String(default="")
    screens = param.List(default=[])
    screen = param.String(default="gallery")
    user = param.String(default="")
    status = param.List(default=[])
    last_error = param.String(default="")
    busy = param.Boolean(default=False)
    keys = param.List(default=[])
    key_help = param.List(default=[])
    address = param.String(default="")

    _esm: ClassVar[Any] = ASSETS / "shell.js"
    _stylesheets: ClassVar[list[str]] = [(ASSETS / "shell.css").read_text()]

    def __init__(self, shell: Shell, **params: Any) -> None:
        self._shell = shell
        super().__init__(**params)

    def _handle_msg(self, data: Any) -> None:
        self._shell.receive(data)

    def toast(self, kind: str, text: str) -> None:
        """Show a short message."""
        self._send_msg({"toast": [kind, text]})


class Shell:
    """The page of one browser.

    Parameters
    ----------
    session : Session
        Its state.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.screens: dict[str, Screen] = {cls.name: cls(session) for cls in load_screens()}
        if session.screen not in self.screens:
            session.screen = next(iter(self.screens))
        self._built: dict[str, Any] = {}
        self._broken: set[str] = set()
        self._keys: dict[str, Any] = {}
        self._main = pn.Column(sizing_mode="stretch_both", margin=0)
        listed = [{"name": screen.name, "title": screen.title} for screen in self.screens.values()]
        survey = session.survey
        self.frame = Frame(
            self, survey_title=survey.title(survey.opened), screens=listed, screen=session.screen, user=session.user
        )
        self.frame.param.watch(self._navigate, "screen")
        session.param.watch(self._show, "screen")
        session.param.watch(self._tell, "message")
        session.param.watch(lambda event: self.frame.param.update(busy=event.new), "busy")
        session.param.watch(lambda event: self.frame.param.update(user=event.new), "user")
        session.param.watch(self._status, ["selection", "filters", "rated", "marked"])
        session.param.watch(self._write_address, [*address.SHORT, "filters", "selection", "focus"])
        self._show()
        self._status()

    def template(self) -> Any:
        """Return the page for the server."""
        page = pn.Template((ASSETS / "page.html").read_text())
        page.add_panel("frame", self.frame)
        page.add_panel("main", self._main)
        page.add_variable("sk_root", "./")
        return page

    def receive(self, data: Any) -> None:
        """Take a message of the browser: a key, the user's name, or the address that it went back to."""
        if not isinstance(data, dict):
            return
        if isinstance(name := data.get("user"), str) and 0 < len(name.strip()) <= 64:
            self.session.user = " ".join(name.split())
        if isinstance(query := data.get("address"), str) and query != self.session.to_url():
            self.guard(lambda: self.session.from_url(query))
        if isinstance(key := data.get("key"), str) and key in self._keys:
            self.guard(self._keys[key])

    def guard(self, action: Any) -> None:
        """Call a function; show what went wrong in place of breaking the page."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - the page must live on, whatever a screen does
            self.failed(error)

    def failed(self, error: BaseException) -> None:
        """Show an error as a short message; one that nobody foresaw is also printed where the server runs."""
        if not isinstance(error, SkysiftError):
            traceback.print_exception(error, file=sys.stderr)
        self.session.fail(error)

    def poll(self) -> None:
        """Notice what other browsers rated."""
        try:
            self.session.poll()
        except SkysiftError as error:
            self.frame.last_error = str(error)
        else:
            self.frame.last_error = ""

    def _write_address(self, *_: Any) -> None:
        self.frame.address = self.session.to_url()

    def _navigate(self, event: Any) -> None:
        if event.new in self.screens:
            self.session.screen = event.new

    def _show(self, *_: Any) -> None:
        name = self.session.screen
        if name not in self.screens:
            return
        screen = self.screens[name]
        first = name not in self._built
        if first:
            self.guard(lambda: self._build(screen))
        for other, view in self._built.items():
            view.visible = other == name
        document = pn.state.curdoc
        if name not in self._broken and first and document is not None and document.session_context is not None:
            # changes of a figure must not overtake the message that brings the figure to the browser
            document.add_next_tick_callback(lambda: self.guard(screen.visited))
        elif name not in self._broken:
            self.guard(screen.visited)
        keys = {} if name in self._broken else screen.keys()
        self._keys = keys
        helps = [[key, _first_line(function)] for key, function in keys.items()]
        self.frame.param.update(screen=name, keys=list(keys), key_help=helps)

    def _build(self, screen: Screen) -> None:
        try:
            view = screen.panel()
        except Exception as error:  # noqa: BLE001
            self.failed(error)
            said = str(error) if isinstance(error, SkysiftError) else "This screen could not be built."
            self._broken.add(screen.name)
            view = pn.pane.Str(said, styles={"padding": "24px"})
        box = pn.Column(view, sizing_mode="stretch_both", margin=0, name=screen.name)
        self._built[screen.name] = box
        self._main.append(box)

    def _tell(self, event: Any) -> None:
        if event.new is not None:
            kind, text = event.new
            self.frame.toast("error" if kind == "error" else "info", str(text)[:600])

    def _status(self, *_: Any) -> None:
        session = self.session
        shown, total = len(session.shown()), len(session.survey)
        texts = [f"{shown:,} of {total:,} cutouts"]
        if len(session.selection):
            texts.append(f"{len(session.selection):,} selected")
        if session.filters:
            texts.append(f"{len(session.filters)} filter{'s' if len(session.filters) > 1 else ''}")
        if len(session.marked):
            texts.append(f"{len(session.marked):,} marked")
        ratings = session.survey.columns["rating: users"]
        texts.append(f"{int((ratings > 0).sum()):,} rated")
        self.frame.status = texts


def _first_line(function: Any) -> str:
    lines = (getattr(function, "__doc__", None) or "").strip().splitlines()
    return str(lines[0]) if lines else ""
