"""Chromium as a fixture drives it: pages that watch themselves, and pieces of the app by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")
SCREENS = ("gallery", "detail", "map", "sky", "curation", "queue", "runs")
WAIT = 60_000
"""Longest wait for anything in a page [ms]; machines that run tests are busy."""


def missing() -> str:
    """Return why no browser can be driven here, "" if one can."""
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "playwright is not installed (pip install 'skysift[dev]')"
    return "" if CHROMIUM.is_file() else f"there is no {CHROMIUM} (Debian's package chromium)"


@contextmanager
def chromium() -> Any:
    """Run a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"], timeout=WAIT)
        yield browser
        browser.close()


@dataclass
class Look:
    """A page of the app in a browser of its own, and all that went wrong in it."""

    page: Any
    base: str
    problems: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, browser: Any, link: str, *, width: int = 1440, height: int = 900) -> Look:
        """Follow a start link; return when the page stands."""
        context = browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(WAIT)
        page = context.new_page()
        look = cls(page, link.partition("?")[0])
        page.on("console", lambda m: m.type in ("error", "warning") and look.problems.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda e: look.problems.append(f"uncaught: {e}"))
        page.on("request", look._watch)
        page.goto(link)
        page.wait_for_selector("#sk-nav-queue")
        return look

    def _watch(self, request: Any) -> None:
        url = request.url
        own = url.startswith((self.base, self.base.replace("http://", "ws://", 1), "data:", "blob:"))
        if not own:
            self.problems.append(f"left the app: {url}")

    def show(self, screen: str) -> None:
        """Go to a screen."""
        self.page.click(f"#sk-nav-{screen}")
        self.page.wait_for_selector(f"#sk-nav-{screen}[aria-current=page]")

    def test(self, name: str) -> Any:
        """Return an element by its `data-testid`."""
        return self.page.locator(f"[data-testid='{name}']").first

    def control(self, strip: str, name: str, tag: str = "button") -> Any:
        """Return a control of a strip."""
        outer = self.page.locator(f"[data-testid='{strip}-{name}']").first
        inside = outer.locator(tag)
        return inside.first if inside.count() else outer

    def until(self, holds: Callable[[], Any], what: str, seconds: float = WAIT / 1000) -> Any:
        """Wait until something holds; return it."""
        end = time.monotonic() + seconds
        while not (found := holds()):
            if time.monotonic() > end:
                raise AssertionError(f"never: {what}; {self.problems}")
            self.page.wait_for_timeout(15)
        return found

    def text(self, name: str) -> str:
        """Return the text of an element by its `data-testid`."""
        return str(self.test(name).text_content())

    def queue_ids(self) -> list[str]:
        """Return the candidates that come next, the one shown first."""
        return str(self.test("queue").get_attribute("data-ahead")).split()

    def status(self) -> str:
        """Return the line at the foot of the page."""
        return str(self.page.locator("footer.status").text_content())

    def drag(self, element: Any, points: list[tuple[float, float]]) -> None:
        """Draw a path over an element, in shares of its sides."""
        box = element.bounding_box()
        mouse = self.page.mouse
        places = [(box["x"] + fx * box["width"], box["y"] + fy * box["height"]) for fx, fy in points]
        mouse.move(*places[0])
        mouse.down()
        for place in places[1:]:
            mouse.move(*place, steps=6)
        mouse.up()
