"""Who is let in, what every answer says, and what the gate refuses."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from skysift.app.security import PLACE_OF_NONCE, Keys, Policy, inline_hashes


def test_a_token_works_once_and_only_once():
    issued: list[str] = []
    keys = Keys(issued.append)
    first = keys.issue()
    cookie = keys.spend(first)
    assert cookie is not None
    assert keys.known(cookie)
    assert keys.spend(first) is None
    assert len(issued) == 2
    assert issued[1] != first
    other = keys.spend(issued[1])
    assert other not in (None, cookie)
    assert keys.known(cookie)
    assert not keys.known(first)
    assert not keys.known("")
    assert keys.spend("é" * 50) is None
    assert keys.spend("\udcff") is None


def test_secrets_are_not_kept():
    keys = Keys()
    token = keys.issue()
    cookie = keys.spend(token)
    kept = repr(vars(keys))
    assert token not in kept
    assert cookie not in kept


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:5006", True),
        ("localhost:9999", True),
        ("LOCALHOST", True),
        ("[::1]:5006", True),
        ("evil.example.org:5006", False),
        ("localhost.evil.example.org", False),
        ("127.0.0.1.evil.example.org", False),
        ("hub.example.org", True),
        ("", False),
    ],
)
def test_other_names_of_a_loopback_address_are_refused(host, ours):
    assert Policy(origins=("https://hub.example.org/",)).host_is_ours(host) is ours


@pytest.mark.parametrize(
    ("origin", "host", "ours"),
    [
        ("http://localhost:9999", "localhost:9999", True),
        ("http://localhost:9999", "localhost:5006", False),
        ("https://hub.example.org", "127.0.0.1:5006", True),
        ("http://evil.example.org", "127.0.0.1:5006", False),
        ("null", "127.0.0.1:5006", False),
        (None, "127.0.0.1:5006", False),
        ("", "", False),
        ("http://127.0.0.1:5006@evil.example.org", "127.0.0.1:5006", False),
        ("file://127.0.0.1:5006", "127.0.0.1:5006", False),
    ],
)
def test_the_origin_is_the_host_that_the_browser_sees(origin, host, ours):
    assert Policy(origins=("hub.example.org",)).origin_is_ours(origin, host) is ours


def test_inline_scripts_are_allowed_by_their_digests():
    page = b"<script>one()</script><script src='x.js'></script><script type=\"application/json\">{}</script>"
    assert inline_hashes(page) == (b64encode(hashlib.sha256(b"one()").digest()).decode(),)
    assert len(PLACE_OF_NONCE) == 22


def test_the_policy_names_nothing_of_the_web_unless_allowed():
    assert "https:" not in Policy().content_security("localhost:1")
    assert "unsafe-inline" not in re.search("script-src[^;]*", Policy().content_security("localhost:1"))[0]
    assert "u-strasbg.fr" in Policy(online=True).content_security("localhost:1")


def request(method: str = "GET", path: str = "/sky/", **headers: str) -> HTTPServerRequest:
    class Connection:
        class context:
            protocol = "http"
            remote_ip = "127.0.0.1"

    sent = HTTPHeaders({"Host": "127.0.0.1:5006", **{k.replace("_", "-"): v for k, v in headers.items()}})
    return HTTPServerRequest(
        connection=Connection(), start_line=RequestStartLine(method, path, "HTTP/1.1"), headers=sent
    )


class Inside:
    """Stands for the application behind the gate."""

    def __init__(self) -> None:
        self.transforms: list[object] = []

    def find_handler(self, _: HTTPServerRequest) -> tuple[str, int]:
        return ("inside", 200)

    def get_handler_delegate(self, _: HTTPServerRequest, __: type, answer: dict[str, object]) -> tuple[str, int]:
        return (str(answer.get("text")), int(str(answer["status"])))


@pytest.fixture
def gate():
    from skysift.app.security import Gate

    return Gate(Inside(), Policy("/sky"), Keys())


def cookie_of(gate) -> str:
    return f"{gate.keys.cookie_name}={gate.keys.spend(gate.keys.issue())}"


OURS = "http://127.0.0.1:5006"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/sky/", {}, 200),
        ("GET", "/sky", {}, 200),
        ("GET", "/sky/thumbnail/00.png", {}, 200),
        ("GET", "/sky/ws", {"Origin": OURS}, 200),
        ("GET", "/sky/ws", {}, 403),
        ("GET", "/sky/ws", {"Origin": "http://evil.example.org"}, 403),
        ("POST", "/sky/rating", {"Origin": OURS}, 200),
        ("POST", "/sky/rating", {}, 403),
        ("POST", "/sky/rating", {"Origin": "http://localhost:5006"}, 403),
        ("POST", "/sky/", {"Origin": OURS}, 405),
        ("HEAD", "/sky/", {}, 405),
        ("DELETE", "/sky/rating", {"Origin": OURS}, 405),
        ("OPTIONS", "/sky/rating", {"Origin": OURS}, 405),
        ("GET", "/", {}, 404),
        ("GET", "/skyx/", {}, 404),
        ("GET", "/sky/autoload.js", {}, 404),
        ("GET", "/sky/metadata", {}, 404),
        ("GET", "/sky/static/../../x", {}, 404),
        ("GET", "/sky/static/%2e%2e/x", {}, 200),  # Tornado's own handler refuses it
        ("GET", "/sky/?bokeh-session-id=x", {}, 400),
        ("GET", "/sky/", {"Host": "evil.example.org"}, 403),
    ],
)
def test_with_a_cookie(gate, method, path, headers, status):
    assert gate.find_handler(request(method, path, Cookie=cookie_of(gate), **headers))[1] == status


@pytest.mark.parametrize("path", ["/sky/", "/sky/ws", "/sky/static/js/bokeh.min.js", "/sky/rating", "/", "/x"])
def test_without_a_cookie_all_is_closed(gate, path):
    for cookie in ("", f"{gate.keys.cookie_name}=guess", "other=1", f"{gate.keys.cookie_name}="):
        assert gate.find_handler(request("GET", path, Cookie=cookie, Origin=OURS))[1] == 403


def test_only_reading_the_page_spends_a_token(gate):
    token = gate.keys.issue()
    for method, path in (("HEAD", "/sky/"), ("POST", "/sky/"), ("GET", "/sky/rating")):
        assert gate.find_handler(request(method, f"{path}?token={token}", Origin=OURS))[1] == 403
    assert gate.find_handler(request("GET", f"/sky/?token={token}"))[1] == 303
    assert gate.find_handler(request("GET", f"/sky/?token={token}"))[1] == 403
    spent_again = request("GET", f"/sky/?token={token}", Cookie=cookie_of(gate))
    assert gate.find_handler(spent_again)[1] == 303  # reloading the link where one is in already
