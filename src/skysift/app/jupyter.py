"""The app inside a notebook."""

from __future__ import annotations

import asyncio
import html
import json
import os
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skysift.app.security import TOKEN, Keys
from skysift.app.serve import open_survey
from skysift.app.server import Options, make_server

__all__ = ["Shown", "show"]

LOCAL_FRAMES = ("http://localhost:*", "http://127.0.0.1:*")


@dataclass
class Shown:
    """An app that runs beside a notebook; shows itself in a frame when a cell ends with it.

    Attributes
    ----------
    prefix : str
        Of its addresses.
    port : int
        That it listens on.
    height : int
        Of the frame [pixel].
    """

    prefix: str
    port: int
    height: int
    _links: list[str] = field(repr=False, default_factory=list)
    _loop: Any = field(repr=False, default=None)
    _thread: threading.Thread | None = field(repr=False, default=None)

    @property
    def url(self) -> str:
        """A start link for one more browser on this machine."""
        return f"http://localhost:{self.port}{self.prefix}/?{TOKEN}={self._links[-1]}"

    def stop(self) -> None:
        """End the app."""
        if self._thread is not None and self._thread.is_alive():
            self._loop.add_callback(self._loop.stop)
            self._thread.join(timeout=30)

    def _repr_html_(self) -> str:
        """Return a frame whose address has the name under which the browser sees Jupyter.

        A strict cookie is kept only where the frame's site is the page's: localhost for localhost, the hub for the hub.
        """
        frame = f"skysift-{self._links[-1][:8]}"
        path = f"{self.prefix}/?{TOKEN}={self._links[-1]}"
        local = "" if self.prefix else f":{self.port}"
        script = (
            f"(() => {{ const f = document.getElementById({json.dumps(frame)}); const h = location.hostname; "
            f"const near = h === 'localhost' || h === '127.0.0.1'; const port = {json.dumps(local)}; "
            f"f.src = (port && near ? 'http://' + h + port : port ? 'http://localhost' + port : location.origin) "
            f"+ {json.dumps(path)}; }})()"
        )
        return (
            f'<iframe id="{html.escape(frame)}" title="skysift" '
            f'style="width:100%;height:{int(self.height)}px;border:1px solid #dfe3e8;border-radius:8px"></iframe>'
            f"<script>{script}</script>"
        )


def show(
    what: str | Path | None = None,
    *,
    store: str | Path | None = None,
    ledger: str | None = None,
    user: str = "",
    height: int = 800,
    port: int = 0,
    proxy: str | None = None,
) -> Shown:
    """Serve the app in a thread of this process and show it in a frame of the notebook.

    Parameters
    ----------
    what : str or path, optional
        A store's folder, or id or name of an artifact in `store`.
    store : str or path, optional
        Folder of artifacts; `$SKYSIFT_STORE`, else `skysift-store` by default.
    ledger : str, optional
        File or URL of ratings; in the store by default.
    user : str
        Name under which ratings are kept.
    height : int
        Of the frame [pixel].
    port : int
        To listen on, on this machine alone; 0 = any that is free.
    proxy : str, optional
        Where Jupyter passes ports on, as `/user/vera/proxy/absolute/{port}` of jupyter-server-proxy; found by itself on
        a JupyterHub.

    Returns
    -------
    Shown
        The last value of a cell shows itself; `.stop()` ends the app, `.url` is a link for a tab of its own.

    Examples
    --------
    >>> from skysift.app import show
    >>> show("skysift-store")
    """
    hub = os.environ.get("JUPYTERHUB_SERVICE_PREFIX")
    pattern = proxy if proxy is not None else f"{hub}proxy/absolute/{{port}}" if hub else ""
    number = port or _free_port()
    prefix = pattern.format(port=number).rstrip("/")
    survey = open_survey(
        None if what is None else str(what), store=None if store is None else str(store), ledger=ledger
    )
    survey.ledger.version  # noqa: B018 - tells now what is wrong with it
    links: list[str] = []
    keys = Keys(links.append)
    ready = threading.Event()
    shown = Shown(prefix, number, height, links)
    failed: list[BaseException] = []

    def serve() -> None:
        from tornado.ioloop import IOLoop

        asyncio.set_event_loop(asyncio.new_event_loop())
        loop = IOLoop.current()
        try:
            server = make_server(
                survey, Options(port=number, prefix=prefix, user=user, frames=LOCAL_FRAMES), keys, loop=loop
            )
            server.start()
        except BaseException as error:  # noqa: BLE001 - raised again where show() was called
            failed.append(error)
            ready.set()
            return
        shown._loop = loop
        keys.issue()
        loop.add_callback(ready.set)
        loop.start()
        server.stop()
        server.unlisten()

    shown._thread = threading.Thread(target=serve, name="skysift-app", daemon=True)
    shown._thread.start()
    ready.wait()
    if failed:
        raise failed[0]
    return shown


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
