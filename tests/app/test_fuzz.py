"""Nonsense is answered by a 4xx and nothing else, and the app lives on."""

from __future__ import annotations

import contextlib
import http.client
import json
import string
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live import Answer, LiveApp

FEW = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NASTY = [
    "..",
    "../..",
    "%2e%2e",
    "..%2f",
    "%00",
    "\x00",
    "'",
    '"',
    "<script>alert(1)</script>",
    "{{7*7}}",
    "${7*7}",
    "%s%n",
    "/etc/passwd",
    "\\..\\",
    "con",
    "a" * 3000,
    "0" * 16,
    "é",
    "\u202e",
    "-1",
    "1e999",
    "NaN",
]
words = st.one_of(st.sampled_from(NASTY), st.text(max_size=40), st.text(string.hexdigits, min_size=16, max_size=16))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), words),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(words, inner, max_size=4)),
    max_leaves=12,
)


def asked(app: LiveApp, path: str, method: str = "GET", **kwargs: Any) -> Answer | None:
    """Send a request; None where the server hung up on it."""
    with contextlib.suppress(http.client.HTTPException, ConnectionError):
        return app.request(path, method, **kwargs)
    return None


def refused(app: LiveApp, answer: Answer | None) -> None:
    assert answer is None or 400 <= answer.status < 500, (answer.status, answer.body[:200])
    if answer is not None:
        assert b"Traceback" not in answer.body
        assert b"/site-packages/" not in answer.body
        assert len(answer.body) < 2000


def coded(word: str) -> str:
    """Make a word fit for a request line: as it is where that is allowed, else percent-encoded."""
    plain = word.isascii() and word.isprintable() and " " not in word and "#" not in word
    return word if plain else quote(word.encode("utf-8", "replace"), safe="")


@pytest.fixture(autouse=True)
def _still_well(live_app: LiveApp):
    before = len(live_app.output())
    yield
    assert live_app.process.poll() is None
    assert live_app.request("/sky/assets/skysift.css").status == 200
    assert "Traceback" not in live_app.output()[before:]


@FEW
@given(st.sampled_from(["thumbnail", "cutout", "region", "export", "rating", "upload", "x"]), words)
def test_paths(live_app, kind, word):
    endings = {"thumbnail": ".png", "cutout": ".fits", "region": ".reg", "export": ""}
    refused(live_app, asked(live_app, f"/sky/{kind}/{coded(word)}{endings.get(kind, '')}"))


@FEW
@given(st.sampled_from(["size", "stretch", "contrast", "cmap", "page", "../size"]), words)
def test_looks(live_app, name, word):
    path = f"/sky/thumbnail/{'f' * 16}.png?{name}={coded(word)}"
    refused(live_app, asked(live_app, path))


@FEW
@given(words, st.sampled_from(["/sky/", "/sky/rating", "/sky/ws", "/sky/static/js/bokeh.min.js"]))
def test_tokens_and_cookies(live_app, word, path):
    refused(live_app, asked(live_app, f"{path}?token={coded(word)}", cookie=False))
    name = live_app.come_in().partition("=")[0]
    refused(live_app, asked(live_app, path, cookie=f"{name}={coded(word)}"))


@FEW
@given(values)
def test_bodies(live_app, value):
    body = json.dumps(value).encode()
    for path in ("/sky/rating", "/sky/export/cutouts.csv"):
        refused(live_app, asked(live_app, path, "POST", body=body, headers={"Content-Type": "application/json"}))


@FEW
@given(st.binary(max_size=200))
def test_bytes(live_app, body):
    refused(live_app, asked(live_app, "/sky/rating", "POST", body=body, headers={"Content-Type": "application/json"}))


@FEW
@given(st.fixed_dictionaries({"user": words, "comment": words, "score": values, "tags": values}))
def test_ratings_of_nothing(live_app, rating):
    body = json.dumps({"cutout_ids": ["f" * 16], **rating}).encode()
    refused(live_app, asked(live_app, "/sky/rating", "POST", body=body, headers={"Content-Type": "application/json"}))


@FEW
@given(st.sampled_from(["Host", "Origin", "Cookie", "Content-Type", "Content-Length", "Transfer-Encoding"]), words)
def test_headers(live_app, name, word):
    value = word.encode("latin-1", "replace").decode("latin-1").replace("\r", "").replace("\n", "")
    with contextlib.suppress(ValueError):  # http.client's own refusals
        answer = asked(live_app, "/sky/rating", "POST", body=b"{}", headers={name: value})
        refused(live_app, answer)


def test_bodies_that_are_too_large(live_app):
    refused(live_app, asked(live_app, "/sky/rating", "POST", headers={"Content-Length": str(2**40)}))
    large = b'{"comment": "' + b"x" * 2**21 + b'"}'
    refused(live_app, asked(live_app, "/sky/rating", "POST", body=large, headers={"Content-Type": "application/json"}))
    refused(live_app, asked(live_app, "/sky/" + "a" * 40_000))
    refused(live_app, asked(live_app, "/sky/rating", headers={"X-Much": "x" * 40_000}))


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "NONSENSE", "HEAD"])
def test_methods(live_app, method):
    refused(live_app, asked(live_app, "/sky/rating", method))


@FEW
@given(st.sampled_from(["filters", "selection", "sort", "screen", "focus", "size", "x"]), words)
def test_spoilt_views_show_the_usual_one(live_app, name, word):
    """A page's address is no command: what there is not is left out, what can't be read is refused."""
    answer = asked(live_app, f"/sky/export/cutouts.csv?{name}={coded(word)}")
    assert answer is None or answer.status in (200, 400, 422)
