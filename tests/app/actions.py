"""What a user does in a large survey, timed; for the test of speed and for `python -m benchmarks app`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from browser import Look
from live import LiveApp

FIRST, LATER = 3.0, 1.0
"""Limits on the first page and on the 95th percentile of later actions [s]."""


def busyness() -> float:
    """Return by how much a machine that does other things stretches times: 1 on an idle one."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def first_page(browser: Any, app: LiveApp) -> tuple[Look, float]:
    """Open the app; return the page and the time until pictures' places stand in the gallery [s]."""
    start = time.monotonic()
    look = Look.open(browser, app.link())
    cell = look.page.locator("[data-testid=grid] [data-id]").first
    look.until(cell.count, "cells in the grid")
    return look, time.monotonic() - start


def timed(look: Look, act: Callable[[], object], state: Callable[[], object], what: str) -> float:
    """Return the time from an action until a state is another one [s]."""
    before = state()
    start = time.monotonic()
    act()
    look.until(lambda: state() != before, what)
    return time.monotonic() - start


def fifty_actions(look: Look) -> list[float]:
    """Sort, filter, look closer, go on, rate and change screens; return each time [s]."""
    page, times = look.page, list[float]()

    def first_id() -> object:
        cell = page.locator("[data-testid=grid] [data-place='0']")
        return cell.first.get_attribute("data-id") if cell.count() else ""

    def screen() -> object:
        return page.locator("nav [aria-current=page]").first.get_attribute("id")

    def go(name: str) -> None:
        times.append(timed(look, lambda: page.click(f"#sk-nav-{name}"), screen, f"screen {name}"))

    sort = look.control("gallery-controls", "sort", "select")
    for column in ("snr", "peak", "rms", "complexity", "median", "valid_fraction", "snr", "peak"):
        times.append(timed(look, lambda column=column: sort.select_option(column), first_id, f"sorted by {column}"))
    for name in ("queue", "map", "sky", "curation", "runs", "detail", "gallery", "map", "queue"):
        go(name)
    look.until(look.queue_ids, "candidates")
    for key in ("4", "a", "b", "i", "0", "ArrowRight", "ArrowLeft", "2", "3", "1", "5", "b", "b", "4", "a"):
        page.keyboard.press("Shift")  # nothing: the page has the keyboard
        times.append(timed(look, lambda key=key: page.keyboard.press(key), look.queue_ids, f"key {key}"))
    for _ in range(4):
        times.append(timed(look, lambda: page.keyboard.press("u"), look.queue_ids, "undo"))
    go("detail")
    shown = look.test("detail-id")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight", "ArrowRight"):
        times.append(timed(look, lambda key=key: page.keyboard.press(key), shown.text_content, f"detail {key}"))
    go("gallery")
    go("map")
    go("gallery")
    for column in ("rms", "snr", "complexity", "peak", "median"):
        times.append(timed(look, lambda column=column: sort.select_option(column), first_id, f"sorted by {column}"))
    return times[:50]
