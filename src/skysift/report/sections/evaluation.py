"""How good the features are: scores, confusion, settings, and other encoders on the same set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.parquet as pq

from skysift.metrics.uncertainty import mean_and_error
from skysift.readable import measured
from skysift.report.blocks import Block, Note, Section, Table
from skysift.report.data import PROTOCOLS, encoder_name, load_json
from skysift.report.family import Family
from skysift.report.figures.class_scores import draw_class_scores
from skysift.report.figures.confusion import draw_confusion
from skysift.report.figures.settings_sweep import draw_settings_sweep
from skysift.report.numbers import count
from skysift.report.sections.picture import picture
from skysift.store.artifact import Artifact

OVERALL = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
NOT_THE_TASK = frozenset({"features", "finetune", "knn", "linear", "protocol", "zeroshot"})


def make(family: Family) -> Section | None:
    """Show the evaluation nearest to the focus."""
    evaluation = family.nearest("evaluation")
    if evaluation is None:
        return None
    metrics = load_json(evaluation, "metrics.json")
    classes, protocols = metrics["classes"], metrics["protocol_order"]
    confusion = np.load(evaluation.path("confusion.npy")).sum(axis=1)
    titles = [PROTOCOLS.get(name, name) for name in protocols]
    scores = {
        PROTOCOLS.get(name, name): {
            metric: [
                (found[metric]["mean"], found[metric]["error"])
                for found in metrics["protocols"][name]["classes"].values()
            ]
            for metric in ("precision", "recall", "f1")
        }
        for name in protocols
    }
    draws = len(metrics["draws"])
    over = f"over {draws} draws" if draws > 1 else "of one draw"
    blocks: list[Block] = [
        Note(_how(metrics)),
        _overall(metrics, protocols),
        picture(
            draw_confusion(list(zip(titles, confusion, strict=True)), classes),
            f"Confusion matrices, summed {over}: per cent of each true class.",
            "confusion matrices",
        ),
        picture(
            draw_class_scores(classes, scores),
            f"Scores of each class, mean {over}" + ("; bars are the error of the mean." if draws > 1 else "."),
            "precision, recall and F1 of each class",
        ),
        _per_class(metrics, protocols),
    ]
    sweeps = _sweeps(evaluation)
    if sweeps:
        caption = "Accuracy against the settings that were tried. They are chosen on validation samples alone."
        blocks.append(picture(draw_settings_sweep(sweeps), caption, "accuracy against settings"))
    others = _compare(family, evaluation)
    if others is not None:
        blocks.append(others)
    return Section("evaluation", "Evaluation", blocks)


def _how(metrics: dict[str, Any]) -> str:
    split, draws, samples = metrics["split"], metrics["draws"], metrics["samples"]
    order = split["cell_order"]
    kept = {
        "sky": "images stay whole" if order is None else f"HEALPix cells of order {order} stay whole",
        "mosaic": "mosaics stay whole",
        "image": "every cutout for itself",
        "fixed": "the data set's own split",
    }[split["by"]]
    train, test = (int(np.median([sum(d[part].values()) for d in draws])) for part in ("train", "test"))
    dropped = sum(d["dropped_overlapping"] for d in draws)
    return (
        f"{count(samples['labelled'])} labelled cutouts of {len(metrics['classes'])} classes; {kept} "
        f"({count(split['groups'])} groups). {len(draws)} draw{'s' if len(draws) > 1 else ''} of about {count(train)} "
        f"training and {count(test)} test cutouts. {count(dropped)} test windows were dropped because they overlap a "
        "training window; training and test share no pixel."
    )


def _overall(metrics: dict[str, Any], protocols: list[str]) -> Table:
    rows = []
    for name in protocols:
        overall = metrics["protocols"][name]["overall"]
        cells = [measured(overall[m]["mean"], overall[m]["error"] or overall[m]["bootstrap_error"]) for m in OVERALL]
        rows.append([PROTOCOLS.get(name, name), *cells, measured(overall["accuracy"]["bootstrap_error"], None)])
    header = ["protocol", "accuracy", "macro precision", "macro recall", "macro F1", "bootstrap error of accuracy"]
    several = len(metrics["draws"]) > 1
    caption = "Mean and its error over draws" if several else "Scores and their bootstrap errors over test samples"
    caption += "; the bootstrap error is that of one draw's test set." if several else "."
    return Table(header, rows, caption, frozenset(range(1, 6)))


def _per_class(metrics: dict[str, Any], protocols: list[str]) -> Table:
    rows = []
    for name in protocols:
        for label, found in metrics["protocols"][name]["classes"].items():
            cells = [measured(found[m]["mean"], found[m]["error"]) for m in ("precision", "recall", "f1")]
            rows.append([PROTOCOLS.get(name, name), label, *cells, count(found["support"])])
    header = ["protocol", "class", "precision", "recall", "F1", "test samples"]
    return Table(header, rows, "Scores of each class; test samples are summed over draws.", frozenset(range(2, 6)))


def _sweeps(evaluation: Artifact) -> dict[str, dict[str, tuple[Any, Any, Any]]]:
    """Return parameter -> metric -> values, mean over draws, error."""
    values: dict[str, dict[str, dict[float, list[float]]]] = {}
    for row in pq.read_table(evaluation.path("scores.parquet")).to_pylist():
        if row["parameter"] is not None and row["value"] is not None:
            curve = values.setdefault(row["parameter"], {}).setdefault(row["metric"], {})
            curve.setdefault(row["parameter_value"], []).append(row["value"])
    result: dict[str, dict[str, tuple[Any, Any, Any]]] = {}
    for parameter, curves in sorted(values.items(), reverse=True):
        for metric, curve in curves.items():
            if len(curve) < 2:
                continue
            estimates = [mean_and_error(curve[v]) for v in sorted(curve)]
            triple = (
                np.array(sorted(curve)),
                np.array([e.mean for e in estimates]),
                np.array([e.error for e in estimates]),
            )
            result.setdefault(parameter, {})[metric] = triple
    return result


def _compare(family: Family, evaluation: Artifact) -> Table | None:
    """Set encoders beside each other that were evaluated in the same way on the same cutouts."""
    task = _task(family, evaluation)
    rows = []
    for other in family.others("evaluation"):
        if task is None or _task(family, other) != task:
            continue
        metrics = load_json(other, "metrics.json")
        features = family.inputs(other, "features")
        maker = "–" if features is None else encoder_name(family, features)
        for name in metrics["protocol_order"]:
            overall = metrics["protocols"][name]["overall"]
            cells = [measured(overall[m]["mean"], overall[m]["error"]) for m in ("accuracy", "macro_f1")]
            here = " (this report)" if other.id == evaluation.id else ""
            rows.append(([PROTOCOLS.get(name, name), maker + here, family.title(other), *cells], overall))
    if len({row[2] for row, _ in rows}) < 2:
        return None
    rows.sort(key=lambda item: (item[0][0], -(item[1]["accuracy"]["mean"] or 0)))
    caption = "Encoders evaluated on the same cutouts with the same draws, best accuracy first."
    return Table(
        ["protocol", "encoder", "evaluation", "accuracy", "macro F1"],
        [row for row, _ in rows],
        caption,
        frozenset({3, 4}),
    )


def _task(family: Family, evaluation: Artifact) -> tuple[str, str] | None:
    features = family.inputs(evaluation, "features")
    if features is None:
        return None
    cutouts = family.inputs(features, "dataset", "cutouts", "merge", "pack", "subsample")
    options = {k: v for k, v in evaluation.config.items() if k not in NOT_THE_TASK}
    return (cutouts.id if cutouts is not None else features.id, repr(sorted(options.items())))
