"""The app in a thread beside a notebook."""

from __future__ import annotations

import http.client
import re
from urllib.parse import urlsplit

from skysift.app import show


def get(url: str, **headers: str) -> tuple[int, dict[str, str]]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}


def test_a_notebook_shows_a_frame(own_store, monkeypatch):
    monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
    shown = show(own_store, user="vera", height=640)
    try:
        page = shown._repr_html_()
        assert "height:640px" in page
        assert re.search(rf"port = \":{shown.port}\"", page)
        status, headers = get(shown.url)
        assert status == 303
        assert "frame-ancestors 'self' http://localhost:*" in headers["content-security-policy"]
        cookie = headers["set-cookie"].partition(";")[0]
        assert get(f"http://localhost:{shown.port}/", Cookie=cookie)[0] == 200
    finally:
        shown.stop()
    assert not shown._thread.is_alive()


def test_on_a_hub_the_prefix_is_the_proxy_s(own_store, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/vera/")
    shown = show(own_store)
    try:
        assert shown.prefix == f"/user/vera/proxy/absolute/{shown.port}"
        assert "location.origin" in shown._repr_html_()
        assert get(shown.url)[1]["set-cookie"].count(f"Path={shown.prefix};") == 1
    finally:
        shown.stop()
