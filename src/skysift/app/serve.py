"""Running the app from a terminal."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

from skysift.app.server import Options, make_server
from skysift.app.survey import Survey
from skysift.store.store import Store, default_root

__all__ = ["Options", "run"]


def open_survey(what: str | None, *, store: str | None = None, ledger: str | None = None) -> Survey:
    """Open a survey by a store's folder, or by the id or name of an artifact in a store."""
    if what is not None and (Path(what) / "store.json").is_file():
        return Survey(Store(what), ledger=ledger)
    return Survey(Store(default_root() if store is None else store), what, ledger=ledger)


def run(what: str | None, options: Options, *, store: str | None, ledger: str | None, browser: bool) -> None:
    """Serve the app until Ctrl-C."""
    survey = open_survey(what, store=store, ledger=ledger)
    server = make_server(survey, options)

    def stop(*_: Any) -> None:
        server.io_loop.add_callback_from_signal(server.io_loop.stop)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    server.start()
    print(f"http://{options.host}:{server.port}{options.prefix}/", file=sys.stderr)
    try:
        server.io_loop.start()
    finally:
        server.stop()
    print("skysift: the app has ended.", file=sys.stderr)
