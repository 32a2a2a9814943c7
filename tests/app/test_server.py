"""The running app: the way in, headers, websockets, a tunnel, the end."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from live import LiveApp, start_on
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect


def test_the_way_in(live_app):
    links = len(live_app.links())
    link = live_app.link()
    parts = urlsplit(link)
    assert parts.hostname == "127.0.0.1"
    first = live_app.request(f"{parts.path}?{parts.query}&screen=map", cookie=False)
    assert first.status == 303
    assert first.headers["location"] == "./?screen=map"
    assert re.fullmatch(r"skysift-\w+=[\w-]{43}; Path=/sky; HttpOnly; SameSite=Strict", first.headers["set-cookie"])
    assert "token" not in first.headers["location"]
    again = live_app.request(f"{parts.path}?{parts.query}", cookie=False)
    assert again.status == 403
    assert b"Open the link that skysift app printed" in again.body
    assert live_app.fresh_link(links) != link
    page = live_app.request("/sky/", cookie=first.headers["set-cookie"].partition(";")[0])
    assert page.status == 200
    assert page.headers["cache-control"] == "no-store"


def test_every_answer_has_the_headers(live_app):
    for path, status in (("/sky/", 200), ("/sky/assets/skysift.css", 200), ("/sky/nothing", 404), ("/", 404)):
        answer = live_app.request(path)
        assert answer.status == status
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        assert "public" not in answer.headers["cache-control"]
        assert "server" not in answer.headers
    page = live_app.request("/sky/")
    policy = page.headers["content-security-policy"]
    assert "'unsafe-inline'" not in re.search(r"script-src[^;]*", policy)[0]
    nonce = re.search(r"'nonce-([\w-]{22})'", policy)[1]
    assert page.body.count(nonce.encode()) == 1
    assert live_app.come_in().partition("=")[2].encode() not in page.body


def test_the_page_names_nothing_of_the_web(live_app):
    page = live_app.request("/sky/").body.decode()
    fetched = re.findall(r"(?:src|href)=[\"']([^\"']+)", page)
    assert fetched
    assert not [url for url in fetched if "//" in url]
    for url in fetched:
        assert live_app.request(f"/sky/{url.removeprefix('./')}").status == 200, url


def _token_of(page: bytes) -> str:
    return re.search(rb'"token":"([^"]+)"', page)[1].decode()


async def _open(app: LiveApp, headers: dict[str, str], token: str) -> str:
    request = HTTPRequest(f"ws://{app.host}/sky/ws", headers=headers, connect_timeout=30, request_timeout=30)
    connection = await websocket_connect(request, subprotocols=["bokeh", token])
    message = await connection.read_message()
    connection.close()
    return str(message)


def test_websockets_need_cookie_and_our_origin(live_app):
    token = _token_of(live_app.request("/sky/").body)
    cookie, ours = live_app.come_in(), f"http://{live_app.host}"
    for headers in (
        {"Origin": ours},
        {"Cookie": cookie, "Origin": "http://evil.example.org"},
        {"Cookie": cookie},
        {"Cookie": cookie, "Origin": "null"},
    ):
        with pytest.raises(HTTPClientError) as refused:
            asyncio.run(_open(live_app, headers, token))
        assert refused.value.code == 403
    assert "ACK" in asyncio.run(_open(live_app, {"Cookie": cookie, "Origin": ours}, token))


def test_through_a_tunnel_with_another_port(live_app):
    token = _token_of(live_app.request("/sky/", host="localhost:9999").body)
    headers = {"Cookie": live_app.come_in(), "Origin": "http://localhost:9999", "Host": "localhost:9999"}
    assert "ACK" in asyncio.run(_open(live_app, headers, token))
    with pytest.raises(HTTPClientError):
        asyncio.run(_open(live_app, headers | {"Origin": "http://localhost:8888"}, token))


def test_ctrl_c_ends_it_calmly(own_store):
    app = start_on(own_store)
    assert app.request("/").status == 200
    assert app.stop() in (0, 130)
    assert "Traceback" not in app.output()
    assert "ended" in app.output()


def test_a_port_that_is_taken(live_app, own_store):
    port = live_app.host.rpartition(":")[2]
    command = [sys.executable, "-m", "skysift", "app", str(own_store), "--port", port, "--no-browser"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert re.fullmatch(rf"skysift: error: 127\.0\.0\.1:{port} .*choose another --port.*\n", done.stderr)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "No artifact 'nowhere'"),
        (["--store", "empty"], "holds no cutouts"),
        (["--prefix", "/a/../b", "--store", "STORE"], "prefix"),
    ],
)
def test_wrong_requests_say_what_to_do(own_store, tmp_path, arguments, said):
    command = [sys.executable, "-m", "skysift", "app", *(a.replace("STORE", str(own_store)) for a in arguments)]
    done = subprocess.run([*command, "--no-browser"], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_help_does_not_import_panel():
    code = (
        "import sys; from skysift.cli.program import main; main(['app', '--help']); "
        "print(sorted({'panel', 'bokeh', 'torch', 'astropy', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.rstrip().endswith("[]")
    assert "--prefix" in done.stdout


def test_without_the_extra_it_is_named(own_store):
    code = (
        "import sys; sys.modules['panel'] = None; from skysift.cli.program import main; "
        f"sys.exit(main(['app', {str(own_store)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "pip install 'skysift[app]'" in done.stderr
