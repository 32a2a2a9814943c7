"""How many finds do a hundred ratings bring? Simulated rating from no labels, against random order and static ranking.

Two sets. Cutouts of the MeerKAT Galaxy Cluster Legacy Survey that an astronomer rated 1 to 5 (a find: 4 or 5), and
simulated frames in the manner of Riggi et al. 2024, few of them PECULIAR (the finds), some ARTEFACT or MOSAICKING
(called artefacts when they are shown). The learner starts without a label, shows 20 cutouts, is told what people said
of them, orders the others anew, and so on. Features are those of a network with random weights.

Seeds: of the encoder for the first set; of the draw of 1,500 frames for the second. The knob stands at `explore` = 0,
which was chosen on the first set (there 0 found more than 0.25 and 0.5); the second one had no part in that.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.bench_curation import random_encoder
from skysift.cutouts import Catalogue
from skysift.datasets.stages import Dataset
from skysift.discovery.active import ACQUISITIONS, Learner
from skysift.discovery.stages import Anomalies
from skysift.features.stages import Features
from skysift.sky.simulate import RIGGI_LABELS, SurveyConfig
from skysift.sky.simulate.labelled import assemble, make_part, write_set
from skysift.store import Store
from skysift.tables import FeatureTable

RATINGS, BATCH, EXPLORE = 100, 20, 0.0
TARGET = 1.5
FRAMES = {
    "BACKGROUND": 500,
    "COMPACT": 500,
    "EXTENDED": 300,
    "RADIO-GALAXY": 300,
    "DIFFUSE": 40,
    "DIFFUSE-LARGE": 30,
    "FILAMENT": 30,
    "ARTEFACT": 120,
    "PECULIAR": 40,
    "MOSAICKING": 120,
}
OPINION = {"PECULIAR": 5.0, "FILAMENT": 3.0, "DIFFUSE": 3.0, "DIFFUSE-LARGE": 3.0, "EXTENDED": 1.0, "RADIO-GALAXY": 1.0}
BROKEN = {"ARTEFACT", "MOSAICKING"}
FIGURE = Path(__file__).parents[1] / "docs" / "discovery-active.png"


@dataclass(frozen=True)
class Task:
    """One set with what a person would say of each cutout.

    `static` holds static scores by their names, `opinion` scores of 0 to 5, `broken` what would be called an artefact.
    """

    name: str
    seed: int
    features: NDArray[np.float32]
    static: dict[str, NDArray[np.float64]]
    opinion: NDArray[np.float64]
    finds: NDArray[np.bool_]
    broken: NDArray[np.bool_]


def run_task(task: Task) -> dict[str, Any]:
    """Return found-against-rated curves (finds after 1 ... 100 ratings) of every way to choose, by its name."""
    curves = {}
    for name, raw in task.static.items():
        order = np.lexsort((np.arange(len(raw)), -raw))
        curves[name] = np.cumsum(task.finds[order][:RATINGS]).tolist()
        for kind in ACQUISITIONS:
            curves[f"{kind} on {name}"] = np.cumsum(task.finds[rate(task, raw, kind)]).tolist()
    count = len(task.finds)
    curves["random"] = (task.finds.sum() / count * np.arange(1, RATINGS + 1)).tolist()
    return {"seed": task.seed, "rows": count, "finds": int(task.finds.sum()), "curves": curves}


def rate(task: Task, raw: NDArray[np.float64], kind: Any) -> NDArray[np.int64]:
    """Return the rows that were shown, in their order."""
    learner = Learner(task.features, raw, seed=task.seed)
    shown = np.empty(0, dtype=np.int64)
    while len(shown) < RATINGS:
        shown = np.concatenate([shown, learner.order(kind, EXPLORE)[:BATCH]])
        sound = shown[~task.broken[shown]]
        learner.fit(sound, task.opinion[sound], shown[task.broken[shown]])
    return shown[:RATINGS]


def observed(store: Store, seed: int, folder: Path) -> Task:
    """Return the rated cutouts of MGCLS, with features of the encoder of that seed."""
    data = Path(os.environ.get("SKYSIFT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    cutouts = store.run(Dataset(source=str(data / "mgcls" / "mgcls.npz")))
    features = store.run(Features(cutouts=cutouts.id, encoder=random_encoder(folder / f"encoder-{seed}", seed)))
    labels = Catalogue.open(features).table["labels"].to_pylist()
    opinion = np.array([float(label[0]) if label else np.nan for label in labels])
    rated = np.flatnonzero(opinion > 0)
    stages = {"static": Anomalies(features=(features.id,), seed=seed)}
    stages["pixel-std"] = Anomalies(features=(features.id,), score=("pixel-std",), seed=seed)
    static = {name: static_scores(store, stage)[rated] for name, stage in stages.items()}
    taken = FeatureTable.open(features).take(rated)
    return Task("mgcls", seed, taken, static, opinion[rated], opinion[rated] >= 4, np.zeros(len(rated), dtype=bool))


def static_scores(store: Store, stage: Anomalies) -> NDArray[np.float64]:
    """Return the ranking of a stage, in the order of the features' rows."""
    return pq.read_table(store.run(stage).path("scores.parquet"))["ensemble"].to_numpy().astype(np.float64)


def simulated(store: Store, seeds: range, folder: Path) -> Iterator[Task]:
    """Yield a draw of 1,500 simulated frames for each seed."""
    if not (folder / "riggi2024.npz").exists():
        size = {"seed": 0, "frame_size": 96}
        parts = [
            make_part("riggi2024", SurveyConfig.preset("survey", frames_per_class=FRAMES[label], **size), number)
            for number, label in enumerate(RIGGI_LABELS)
        ]
        write_set(assemble("riggi2024", SurveyConfig.preset("survey", **size), parts), folder)
    cutouts = store.run(Dataset(source=str(folder / "riggi2024.npz")))
    features = store.run(Features(cutouts=cutouts.id, encoder=random_encoder(folder / "encoder-0", 0)))
    labels = [set(found or ()) for found in Catalogue.open(features).table["labels"].to_pylist()]
    opinion = np.array([max((OPINION.get(label, 0.0) for label in found), default=0.0) for found in labels])
    broken = np.array([bool(found & BROKEN) for found in labels]) & (opinion < 3)
    everything = FeatureTable.open(features).take(np.arange(len(labels)))
    for seed in seeds:
        rows = np.sort(np.random.default_rng(seed).choice(len(labels), 1500, replace=False))
        static = {"static": static_scores(store, Anomalies(features=(features.id,), seed=seed))[rows]}
        yield Task("simulated", seed, everything[rows], static, opinion[rows], opinion[rows] == 5, broken[rows])


def summary(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean number of finds after all ratings, and its ratio to random order."""
    last = {name: [trial["curves"][name][-1] for trial in trials] for name in trials[0]["curves"]}
    chance = np.mean(last["random"])
    return {name: {"finds": found, "mean": float(np.mean(found)), "over_random": float(np.mean(found) / chance)}
            for name, found in last.items()}  # fmt: skip


def main(quick: bool = False) -> dict[str, Any]:
    """Print and return finds after 100 ratings; draw the curves. SKYSIFT_BENCH names a folder to keep the features."""
    seeds = range(2) if quick else range(5)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("SKYSIFT_BENCH", temporary))
        store = Store(folder / "store")
        tasks = [*(observed(store, seed, folder) for seed in seeds), *simulated(store, seeds, folder)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        trials = list(pool.map(run_task, tasks))
    result: dict[str, Any] = {"target": TARGET, "ratings": RATINGS, "batch": BATCH, "explore": EXPLORE}
    for name in ("mgcls", "simulated"):
        of_set = [trial for task, trial in zip(tasks, trials, strict=True) if task.name == name]
        result[name] = {"trials": of_set, "after": summary(of_set)}
        print(f"\n{name}: {of_set[0]['finds']} finds among {of_set[0]['rows']} (first seed); finds after {RATINGS}")
        for way, found in result[name]["after"].items():
            print(f"  {way:<36} {found['mean']:6.1f}  {found['over_random']:5.2f} x random   {found['finds']}")
    if not quick:
        draw(result)
    return result


def draw(result: dict[str, Any]) -> None:
    """Draw found against rated: the mean over seeds, and their range."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    ways = {
        "expected-improvement on static": ("Gaussian process, expected improvement", "#0072b2", "-"),
        "astronomaly on static": ("random forest (Lochner & Bassett)", "#d55e00", "-"),
        "static": ("static ranking", "#333333", "--"),
        "random": ("random order (expected)", "#888888", ":"),
    }
    titles = {"mgcls": "MGCLS, rated 4 or 5", "simulated": "Simulated frames, PECULIAR"}
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.5), layout="constrained")
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        for way, (label, colour, style) in ways.items():
            curves = np.array([[0, *trial["curves"][way]] for trial in result[name]["trials"]], dtype=float)
            steps = np.arange(curves.shape[1])
            axis.plot(steps, curves.mean(0), style, color=colour, lw=1.6, label=label)
            if way != "random":
                axis.fill_between(steps, curves.min(0), curves.max(0), color=colour, alpha=0.12, lw=0)
        axis.set(xlabel="cutouts rated", xlim=(0, RATINGS), ylim=(0, None), title=title)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("finds among them")
    axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    figure.savefig(FIGURE, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
