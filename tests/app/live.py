"""The app as a process of its own, and a client for it."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LINK = re.compile(r"http://\S+\?token=\S+")


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class LiveApp:
    """A running `skysift app`."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    cookie: str = ""

    @classmethod
    def start(cls, *arguments: str, timeout: float = 120) -> LiveApp:
        """Run `skysift app ARGUMENTS` on any free port; return when it listens."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "skysift", "app", *arguments, "--no-browser"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        app = cls(process)
        threading.Thread(target=app._read, daemon=True).start()
        end = time.monotonic() + timeout
        while not app.links():
            if process.poll() is not None or time.monotonic() > end:
                process.kill()
                raise RuntimeError("skysift app did not start:\n" + "".join(app.lines))
            time.sleep(0.05)
        return app

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def links(self) -> list[str]:
        """Return the start links that were printed so far; the last one is fresh."""
        return LINK.findall("".join(self.lines))

    def link(self) -> str:
        """Return a start link that no test has used."""
        return self.links()[-1]

    def fresh_link(self, spent: int, timeout: float = 10) -> str:
        """Wait until more than `spent` links were printed; return the last."""
        end = time.monotonic() + timeout
        while len(self.links()) <= spent and time.monotonic() < end:
            time.sleep(0.02)
        return self.link()

    @property
    def base(self) -> str:
        """Address of the page, without token."""
        return self.links()[0].partition("?")[0]

    @property
    def host(self) -> str:
        """HOST:PORT."""
        return urlsplit(self.base).netloc

    @property
    def prefix(self) -> str:
        """What stands before every path."""
        return urlsplit(self.base).path.rstrip("/")

    def request(
        self,
        path: str,
        method: str = "GET",
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        cookie: bool | str = True,
        host: str | None = None,
        origin: str | None = "same",
    ) -> Answer:
        """Send one request, the path as it is (no `..` is resolved)."""
        sent: dict[str, Any] = {"Host": self.host if host is None else host}
        if cookie:
            sent["Cookie"] = self.come_in() if cookie is True else cookie
        if origin is not None and method != "GET":
            sent["Origin"] = f"http://{sent['Host']}" if origin == "same" else origin
        sent |= headers or {}
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                connection.putheader(name, value)
            if body is not None and "Content-Length" not in sent:
                connection.putheader("Content-Length", str(len(body)))
            with contextlib.suppress(BrokenPipeError):  # refused before the body had been sent
                connection.endheaders(body)
            answer = connection.getresponse()
            try:
                text = answer.read()
            except ConnectionResetError:  # refused before the body had been read
                text = b""
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, text)
        finally:
            connection.close()

    def come_in(self) -> str:
        """Return this client's cookie, spending a link the first time."""
        if not self.cookie:
            self.cookie = self.spend(self.link())
        return self.cookie

    def spend(self, link: str) -> str:
        """Exchange a start link for a cookie; wait for the next link."""
        before = len(self.links())
        parts = urlsplit(link)
        answer = self.request(f"{parts.path}?{parts.query}", cookie=False)
        if answer.status != 303:
            raise RuntimeError(f"the link was answered by {answer.status}")
        self.fresh_link(before)
        return answer.headers["set-cookie"].partition(";")[0]

    def stop(self) -> int:
        """End it as Ctrl-C does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)

    def output(self) -> str:
        """Return all that it printed."""
        return "".join(self.lines)


def start_on(store: Path, *arguments: str) -> LiveApp:
    """Serve a store on any free port."""
    return LiveApp.start(str(store), "--port", "0", *arguments)
