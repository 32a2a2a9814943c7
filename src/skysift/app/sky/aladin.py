"""Aladin Lite in a frame of its own, apart from the app, and only after a click.

The frame's page runs the browser's half of ipyaladin. That half takes Aladin Lite from the web, which the app's own
page must never do; so the frame is sandboxed without an origin. It can reach neither the app's page nor its cookie,
and what it may load says its own policy.
"""

from __future__ import annotations

import json
import secrets
from html import escape
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tornado.web import RequestHandler

from skysift.errors import RequestError

MOST_MARKERS = 300  # cutouts that are marked
PAGE = "aladin.html"
OFFLINE = "Aladin Lite comes from the web, and this app loads nothing from there: start it as `skysift app --online`."
WEB = "https:"  # survey images come from many observatories


class Target(BaseModel):
    """What Aladin Lite shows: ICRS position and height of the view [deg]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ra: float = Field(ge=0, lt=360, allow_inf_nan=False)
    dec: float = Field(ge=-90, le=90, allow_inf_nan=False)
    fov: float = Field(gt=0, le=360, allow_inf_nan=False)


def frame(ra: float, dec: float, fov: float, marked: npt.NDArray[np.float64]) -> str:
    """Return the frame as HTML.

    Parameters
    ----------
    ra, dec : float
        Centre, ICRS [deg].
    fov : float
        Height of the view [deg].
    marked : ndarray, shape (n, 2)
        Positions of cutouts, ICRS [deg]; at most 300 of them, evenly chosen, are marked.
    """
    chosen = marked[np.unique(np.linspace(0, len(marked) - 1, MOST_MARKERS).astype(int))] if len(marked) else marked
    places = ";".join(f"{a:.5f},{d:.5f}" for a, d in chosen)
    fov = float(np.clip(fov, 1e-3, 180))
    source = f"./aladin?ra={ra % 360:.6f}&dec={dec:.6f}&fov={fov:.6g}#{places}"
    return (
        f'<iframe data-testid="aladin" title="Aladin Lite" sandbox="allow-scripts" referrerpolicy="no-referrer" '
        f'src="{escape(source, quote=True)}" '
        'style="width:100%;height:100%;border:1px solid #dfe3e8;border-radius:4px;background:#fff"></iframe>'
    )


def page(target: Target, nonce: str) -> str:
    """Return the page in the frame.

    Raises
    ------
    RequestError
        ipyaladin is not installed.
    """
    try:
        import ipyaladin
    except ImportError as error:
        raise RequestError(f"Aladin Lite needs {error.name}: pip install 'skysift[app]'.") from None
    widget = (resources.files(ipyaladin) / "static" / "widget.js").read_text(encoding="utf-8")
    text = (resources.files("skysift.app.sky") / PAGE).read_text(encoding="utf-8")
    return (
        text.replace("{nonce}", nonce)
        .replace("{state}", _json(_state(ipyaladin.Aladin, target)))
        .replace("{widget}", _json(widget))
    )


def _state(widget: Any, target: Target) -> dict[str, Any]:
    """Return what ipyaladin's own Python half would send first."""
    own = widget.class_own_traits(sync=True)
    state = {name: trait.default_value for name, trait in own.items()}
    state = {name: value for name, value in state.items() if isinstance(value, str | int | float | bool)}
    state |= {"_target": f"{target.ra:.6f} {target.dec:.6f}", "_fov": target.fov, "_height": -1}
    starts = [name for name, trait in own.items() if trait.metadata.get("init_option")]
    return {**state, "_init_options": {name: state[name] for name in starts if name in state}}


def _json(value: Any) -> str:
    """Return JSON that can't end a script element."""
    return json.dumps(value).replace("<", "\\u003c")


def policy(nonce: str) -> str:
    """Return the frame's own Content-Security-Policy."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'nonce-{nonce}' blob: 'unsafe-eval' 'wasm-unsafe-eval' {WEB}",
            f"style-src 'unsafe-inline' {WEB}",
            f"img-src data: blob: {WEB}",
            f"font-src data: {WEB}",
            f"connect-src data: blob: {WEB}",
            "worker-src blob:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'self'",
            "sandbox allow-scripts",
        )
    )


class AladinPage(RequestHandler):
    """`GET /aladin?ra=&dec=&fov=`, the page in the frame; it says so itself where there is no network."""

    def initialize(self, *, online: bool) -> None:
        """Take whether the app was started with leave to load from the web."""
        self._online = online

    def get(self) -> None:
        """Send it."""
        self.set_header("Cache-Control", "no-store")
        if not self._online:
            self._say(403, OFFLINE)
            return
        try:
            given = {k: v[-1].decode("ascii") for k, v in self.request.query_arguments.items()}
            target = Target.model_validate(given)
        except (ValidationError, UnicodeDecodeError):
            self._say(400, "That is no position on the sky.")
            return
        nonce = secrets.token_urlsafe(16)
        try:
            text = page(target, nonce)
        except RequestError as error:
            self._say(501, str(error))
            return
        self.set_header("Content-Security-Policy", policy(nonce))
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(text)

    def _say(self, status: int, text: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{text}\n")
