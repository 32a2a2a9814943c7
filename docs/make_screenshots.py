"""Make the pictures of `docs/app.md`: a small simulated survey, the app, and a browser that looks at each screen.

    python docs/make_screenshots.py FOLDER [OUT]

FOLDER keeps survey and store, so that a second run only takes pictures; OUT is `docs/app` by default. Each screen is
taken 1440 and 1024 pixels wide, and written with few colours: all pictures together stay under 2 MB.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from skysift.curation.stages import Cluster, Subsample
from skysift.cutouts.stages import Cutouts
from skysift.discovery.ledger import Ledger, Rating
from skysift.discovery.projection.stage import Project
from skysift.discovery.stages import Anomalies
from skysift.features.stages import Features
from skysift.sky.simulate import SurveyConfig, simulate
from skysift.store.store import Store
from skysift.tables.features import FeatureTable

ROOT = Path(__file__).resolve().parents[1]
SIZES = ((1440, 900), (1024, 768))
COLOURS = 96
SCREENS = ("gallery", "detail", "map", "sky", "curation", "queue", "runs")


def build(folder: Path) -> Store:
    """Simulate a survey, and make all that the screens show; what is there already is used again."""
    survey = folder / "survey"
    config = SurveyConfig.preset("demo", seed=4, mosaics=2, size=768, frames_per_class=1)
    if not (survey / "mosaics").is_dir():
        simulate(survey, config)
    store = Store(folder / "store")
    mosaics = tuple(str(path) for path in sorted((survey / "mosaics").glob("*.fits")))
    cutouts = store.run(Cutouts(mosaics=mosaics, window_size=(64,), overlap=0.5))
    features = store.run(Features(cutouts=cutouts.id, encoder="timm:resnet18", weights="random", image_size=64))
    anomalies = store.run(Anomalies(features=(features.id,)))
    projection = store.run(Project(features=features.id))
    clusters = store.run(Cluster(features=features.id, levels=(60, 12), resample_rounds=2))
    subsample = store.run(Subsample(clusters=clusters.id, target_size=120))
    named = {"survey": features, "ranking": anomalies, "map": projection, "tree": clusters, "balanced": subsample}
    for name, artifact in named.items():
        store.name(artifact.id, name, force=True)
    rate(store, features)
    return store


def rate(store: Store, features: Any) -> None:
    """Let two people rate: one likes large bright things, the other is harder to please."""
    ledger = Ledger.open(store.root / "ledger.sqlite")
    if ledger.version:
        return
    import pyarrow.parquet as pq

    table = pq.read_table(FeatureTable.open(features).catalogue_path)
    snr = np.nan_to_num(table.column("snr").to_numpy())
    ids = table.column("cutout_id").to_pylist()
    rng = np.random.default_rng(0)
    chosen = rng.permutation(np.argsort(-snr)[:240])[:46]
    level = np.searchsorted(np.quantile(snr, [0.6, 0.75, 0.85, 0.92, 0.97]), snr)
    for number, row in enumerate(chosen.tolist()):
        user = "ada" if number % 3 else "vera"
        score = int(np.clip(level[row] + rng.integers(-1, 2) - (user == "vera"), 0, 5))
        if number % 11 == 5:
            ledger.add(Rating(cutout_id=ids[row], user=user, judgement="artefact"))
        else:
            ledger.add(Rating(cutout_id=ids[row], user=user, score=score))


def visit(look: Any, screen: str) -> None:
    """Go to a screen and bring it to where it shows what it is for."""
    page = look.page
    if screen == "detail":  # of the best candidate
        look.show("queue")
        look.until(look.queue_ids, "candidates")
        page.get_by_text("Open in Detail").first.click()
        page.wait_for_timeout(2500)
    look.show(screen)
    page.wait_for_timeout(2500)
    if screen == "curation":
        page.locator("[data-testid=tree] article .thumb").nth(5).click()
        slider = page.locator("[data-testid=tree] article input[type=range]").first
        slider.evaluate("(node) => { node.value = 24; node.dispatchEvent(new Event('change')); }")
        page.wait_for_timeout(1500)
    if screen == "queue" and "learnt" not in look.text("queue-controls-status"):
        look.control("queue-controls", "retrain").click()
        look.until(lambda: "learnt" in look.text("queue-controls-status"), "the learnt order", 120)
        page.wait_for_timeout(6000)
    page.mouse.move(2, 2)
    page.locator(".toast button").evaluate_all("(nodes) => nodes.forEach((node) => node.click())")
    page.wait_for_timeout(800)


def save(png: bytes, out: Path) -> None:
    """Write a PNG of few colours."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(out, optimize=True)


def main(folder: Path, out: Path) -> None:
    """Build what is not there, serve it, and take the pictures."""
    sys.path.insert(0, str(ROOT / "tests" / "app"))
    from browser import Look, chromium
    from live import start_on

    store = build(folder)
    out.mkdir(parents=True, exist_ok=True)
    app = start_on(store.root, "--user", "vera")
    try:
        with chromium() as browser:
            for width, height in SIZES:
                spent = len(app.links())
                look = Look.open(browser, app.link(), width=width, height=height)
                app.fresh_link(spent)
                look.page.wait_for_timeout(2000)
                for screen in SCREENS:
                    visit(look, screen)
                    save(look.page.screenshot(), out / f"{screen}-{width}.png")
                look.page.context.close()
                if look.problems:
                    raise SystemExit("\n".join(look.problems))
    finally:
        app.stop()
    total = sum(path.stat().st_size for path in out.glob("*.png"))
    print(f"{out}: {total / 1e6:.2f} MB")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else ROOT / "docs" / "app")
