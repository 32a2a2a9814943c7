"""Does curation find rare sources? Shares of rare classes in subsamples, against the simulator's truth.

The subsamples are made without labels: windows of simulated surveys, features of a network with random weights, a tree
of clusters, and each rule of `Subsample`. Rings, shells, bent tails and diffuse sources make up at most 2 % of windows.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skysift.curation import Cluster, Subsample
from skysift.cutouts import Catalogue, Cutouts
from skysift.encoders import Encoder, build_backbone, save_encoder
from skysift.features.stages import Features
from skysift.imaging import Preprocess
from skysift.sky.simulate import Survey, SurveyConfig, simulate
from skysift.store import Artifact, Store

TARGET = 1.5
RARE = ("ring", "shell", "wat", "nat", "diffuse", "diffuse_large")
RULES = ("hierarchical", "flat", "facility", "uniform")
SHALLOW: dict[str, Any] = {"layers": (2, 2, 2, 0), "global_pool": "max"}
"""A ResNet-18 without its last stage, and the largest response in place of the mean.

With random weights the mean over a window measures its noise. The largest response of a smaller receptive field
measures its most striking source.
"""


@dataclass(frozen=True)
class Trial:
    """One benchmark set-up: how large, and how many clusters."""

    survey: dict[str, Any]
    window: int
    levels: tuple[int, ...]
    least_rows: int


FULL = Trial({"rings": 1.0, "shells": 0.6, "diffuse": 1.0, "frames_per_class": 0}, 96, (1000, 100, 10), 20_000)
SMALL = Trial(
    {"mosaics": 2, "size": 1536, "rings": 1.2, "shells": 0.7, "diffuse": 1.2, "frames_per_class": 0},
    96,
    (150, 30, 6),
    1000,
)


def rare_windows(catalogue: Catalogue, truth: pa.Table, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return those of `rows`, windows of one mosaic, that show half of a rare source's box or are half filled by it."""
    columns = {name: truth[name].to_numpy(zero_copy_only=False) for name in truth.column_names}
    rare = np.isin(columns["class"].astype(str), RARE) & (columns["snr"] >= 5) & (columns["box_width"] > 0)
    x0, y0, width, height = catalogue.windows[rows].T
    found = np.zeros(len(rows), dtype=bool)
    for i in np.flatnonzero(rare):
        bx, by, bw, bh = (int(columns[f"box_{key}"][i]) for key in ("x0", "y0", "width", "height"))
        across = np.minimum(bx + bw, x0 + width) - np.maximum(bx, x0)
        up = np.minimum(by + bh, y0 + height) - np.maximum(by, y0)
        shared = np.clip(across, 0, None) * np.clip(up, 0, None)
        found |= (shared >= 0.5 * bw * bh) | (shared >= 0.5 * width * height)
    return rows[found]


def is_rare(catalogue: Catalogue, survey: Survey, store: Store) -> NDArray[np.bool_]:
    """Tell which cutouts show a rare source."""
    names = catalogue.mosaics["mosaic"].to_pylist()
    mosaic = catalogue.mosaic_rows()
    result = np.zeros(len(catalogue), dtype=bool)
    for i, path in enumerate(survey.mosaics):
        rows = np.flatnonzero(mosaic == names.index(store.sources.fingerprint(str(path))))
        result[rare_windows(catalogue, pq.read_table(survey.folder / "truth" / f"mosaic_{i:02d}.parquet"), rows)] = True
    return result


def random_encoder(folder: Path, seed: int) -> str:
    """Write an encoder with random weights and return where."""
    module = build_backbone("resnet18", seed=seed, arguments=SHALLOW)
    preprocess = Preprocess.preset("riggi2024", size=64)
    save_encoder(Encoder.of_backbone(module, "resnet18", preprocess, arguments=SHALLOW), folder)
    return str(folder)


def run_trial(trial: Trial, seed: int, folder: Path) -> dict[str, Any]:
    """Return the share of rare windows, and for each rule its share in a tenth of the set over that."""
    survey = simulate(folder / "survey", SurveyConfig.preset("survey", seed=seed, **trial.survey))
    store = Store(folder / "store")
    cutouts = store.run(Cutouts(mosaics=tuple(map(str, survey.mosaics)), window_size=(trial.window,), overlap=0.5))
    features = store.run(Features(cutouts=cutouts.id, encoder=random_encoder(folder / "encoder", seed)))
    tree = store.run(Cluster(features=features.id, levels=trial.levels, seed=seed))
    catalogue = Catalogue.open(features)
    rare = is_rare(catalogue, survey, store)
    if len(rare) < trial.least_rows:
        raise SystemExit(f"only {len(rare)} cutouts where {trial.least_rows} are needed: simulate more")
    result: dict[str, Any] = {
        "seed": seed,
        "rows": len(rare),
        "rare": int(rare.sum()),
        "rare_share": float(rare.mean()),
    }
    for rule in RULES:
        stage = Subsample(clusters=tree.id, target_size=len(rare) // 10, rule=rule, seed=seed)  # type: ignore[arg-type]
        result[rule] = float(rare[rows_of(store.run(stage))].mean() / rare.mean())
    return result


def rows_of(subsample: Artifact) -> NDArray[np.int64]:
    """Return the rows that were kept."""
    rows: NDArray[np.int64] = pq.read_table(subsample.path("selection.parquet"))["row"].to_numpy()
    return rows


def main(quick: bool = False) -> dict[str, Any]:
    """Print and return the enrichment of rare classes by each rule, one row a seed."""
    trial, seeds = (SMALL, range(2)) if quick else (FULL, range(5))
    print("share of rare cutouts in a subsample of 10 %, over their share in the whole set (a random one's on average)")
    print(f"{'seed':>4} {'cutouts':>8} {'rare':>7} " + " ".join(f"{rule:>13}" for rule in RULES))
    trials = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            found = run_trial(trial, seed, Path(folder))
        trials.append(found)
        line = " ".join(f"{found[rule]:13.2f}" for rule in RULES)
        print(f"{seed:4d} {found['rows']:8d} {found['rare_share']:7.2%} {line}", flush=True)
    means = {rule: statistics.mean(found[rule] for found in trials) for rule in RULES}
    print(f"{'mean':>21} " + " ".join(f"{means[rule]:13.2f}" for rule in RULES))
    return {
        "target": TARGET,
        "trials": trials,
        "mean": means,
        "least": {rule: min(found[rule] for found in trials) for rule in RULES},
        "largest_rare_share": max(found["rare_share"] for found in trials),
    }


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
