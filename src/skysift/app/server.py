"""The web server: one page, what the page fetches, and a gate before all of it."""

from __future__ import annotations

import logging
import re
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from skysift.app.security import MOST_BODY, Gate, Keys, Policy
from skysift.app.survey import Survey
from skysift.errors import RequestError


@dataclass(frozen=True)
class Options:
    """How the app is served.

    Attributes
    ----------
    host : str
        Address that the server listens on.
    port : int
        0 = any that is free.
    prefix : str
        What stands before every path, as `/skysift`.
    origins : tuple of str
        `HOST[:PORT]` of proxies through which browsers come.
    user : str
        Name under which ratings are kept; each browser asks for one if it is empty.
    online : bool
        Whether the page may load sky maps from the web.
    frames : tuple of str
        Origins whose pages may show the app in a frame.
    """

    host: str = "127.0.0.1"
    port: int = 0
    prefix: str = ""
    origins: tuple[str, ...] = ()
    user: str = ""
    online: bool = False
    frames: tuple[str, ...] = ()


def make_server(survey: Survey, options: Options, keys: Keys, *, loop: Any = None) -> Any:
    """Return a server that listens but does not run yet.

    Parameters
    ----------
    survey : Survey
        What is shown.
    options : Options
        Where and how.
    keys : Keys
        Who may come in.
    loop : tornado.ioloop.IOLoop, optional
        Where it will run; this thread's by default.

    Raises
    ------
    RequestError
        If the port is taken.
    """
    import panel as pn
    from panel.io.resources import get_dist_path
    from panel.io.server import get_server

    from skysift.app import api
    from skysift.app.session import Session
    from skysift.app.shell import POLL_MS, Shell, load_screens
    from skysift.app.sky.aladin import AladinPage

    load_screens()
    pn.extension(notifications=False)
    pn.config.exception_handler = _on_exception
    for name in ("bokeh", "tornado.access"):  # their warnings hold addresses of requests
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("asyncio").addFilter(_worth_telling)

    def page() -> Any:
        # otherwise Panel takes the style sheets of what is built later from the web
        pn.state.curdoc.template_variables["dist_url"] = get_dist_path(cdn=False)
        session = Session(survey, user=options.user)
        if pn.state.session_args:
            session.from_url(urlencode(pn.state.session_args, doseq=True))
        shell = Shell(session)
        pn.state.curdoc.session_context.skysift_shell = shell
        pn.state.add_periodic_callback(shell.poll, POLL_MS)
        return shell.template()

    prefix = "/" + options.prefix.strip("/") if options.prefix.strip("/") else ""
    if not re.fullmatch(r"(/[\w.~-]+)*", prefix) or ".." in prefix:
        raise RequestError(f"{options.prefix!r} can't be a prefix: write it as /skysift.")
    try:
        server = get_server(
            {"/": page},
            port=options.port,
            address=options.host,
            prefix=prefix,
            loop=loop,
            title="skysift",
            websocket_origin=["*"],
            extra_patterns=[*api.patterns(survey), (r"/aladin", AladinPage, {"online": options.online})],
            include_headers=["Host", "User-Agent"],
            include_cookies=[],
            secret_key=secrets.token_bytes(32),
            sign_sessions=True,
            http_server_kwargs={"max_body_size": MOST_BODY, "max_header_size": 2**15},
        )
    except OSError as error:
        raise RequestError(
            f"{options.host}:{options.port} can't be listened on ({error.strerror}): choose another --port, "
            "or 0 for any."
        ) from None
    policy = Policy(prefix, options.host, options.origins, options.frames, options.online)
    server._http.request_callback = Gate(server._tornado, policy, keys)
    return server


def _on_exception(error: BaseException) -> None:
    import panel as pn

    context = pn.state.curdoc.session_context if pn.state.curdoc else None
    shell = getattr(context, "skysift_shell", None)
    if shell is not None:
        shell.failed(error)
    else:
        logging.getLogger(__name__).error("outside any page", exc_info=error)


def _worth_telling(record: logging.LogRecord) -> bool:
    """Leave out what was on its way to a page when that was closed."""
    from tornado.websocket import WebSocketClosedError

    return not (record.exc_info and isinstance(record.exc_info[1], WebSocketClosedError))
