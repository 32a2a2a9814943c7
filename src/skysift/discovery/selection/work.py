"""Select features by labels, grow forests on them, and score every ranking on labelled cutouts that were held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skysift.cutouts.catalogue import Catalogue, write_table
from skysift.discovery.ranking import normalised_ranks
from skysift.discovery.scores.isolation_forest import IsolationForest
from skysift.discovery.selection.evaluate import crossing
from skysift.discovery.selection.forest import Share, tried_shares
from skysift.discovery.selection.frames import DROPPED, HELD_OUT, INTERESTING, OTHER, SELECTION, Frames, read_frames
from skysift.discovery.selection.importance import Importance, find_importance
from skysift.discovery.selection.tables import (
    crossing_table,
    curve_table,
    frame_table,
    histogram_table,
    importance_table,
    scan_table,
    setting_table,
)
from skysift.errors import RequestError
from skysift.store.digest import write_json
from skysift.tables.features import FeatureTable

if TYPE_CHECKING:
    from skysift.discovery.stages import Anomalies
    from skysift.store.artifact import Artifact
    from skysift.store.context import Context

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
CLASSIFIER = "lightgbm"
"""What the ranking by the classifier that selected the features is called."""
FOREST = "forest-top-"
CHUNK = 65536


@dataclass(frozen=True)
class Setting:
    """A forest that was grown.

    Attributes
    ----------
    top : int
        Features, the most important ones.
    share : "auto" or float
        Cutouts that each tree is shown: 256, or a share of all.
    raw : ndarray of float64, shape (n,)
        Anomaly scores of all cutouts.
    """

    top: int
    share: Share
    raw: Floats


@dataclass(frozen=True)
class Selected:
    """Rankings by selected features.

    Attributes
    ----------
    raw, normalised : dict of str to ndarray of float64, shape (n,)
        Score of every cutout by name (`forest-top-5`, `lightgbm`), larger = more anomalous.
    chosen : str
        The forest that ranks best the labelled cutouts that selected the features.
    counts : dict of str to int or float
        For the manifest.
    """

    raw: dict[str, Floats]
    normalised: dict[str, Floats]
    chosen: str
    counts: dict[str, Any]


def select_by_labels(
    stage: Anomalies,
    context: Context,
    sources: Sequence[Artifact],
    catalogue: Catalogue,
    groups: Sequence[Rows],
    scores: Mapping[str, Floats],
) -> Selected:
    """Carry out a selection; leave its tables and `selection.json` in the artifact's folder.

    Parameters
    ----------
    stage : Anomalies
        The request.
    context : Context
        Of the running stage; `labels` is one of its sources.
    sources : sequence of Artifact
        Features of the cutouts, by one encoder.
    catalogue : Catalogue
        n cutouts.
    groups : sequence of ndarray of int64
        Rows that are ranked with each other, such as those of one window size; each grows its own forests.
    scores : mapping of str to ndarray, shape (n,)
        Other rankings to be scored, normalised.

    Returns
    -------
    Selected

    Raises
    ------
    RequestError
        If labels are missing or too few, or the features are of several encoders.
    """
    features = features_of(sources, catalogue)
    source = context.sources("labels")[0].path if stage.labels is not None else None
    frames = read_frames(
        catalogue,
        source,
        interesting=stage.interesting,
        ordinary=stage.ordinary,
        parts=stage.label_parts,
        seed=stage.seed,
    )
    importance = _importance(features, frames, stage.seed)
    for note in importance.notes:
        context.warn(note)
    tops = _tops(stage.top, len(importance.order), context)
    columns = _columns(features, importance.order[: tops[-1]])
    settings = _grow(stage, context, columns, groups, tops)

    learnt, held = frames.of(SELECTION), frames.of(HELD_OUT)
    write_table(scan_table(settings, frames), context.folder / "scan.parquet")
    quality = setting_table(settings, frames)
    write_table(quality, context.folder / "settings.parquet")
    best = _best(quality.to_pylist(), settings)
    tops_of = {f"{FOREST}{setting.top}": setting.top for setting in best}
    chosen = max(best, key=lambda s: (_precision(s.raw, frames, learnt), -s.top))
    rankings = dict(zip(tops_of, (setting.raw for setting in best), strict=True))
    rankings[CLASSIFIER] = _probability(importance, features)

    normalised = {name: ranked_within(raw, groups) for name, raw in rankings.items()}
    shown = {name: values[frames.rows] for name, values in {**normalised, **scores}.items()}
    kind, group = frames.kind[held], frames.group[held]
    found = {name: crossing(values[held], kind, group, seed=stage.seed) for name, values in shown.items()}
    tables = {
        "crossing": crossing_table(found, tops_of),
        "curves": curve_table(shown, frames),
        "histograms": histogram_table(shown, frames),
        "frames": frame_table(frames, catalogue),
        "importance": importance_table(importance),
    }
    for file, table in tables.items():
        write_table(table, context.folder / f"{file}.parquet")
    name = f"{FOREST}{chosen.top}"
    classified = _classified(rankings[CLASSIFIER][frames.rows[held]], kind)
    write_json(
        context.folder / "selection.json",
        _summary(stage, catalogue, frames, importance, classified, name, chosen.share),
    )
    return Selected(
        rankings,
        normalised,
        name,
        {
            "labelled": len(frames),
            "held_out": len(held),
            "chosen_features": chosen.top,
            "recall": round(found[name].recall, 6),
            "precision": round(found[name].precision, 6),
            "contamination": round(found[name].contamination, 6),
        },
    )


def _summary(
    stage: Anomalies,
    catalogue: Catalogue,
    frames: Frames,
    importance: Importance,
    classified: dict[str, Any],
    chosen: str,
    share: Share,
) -> dict[str, Any]:
    """Describe a selection for people and for the report."""
    return {
        "interesting": sorted(stage.interesting),
        "ordinary": sorted(stage.ordinary),
        "cutouts": len(catalogue),
        "labelled": len(frames),
        "selection": frames.counts(SELECTION),
        "held_out": frames.counts(HELD_OUT),
        "dropped": int((frames.part == DROPPED).sum()),
        "classifier": {
            "rounds": importance.rounds,
            "min_data_in_leaf": importance.leaf,
            "features": len(importance.order),
            **classified,
        },
        "chosen": chosen,
        "max_samples": share,
        "scan": stage.scan,
    }


def selection_meaning(name: str) -> str:
    """Return what the raw score of a ranking by selected features is."""
    if name == CLASSIFIER:
        return "Probability of being interesting, by the classifier that selected the features."
    return f"Isolation forest on the {name.removeprefix(FOREST)} features that tell interesting from ordinary best."


def features_of(sources: Sequence[Artifact], catalogue: Catalogue) -> NDArray[Any]:
    """Return the features of a catalogue's cutouts, shape (n, d); a memory map where they are of one artifact.

    Raises
    ------
    RequestError
        If the artifacts hold features of several encoders.
    """
    tables = [FeatureTable.open(source) for source in sources]
    if len(tables) == 1:
        return tables[0].array
    if any(table.description["encoder"] != tables[0].description["encoder"] for table in tables):
        raise RequestError("Labels select features of one encoder, and these are of several: name those of one.")
    ids = np.concatenate([Catalogue.open(source).column("cutout_id").astype("S16") for source in sources])
    order = np.argsort(ids, kind="stable")
    rows = order[np.searchsorted(ids[order], catalogue.column("cutout_id").astype("S16"))]
    return np.concatenate([table.array for table in tables])[rows]


def _importance(features: NDArray[Any], frames: Frames, seed: int) -> Importance:
    """Train on the interesting and ordinary cutouts that select."""
    taught = np.flatnonzero((frames.part == SELECTION) & (frames.kind != OTHER))
    values = np.asarray(features[frames.rows[taught]], dtype=np.float32)
    found = find_importance(values, frames.kind[taught] == INTERESTING, frames.group[taught], seed=seed)
    if not len(found.order):
        raise RequestError(
            f"No feature tells the interesting from the ordinary ones among {len(taught)} labelled cutouts: label more."
        )
    return found


def _tops(wanted: tuple[int, ...], there: int, context: Context) -> list[int]:
    """Return the numbers of features that forests are grown with, rising; no more than were of use."""
    few = [number for number in wanted if number > there]
    if few:
        context.warn(f"only {there} features were of use to LightGBM; with them end the top {max(few)}")
    return sorted({min(number, there) for number in wanted})


def _probability(importance: Importance, features: NDArray[Any]) -> Floats:
    """Return how probably each cutout is interesting, shape (n,)."""
    parts = [features[start : start + CHUNK] for start in range(0, len(features), CHUNK)]
    return np.concatenate([importance.probability(np.asarray(part, dtype=np.float32)) for part in parts])


def _columns(features: NDArray[Any], wanted: NDArray[np.int64]) -> NDArray[np.float32]:
    """Read some columns of features, front to back, shape (n, k)."""
    found = np.empty((len(features), len(wanted)), dtype=np.float32)
    for start in range(0, len(features), CHUNK):
        found[start : start + CHUNK] = features[start : start + CHUNK][:, wanted]
    return found


def _grow(
    stage: Anomalies, context: Context, columns: NDArray[np.float32], groups: Sequence[Rows], tops: list[int]
) -> list[Setting]:
    """Grow all forests, each on the workers; a killed run carries on after the last finished one."""
    smallest = min(len(rows) for rows in groups)
    shares: tuple[Share, ...] = tried_shares(smallest) if stage.scan else (stage.max_samples or "auto",)
    where = str(context.scratch / "columns.npz")
    group = np.empty(len(columns), np.int64)
    for number, rows in enumerate(groups):
        group[rows] = number
    np.savez(where, columns=columns, group=group)
    tasks = [(where, top, IsolationForest(stage.trees, share, stage.seed)) for top in tops for share in shares]
    paths = context.sharded(_forest, tasks, label="forests", suffix=".npy")
    return [
        Setting(top, forest.max_samples, np.load(path)) for (_, top, forest), path in zip(tasks, paths, strict=True)
    ]


def _forest(task: tuple[str, int, IsolationForest], path: Path) -> None:
    """Grow one forest a group, worked out by a worker."""
    where, top, forest = task
    with np.load(where) as archive:
        columns, group = archive["columns"], archive["group"]
    found = np.empty(len(columns))
    for number in range(int(group.max()) + 1):
        rows = np.flatnonzero(group == number)
        found[rows] = forest.of_features(np.ascontiguousarray(columns[rows, :top]))
    np.save(path, found)


def ranked_within(raw: Floats, groups: Sequence[Rows]) -> Floats:
    """Return normalised ranks within each group, shape (n,)."""
    found = np.empty(len(raw))
    for rows in groups:
        found[rows] = normalised_ranks(raw[rows])
    return found


def _precision(scores: Floats, frames: Frames, part: NDArray[np.int64]) -> float:
    """Return the average precision of a ranking on some of the labelled cutouts."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(frames.kind[part] == INTERESTING, scores[frames.rows[part]]))


def _best(quality: list[dict[str, Any]], settings: list[Setting]) -> list[Setting]:
    """Return for each number of features the forest that ranks best what selected them; of equals the first."""
    scored = [row["average_precision"] for row in quality if row["part"] == "selection"]
    found: dict[int, tuple[float, Setting]] = {}
    for value, setting in zip(scored, settings, strict=True):
        if setting.top not in found or value > found[setting.top][0]:
            found[setting.top] = (value, setting)
    return [setting for _, setting in found.values()]


def _classified(probability: Floats, kind: NDArray[np.int64]) -> dict[str, float]:
    """Return how well LightGBM tells interesting from ordinary cutouts that were held out."""
    from sklearn.metrics import accuracy_score, f1_score

    told = kind != OTHER
    truth, said = kind[told] == INTERESTING, probability[told] >= 0.5
    return {
        "accuracy": round(float(accuracy_score(truth, said)), 6),
        "f1": round(float(f1_score(truth, said, zero_division=0.0)), 6),
    }
