"""The web app with 200,000 cutouts in headless Chromium: first page, and 50 later actions."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from skysift.errors import RequestError

ROOT = Path(__file__).resolve().parents[1]


def main(*, quick: bool = False) -> dict[str, Any]:
    """Serve a synthetic survey and use it as a person would; times are of this machine, whatever else it does."""
    sys.path.insert(0, str(ROOT / "tests" / "app"))
    from actions import FIRST, LATER, fifty_actions, first_page
    from app_store import synthetic
    from browser import chromium, missing
    from live import start_on

    if missing():
        raise RequestError(f"The app can't be timed: {missing()}.")
    rows = 20_000 if quick else 200_000
    with tempfile.TemporaryDirectory(prefix="skysift-bench-app-") as folder, chromium() as browser:
        store = synthetic(Path(folder) / "store", rows)
        app = start_on(store.root, "--user", "benchmark")
        try:
            load = os.getloadavg()[0]
            look, first = first_page(browser, app)
            times = np.array(fifty_actions(look))
        finally:
            app.stop()
    p95 = float(np.quantile(times, 0.95))
    found = {
        "rows": rows,
        "first_page_seconds": round(first, 3),
        "first_page_over_limit": round(first / FIRST, 3),
        "actions": len(times),
        "action_median_seconds": round(float(np.median(times)), 3),
        "action_p95_seconds": round(p95, 3),
        "action_p95_over_limit": round(p95 / LATER, 3),
        "load_before": round(load, 2),
    }
    print(f"first page {first:.2f} s (limit {FIRST:g}); {len(times)} actions: median {np.median(times):.3f} s, "
          f"p95 {p95:.3f} s (limit {LATER:g}); load {load:.1f}")  # fmt: skip
    return found
