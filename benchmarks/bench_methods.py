"""Does every method of self-supervision learn? Each against its own network before training, one budget for all.

Encoders are trained on windows of a simulated survey, without labels, and scored by a kNN probe on labelled sources of
a survey of another seed. A method passes if it beats its own random initialisation by more than two standard errors
over the seeds. Work is kept in a folder of the system's temporary ones, so that a run that was stopped carries on.

python -m benchmarks methods                          the table, into benchmarks/results/methods.json
python -m benchmarks.bench_methods --figure FILE      what that file holds, as a figure
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.record import RESULTS
from skysift.metrics.uncertainty import mean_and_error
from skysift.pipeline.definition import Pipeline
from skysift.pipeline.execute import run_pipeline
from skysift.sky.simulate import SurveyConfig, simulate
from skysift.ssl.methods import NAMES
from skysift.store import Store
from skysift.store.artifact import Artifact

ERRORS = 2.0
OPTIONS: dict[str, dict[str, Any]] = {
    "dino": {"momentum": 0.99},
    "mae": {"normalise": False},
    "swav": {"queue_size": 256},
}
"""What differs from a method's defaults, as a run of a few hundred steps needs it."""
VISION_TRANSFORMERS = ("mae",)


@dataclass(frozen=True)
class Budget:
    """What every method is given."""

    cutouts: int
    epochs: int
    frames: int
    image_size: int = 64
    batch_size: int = 128
    seeds: int = 3
    lr: float = 3e-3
    convolutional: str = "test_resnet"
    transformer: str = "test_vit"


FULL = Budget(cutouts=1000, epochs=15, frames=100)
SMALL = Budget(cutouts=256, epochs=1, frames=12, seeds=2)


def backbone_of(method: str, budget: Budget) -> str:
    """Return the network that a method trains."""
    return budget.transformer if method in VISION_TRANSFORMERS else budget.convolutional


def definition(budget: Budget, folder: Path, methods: tuple[str, ...]) -> dict[str, Any]:
    """Return the pipeline: cutouts, preprocessed once, every training, and the benchmark of all."""
    stages: dict[str, Any] = {
        "windows": {"stage": "cutouts", "mosaics": str(folder / "train" / "mosaics"), "window_size": 64},
        "pixels": {"stage": "preprocess", "cutouts": "windows", "image_size": budget.image_size},
    }
    encoders: dict[str, list[dict[str, Any]]] = {}
    for method in methods:
        network = backbone_of(method, budget)
        for seed in range(budget.seeds):
            stages[f"{method}-{seed}"] = {
                "stage": "train",
                "cutouts": "pixels",
                "method": {"name": method, **OPTIONS.get(method, {})},
                "backbone": network,
                "image_size": budget.image_size,
                "augment": "geometric" if method == "mae" else "hulk",
                "batch_size": budget.batch_size,
                "epochs": budget.epochs,
                "optimizer": "adam",
                "lr": budget.lr,
                "seed": seed,
            }
            encoders.setdefault(method, []).append({"model": f"{method}-{seed}"})
            encoders.setdefault(f"untrained {network}", [])
    for name, repeats in encoders.items():
        if not repeats:
            first = next(m for m in methods if name.endswith(backbone_of(m, budget)))
            repeats += [{"model": f"{first}-0", "weights": "random", "seed": seed} for seed in range(budget.seeds)]
    stages["benchmark"] = {
        "encoders": encoders,
        "datasets": {"sources": {"source": str(folder / "test" / "labelled" / "wu2019.npz"), "split": "image"}},
        "protocols": ["knn"],
        "fractions": [1.0],
        "draws": 5,
    }
    return {"stages": stages}


def scores_by_seed(benchmark: Artifact, encoder: str) -> np.ndarray:
    """Return the macro F1 of an encoder's trainings, each the mean over draws."""
    table = pq.read_table(benchmark.path("scores.parquet"))
    mine = table.filter((pc.field("encoder") == encoder) & (pc.field("metric") == "macro_f1"))
    repeat, value = mine["repeat"].to_numpy(), mine["value"].to_numpy()
    return np.array([value[repeat == number].mean() for number in np.unique(repeat)])


def main(quick: bool = False) -> dict[str, Any]:
    """Print and return what each method gains, with its error over the seeds."""
    budget = SMALL if quick else FULL
    methods = ("simclr", "mae") if quick else NAMES
    folder = Path(tempfile.gettempdir()) / f"skysift-bench-methods{'-quick' if quick else ''}"
    side = 64 + 32 * int(np.ceil(np.sqrt(budget.cutouts / 2)))
    simulate(folder / "train", SurveyConfig.preset("demo", seed=0, mosaics=2, size=side, frames_per_class=0))
    simulate(folder / "test", SurveyConfig.preset("demo", seed=1, mosaics=1, size=256, frames_per_class=budget.frames))
    pipeline = Pipeline.parse(definition(budget, folder, methods), folder=folder)
    store = Store(folder / "store")
    made = run_pipeline(pipeline, run=store.run, on_stage=lambda name, _: print(f"  {name}", flush=True))
    print(f"\n{'method':<10} {'trained':>8} {'untrained':>10} {'gain':>7} {'error':>7}")
    rows: dict[str, Any] = {}
    for method in methods:
        trained = scores_by_seed(made["benchmark"], method)
        untrained = scores_by_seed(made["benchmark"], f"untrained {backbone_of(method, budget)}")
        gain = mean_and_error(list(trained - untrained))
        rows[method] = {
            "trained": float(trained.mean()),
            "untrained": float(untrained.mean()),
            "gain": gain.mean,
            "error": gain.error,
            "passes": bool(gain.mean > ERRORS * gain.error),
        }
        row = rows[method]
        print(f"{method:<10} {row['trained']:8.3f} {row['untrained']:10.3f} {row['gain']:7.3f} {row['error']:7.3f}")
    return {
        "metric": "macro F1 of the kNN probe, six morphology classes of Wu et al. 2019",
        "cutouts": made["windows"].rows,
        "budget": vars(budget),
        "methods": rows,
    }


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draw the gain of every method with two standard errors to either side."""
    from skysift.report.figures.differences import Difference, draw_differences
    from skysift.report.figures.style import save_figure

    rows = dict(sorted(figures["methods"].items(), key=lambda row: -row[1]["gain"]))
    gains = [
        Difference(row["gain"], row["gain"] - ERRORS * row["error"], row["gain"] + ERRORS * row["error"], row["passes"])
        for row in rows.values()
    ]
    title = f"{figures['cutouts']:,} cutouts, {figures['budget']['epochs']} epochs, {figures['budget']['seeds']} seeds"
    save_figure(
        draw_differences(list(rows), {title: {"kNN probe": gains}}, baseline="untrained", score="macro F1"), path
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", type=Path, required=True, metavar="FILE", help="where the figure goes")
    draw(json.loads((RESULTS / "methods.json").read_text())["figures"], parser.parse_args().figure)
