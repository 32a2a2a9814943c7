"""Running the app from a terminal."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from skysift.app.security import LOOPBACK, Keys
from skysift.app.server import Options, make_server
from skysift.app.survey import Survey
from skysift.store.store import Store, default_root

__all__ = ["Options", "open_survey", "run"]


def open_survey(what: str | None, *, store: str | None = None, ledger: str | None = None) -> Survey:
    """Open a survey by a store's folder, or by the id or name of an artifact in a store.

    Raises
    ------
    RequestError
        If there is no such store or artifact.
    """
    if what is not None and (Path(what) / "store.json").is_file():
        return Survey(Store(what), ledger=ledger)
    return Survey(Store(default_root() if store is None else store), what, ledger=ledger)


def run(what: str | None, options: Options, *, store: str | None, ledger: str | None, browser: bool) -> None:
    """Serve the app until Ctrl-C or SIGTERM."""
    survey = open_survey(what, store=store, ledger=ledger)
    survey.ledger.version  # noqa: B018 - a ledger that can't be opened is told now, not in the page
    keys = Keys(on_fresh=lambda token: _tell_link(place[0] + f"?token={token}", first=not told))
    place: list[str] = []
    told: list[str] = []
    server = make_server(survey, options, keys)
    asked: list[int] = []

    def stop(number: int, *_: Any) -> None:
        if asked:
            os._exit(128 + number)
        asked.append(number)
        server.io_loop.asyncio_loop.call_soon_threadsafe(server.io_loop.stop)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    server.start()
    place.append(f"http://{shown_host(options.host)}:{server.port}{server.prefix}/")
    _introduce(survey, options, server.port)
    token = keys.issue()
    told.append(token)
    if browser and _has_display():
        import webbrowser

        server.io_loop.add_callback(webbrowser.open, f"{place[0]}?token={token}")
    try:
        server.io_loop.start()
    finally:
        server.stop()
        server.unlisten()
    print("\nskysift: the app has ended; all ratings are kept.", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(0)  # threads that still compute would be waited for; ratings are committed as they are given


def shown_host(host: str) -> str:
    """Return how an address that is listened on is written in a URL."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        return socket.getfqdn()
    return f"[{host}]" if ":" in host else host


def _introduce(survey: Survey, options: Options, port: int) -> None:
    base = survey.base
    print(f"skysift app: {survey.title(survey.opened)}, {len(survey):,} cutouts ({base.kind} {base.id[:12]})")
    if options.host in LOOPBACK:
        place = f"{getpass.getuser()}@{socket.getfqdn()}"
        print(f"From another machine, run there first: ssh -L {port}:{options.host}:{port} {place}")
    else:
        print(
            f"warning: {options.host} can be reached from other machines, and nothing is encrypted: who listens on the "
            "network can read links, cookies and pictures. Leave --host out and use an SSH tunnel if in doubt.",
            file=sys.stderr,
        )
    print("Ctrl-C ends it.")


def _tell_link(link: str, *, first: bool) -> None:
    if first:
        print(f"\nOpen this link; it lets one browser in, once:\n  {link}\n", flush=True)
    else:
        print(f"\nA browser has come in. For the next one:\n  {link}\n", flush=True)


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
