"""Who may talk to the app: a start link that works once, a cookie afterwards, and headers on every answer.

The threat is any web page that the user has open, any other user of the machine or the network, and any client that
sends nonsense. Every request passes one gate, before any handler of Bokeh, Panel or ours.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.routing import Router
from tornado.web import Application, OutputTransform, RequestHandler

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
TOKEN = "token"  # noqa: S105 - the parameter's name
MOST_BODY = 2**20
"""Largest body of a request [byte]; uploads have a limit of their own."""
ROUTES = re.compile(
    r"/(ws|favicon\.ico|assets/[\w.-]+|static/.*|components/(skysift|panel)\.[\w./-]+"
    r"|(thumbnail|context|cutout|region|export)/[^/]+|rating|upload|aladin)?"
)
"""Paths behind the prefix that there are; everything else of Bokeh's and Panel's is closed."""
PLACE_OF_NONCE = b"nonce-of-this-page-22."
"""Stands in the page's template for a nonce of the same length, which the loader of modules passes on."""
_INLINE = re.compile(rb"<script(?![^>]*\bsrc=)([^>]*)>(.*?)</script>", re.DOTALL)
_DATA = re.compile(rb"type=[\"']?application/json")
SKY_HOSTS = "https://*.u-strasbg.fr https://*.unistra.fr https://cdn.jsdelivr.net https://esm.sh"
"""Where Aladin Lite and survey images come from, if the user allows it."""


class Keys:
    """Start tokens, each good for one browser, and the cookies that they were exchanged for.

    Only digests are kept, and compared in constant time.

    Parameters
    ----------
    on_fresh : callable, optional
        Told every new start token, the first one too.

    Examples
    --------
    >>> keys = Keys(print)
    >>> cookie = keys.spend(keys.issue())
    >>> keys.known(cookie)
    True
    """

    def __init__(self, on_fresh: Callable[[str], None] | None = None) -> None:
        self._on_fresh = on_fresh
        self._tokens: list[bytes] = []
        self._cookies: list[bytes] = []
        self._lock = threading.Lock()
        self.cookie_name = f"skysift-{secrets.token_hex(4)}"
        """Apps on other ports of the same host have other names."""

    def issue(self) -> str:
        """Return a new start token."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._tokens.append(_digest(token))
        if self._on_fresh is not None:
            self._on_fresh(token)
        return token

    def spend(self, token: str) -> str | None:
        """Exchange a start token for a cookie; None if it is none, or was spent. A fresh token is issued instead."""
        with self._lock:
            digest = _digest(token)
            left = [known for known in self._tokens if not secrets.compare_digest(known, digest)]
            if len(left) == len(self._tokens):
                return None
            self._tokens = left
            cookie = secrets.token_urlsafe(32)
            self._cookies.append(_digest(cookie))
        if self._on_fresh is not None:
            self.issue()
        return cookie

    def known(self, cookie: str) -> bool:
        """Tell whether this is a browser's cookie."""
        digest = _digest(cookie)
        with self._lock:
            return any([secrets.compare_digest(known, digest) for known in self._cookies])


@dataclass(frozen=True)
class Policy:
    """What the gate lets through.

    Attributes
    ----------
    prefix : str
        Of every path, "" or `/NAME`.
    host : str
        Address that the server listens on.
    origins : tuple of str
        `HOST[:PORT]` of proxies in front.
    frames : tuple of str
        Origins whose pages may frame the app.
    online : bool
        Whether the page may fetch sky maps from the web.
    """

    prefix: str = ""
    host: str = "127.0.0.1"
    origins: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    online: bool = False
    cookie_path: str = field(init=False, default="/")

    def __post_init__(self) -> None:
        object.__setattr__(self, "cookie_path", self.prefix or "/")
        object.__setattr__(self, "origins", tuple(_place(origin) for origin in self.origins))

    def host_is_ours(self, host: str) -> bool:
        """Tell whether a Host header names this server: another name on a loopback address is DNS rebinding."""
        if self.host not in LOOPBACK:
            return bool(host)
        name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
        return name.lower() in LOOPBACK or host.lower() in self.origins

    def origin_is_ours(self, origin: str | None, host: str) -> bool:
        """Tell whether a request comes from our own page.

        Behind a tunnel the page's port is not ours, so the origin is held against the Host that the same browser
        sent; a proxy that changes Host has to be named.
        """
        parts = urlsplit(origin or "")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            return False
        return parts.netloc.lower() == host.lower() or parts.netloc.lower() in self.origins

    def content_security(self, host: str, hashes: tuple[str, ...] = (), nonce: str = "") -> str:
        """Return the Content-Security-Policy.

        Bokeh compiles callbacks that are sent as text (unsafe-eval), Panel loads its components as blobs, and both
        write style elements; inline scripts are only those whose digests are given, or that carry the nonce.
        """
        web = f" {SKY_HOSTS}" if self.online else ""
        scripts = " ".join([f"'sha256-{digest}'" for digest in hashes] + ([f"'nonce-{nonce}'"] if nonce else []))
        return "; ".join(
            (
                "default-src 'none'",
                f"script-src 'self' 'unsafe-eval' blob: {scripts}".strip() + web,
                "style-src 'self' 'unsafe-inline'" + web,
                "img-src 'self' data: blob:" + web,
                "font-src 'self' data:",
                f"connect-src 'self' ws://{host} wss://{host} blob:" + web,
                "worker-src 'self' blob:",
                "frame-src 'self'",
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors " + " ".join(("'self'", *self.frames)),
            )
        )


class Gate(Router):
    """Stands before an application: decides on every request, websockets too, before any handler sees it."""

    def __init__(self, application: Application, policy: Policy, keys: Keys) -> None:
        self.application, self.policy, self.keys = application, policy, keys
        application.transforms.append(partial(Headers, policy))

    def find_handler(self, request: HTTPServerRequest, **_: Any) -> Any:
        """Return what answers a request."""
        refusal = self._refusal(request)
        if refusal is None:
            return self.application.find_handler(request)
        return self.application.get_handler_delegate(request, Answer, refusal)

    def _refusal(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        policy, path = self.policy, request.path
        hosts = request.headers.get_list("Host")
        if len(hosts) != 1 or not re.fullmatch(r"[\w.:\[\]-]{1,255}", hosts[0]) or not policy.host_is_ours(hosts[0]):
            return {"status": 403, "text": "This address is not one of the app's. Open the link that it printed."}
        home = path in (policy.prefix, f"{policy.prefix}/")
        cookie = request.cookies.get(self.keys.cookie_name)
        known = cookie is not None and self.keys.known(cookie.value)
        if home and request.method == "GET" and TOKEN in request.query_arguments:
            return self._exchange(request, known=known)
        if not known:
            again = request.headers.get("Sec-Fetch-Site") == "cross-site" and home
            return {"status": 403, "text": CLOSED, "again": again}
        if request.method not in ("GET", "HEAD", "POST"):
            return {"status": 405, "text": "The app knows no such method."}
        inside = path[len(policy.prefix) :] if path.startswith(f"{policy.prefix}/") else None
        if not home and (inside is None or not ROUTES.fullmatch(inside) or ".." in path or "\\" in path):
            return {"status": 404, "text": "There is no such page."}
        if any(name.startswith("bokeh-") for name in request.query_arguments):
            return {"status": 400, "text": "Sessions are given by the app, not asked for."}
        changes = request.method == "POST" or inside == "/ws"
        if changes and not policy.origin_is_ours(request.headers.get("Origin"), hosts[0]):
            return {"status": 403, "text": "This request comes from another page than the app's."}
        if home and request.method != "GET":
            return {"status": 405, "text": "The page is only for reading."}
        return None

    def _exchange(self, request: HTTPServerRequest, *, known: bool) -> dict[str, Any]:
        tokens = request.query_arguments[TOKEN]
        cookie = self.keys.spend(tokens[-1].decode("utf-8", "replace")[:200])
        if cookie is None and not known:
            return {"status": 403, "text": CLOSED}
        rest = [
            (k, v.decode("utf-8", "replace")) for k, vs in request.query_arguments.items() if k != TOKEN for v in vs
        ]
        home = "./" if request.path.endswith("/") else f"{self.policy.prefix}/"  # proxies may have cut the path
        target = home + (f"?{urlencode(rest)}" if rest else "")
        flags = f"Path={self.policy.cookie_path}; HttpOnly; SameSite=Strict"
        flags += "; Secure" if request.protocol == "https" else ""
        header = None if cookie is None else f"{self.keys.cookie_name}={cookie}; {flags}"
        return {"status": 303, "text": "", "location": target, "cookie": header}


CLOSED = "Open the link that skysift app printed where it runs. Each link lets one browser in, once."


class Answer(RequestHandler):
    """An answer of the gate itself: a calm page, or the way in."""

    def initialize(
        self, status: int, text: str, location: str | None = None, cookie: str | None = None, again: bool = False
    ) -> None:
        """Take what to say; `again` reloads once, as a browser that followed a link keeps a strict cookie back."""
        self._say = (status, text, location, cookie, again)

    def prepare(self) -> None:
        """Answer, whatever the method."""
        status, text, location, cookie, again = self._say
        self.set_status(status)
        if cookie is not None:
            self.add_header("Set-Cookie", cookie)
        if location is not None:
            self.set_header("Location", location)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(PAGE.format(text=text, again='<meta http-equiv="refresh" content="0">' if again else ""))

    def check_xsrf_cookie(self) -> None:
        """Ask for none."""


class Headers(OutputTransform):
    """Adds the headers that every answer has."""

    def __init__(self, policy: Policy, request: HTTPServerRequest) -> None:
        self._policy, self._host = policy, request.headers.get("Host", "")

    def transform_first_chunk(
        self,
        status_code: int,
        headers: HTTPHeaders,
        chunk: bytes,
        finishing: bool,  # noqa: ARG002
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Set them; inline scripts of the page, which hold no text of users, are allowed by their digests."""
        html = headers.get("Content-Type", "").startswith("text/html")
        hashes, nonce = (inline_hashes(chunk), "") if html and status_code == 200 else ((), "")
        if hashes and PLACE_OF_NONCE in chunk:
            nonce = secrets.token_urlsafe(16)
            chunk = chunk.replace(PLACE_OF_NONCE, nonce.encode(), 1)
        host = self._host if re.fullmatch(r"[\w.:\[\]-]{1,255}", self._host) else "localhost"
        if "Content-Security-Policy" not in headers:  # the sandboxed frame of Aladin Lite has a policy of its own
            headers["Content-Security-Policy"] = self._policy.content_security(host, hashes, nonce)
        headers["Referrer-Policy"] = "no-referrer"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if "Server" in headers:
            del headers["Server"]
        caching = headers.get("Cache-Control", "no-cache")
        if "no-store" not in caching:
            kept = [part.strip() for part in caching.split(",") if part.strip() not in ("public", "private")]
            headers["Cache-Control"] = ", ".join(["private", *kept])
        return status_code, headers, chunk


def inline_hashes(page: bytes) -> tuple[str, ...]:
    """Return the SHA-256 of each inline script of a page, in base64, as a Content-Security-Policy names them."""
    scripts = [
        body for attributes, body in _INLINE.findall(page) if not _DATA.search(attributes) or b"esms" in attributes
    ]
    return tuple(base64.b64encode(hashlib.sha256(body).digest()).decode() for body in scripts)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _place(origin: str) -> str:
    """Return HOST[:PORT] of an origin, however it was given."""
    return (urlsplit(origin).netloc or origin).strip("/").lower()


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">{again}<title>skysift</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; background: #f5f7f9; color: #1f2933;
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }}
div {{ max-width: 30rem; padding: 2rem; text-align: center; }}
h1 {{ font-size: 1.1rem; margin: 0 0 .5rem; }}
p {{ margin: 0; color: #52606d; }}
</style></head><body><div><h1>skysift</h1><p>{text}</p></div></body></html>
"""
