"""The command that serves the web app."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from skysift.cli.registration import DISCOVERY, add
from skysift.cli.running import StoreOption
from skysift.errors import RequestError


def register(app: App) -> None:
    """Add the command."""
    add(app, serve_app, "app", DISCOVERY)


def serve_app(
    what: Annotated[str | None, Parameter(help="Folder of artifacts, or id or name of one in --store.")] = None,
    *,
    port: Annotated[int, Parameter(help="Port to listen on; 0 = any that is free.")] = 5006,
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    prefix: Annotated[str, Parameter(help="What stands before every path, as /skysift behind a proxy.")] = "",
    origin: Annotated[tuple[str, ...], Parameter(help="HOST[:PORT] of a proxy that browsers come through.")] = (),
    ledger: Annotated[
        str | None, Parameter(help="File or postgresql:// URL of ratings. [default: in the store]")
    ] = None,
    user: Annotated[str, Parameter(help="Name under which ratings are kept. [default: each browser asks]")] = "",
    browser: Annotated[bool, Parameter(help="Open the page in this machine's browser.")] = True,
    online: Annotated[bool, Parameter(help="Let the sky screen load survey images from the web.", negative=())] = False,
    store: StoreOption = None,
    debug: Annotated[bool, Parameter(help="Show the traceback of an error.", negative=())] = False,  # noqa: ARG001
) -> None:
    """Look at cutouts, rate them and teach a ranking, in the browser.

    Prints an address that lets one browser in, once; each use prints the next. It is served to this machine alone
    unless --host says otherwise, and loads nothing from the web unless --online does.

    Examples
    --------
    skysift app skysift-store
    skysift app 5d01 --port 5010 --user vera
    skysift app 5d01 --ledger postgresql://vera@db.example.org/ratings
    """
    try:
        import panel  # noqa: F401
    except ImportError as error:
        raise RequestError(f"The app needs {error.name}: pip install 'skysift[app]'.") from None
    from skysift.app.serve import Options, run

    run(
        what,
        Options(host=host, port=port, prefix=prefix, origins=origin, user=user, online=online),
        store=store,
        ledger=ledger,
        browser=browser,
    )
