"""Run protocols over draws, and gather scores with their errors."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skysift.evaluation.options import Splitting
from skysift.evaluation.protocols.base import Outcome, Pictures, Problem, Protocol
from skysift.evaluation.resume import load_outcome, save_outcome
from skysift.evaluation.samples import Samples
from skysift.evaluation.splits import Fold, Folds, make_folds
from skysift.metrics.classification import ClassScores, class_scores, confusion_matrix
from skysift.metrics.uncertainty import bootstrap_errors, mean_and_error
from skysift.store.progress import Progress

PER_CLASS = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Evaluation:
    """Everything that an evaluation found.

    Attributes
    ----------
    protocols : tuple of str
        Names, in the order of the first axis of `confusion`.
    confusion : ndarray of int64, shape (protocols, draws, classes, classes)
        Row = true class, column = predicted class.
    predictions : dict of str to list
        Columns draw, protocol, row, cutout_id, truth, predicted, probability.
    scores : list of dict
        Tidy: draw, protocol, class (None = over all), metric, parameter, parameter_value, value.
    summary : dict
        Means and errors, ready for JSON (None where a number is not known).
    notes : list of str
        What a user should know, each once.
    """

    protocols: tuple[str, ...]
    confusion: NDArray[np.int64]
    predictions: dict[str, list[Any]]
    scores: list[dict[str, Any]]
    summary: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def evaluate(
    samples: Samples,
    protocols: Mapping[str, Protocol],
    options: Splitting,
    *,
    draws: int,
    seed: int,
    device: str = "cpu",
    progress: Progress | None = None,
    scratch: Path | None = None,
) -> Evaluation:
    """Evaluate features on labelled samples.

    Parameters
    ----------
    samples : Samples
        Labelled samples.
    protocols : mapping of str to Protocol
        Name -> options and method.
    options : Splitting
        How training and test sets are made.
    draws : int
        Number of draws.
    seed : int
        Seed of everything random.
    device : str
        Torch device for protocols that use one; `auto` leaves it to them.
    progress : Progress, optional
        Where progress is shown; nowhere by default.
    scratch : Path, optional
        Folder that keeps what is finished of a request: a draw that is there is not worked out again.

    Returns
    -------
    Evaluation

    Raises
    ------
    RequestError
        If the samples can't be split as asked.
    """
    folds = make_folds(samples, options, draws=draws, seed=seed)
    names = tuple(protocols)
    k = len(samples.class_set)
    confusion = np.zeros((len(names), len(folds.folds), k, k), dtype=np.int64)
    predictions: dict[str, list[Any]] = {
        name: [] for name in ("draw", "protocol", "row", "cutout_id", "truth", "predicted", "probability")
    }
    scores: list[dict[str, Any]] = []
    chosen: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    notes = [*samples.notes, *folds.notes]
    importlib.import_module("sklearn.linear_model")  # now, lest it count as the first step's time
    for draw, name, outcome in _outcomes(samples, folds, protocols, seed, device, progress, scratch):
        fold = folds.folds[draw]
        truth, predicted = samples.classes[fold.test], outcome.probabilities.argmax(axis=1)
        matrix = confusion_matrix(truth, predicted, k)
        confusion[names.index(name), draw] = matrix
        chosen[name].append(outcome.chosen)
        notes += [f"{name}: {note}" for note in outcome.notes]
        scores += _tidy(class_scores(matrix), samples, draw, name) + _tidy_sweep(outcome, truth, draw, name)
        _append(predictions, samples, fold, draw, name, outcome)
    summary = {
        "classes": list(samples.class_set.names),
        "members": samples.members(),
        "protocols": {name: _summarise(confusion[i], samples, chosen[name], seed) for i, name in enumerate(names)},
        **_describe_split(samples, folds),
    }
    return Evaluation(names, confusion, predictions, scores, summary, list(dict.fromkeys(notes)))


def _outcomes(
    samples: Samples,
    folds: Folds,
    protocols: Mapping[str, Protocol],
    seed: int,
    device: str,
    progress: Progress | None,
    scratch: Path | None,
) -> Iterator[tuple[int, str, Outcome]]:
    """Yield draw, protocol and outcome, draw by draw; what an earlier, killed run finished is read again."""
    total = len(folds.folds) * sum(protocol.steps for protocol in protocols.values())
    with (progress or Progress(quiet=True)).bar(total, "evaluate") as bar:

        def advance(note: str) -> None:
            bar.note(note)
            bar.advance()

        for draw, fold in enumerate(folds.folds):
            for name, protocol in protocols.items():
                end = bar.done + protocol.steps
                kept = None if scratch is None else scratch / f"outcome-{draw:04d}-{name}.npz"
                if kept is not None and kept.is_file():
                    outcome = load_outcome(kept)
                else:
                    outcome = protocol.evaluate(_problem(samples, fold, seed + draw, device, advance))
                    if kept is not None:
                        save_outcome(outcome, kept)
                bar.note(f"{name}, draw {draw + 1} of {len(folds.folds)}")
                bar.advance(end - bar.done)
                yield draw, name, outcome


def _problem(samples: Samples, fold: Fold, seed: int, device: str, advance: Callable[[str], None]) -> Problem:
    source = samples.images
    pictures = None if source is None else Pictures(source, fold.train, fold.fit, fold.validation, fold.test)
    return Problem(
        train=samples.matrix(fold.train),
        train_classes=samples.classes[fold.train],
        fit=samples.matrix(fold.fit),
        fit_classes=samples.classes[fold.fit],
        validation=samples.matrix(fold.validation),
        validation_classes=samples.classes[fold.validation],
        test=samples.matrix(fold.test),
        n_classes=len(samples.class_set),
        seed=seed,
        device=device,
        pictures=pictures,
        texts=samples.texts,
        advance=advance,
    )


def _append(
    columns: dict[str, list[Any]], samples: Samples, fold: Fold, draw: int, name: str, outcome: Outcome
) -> None:
    n = len(fold.test)
    predicted = outcome.probabilities.argmax(axis=1)
    columns["draw"] += [draw] * n
    columns["protocol"] += [name] * n
    columns["row"] += samples.rows[fold.test].tolist()
    columns["cutout_id"] += samples.cutout_ids[fold.test].tolist()
    columns["truth"] += samples.classes[fold.test].tolist()
    columns["predicted"] += predicted.tolist()
    columns["probability"] += outcome.probabilities[np.arange(n), predicted].tolist()


def _tidy(found: ClassScores, samples: Samples, draw: int, name: str) -> list[dict[str, Any]]:
    rows = [_score(draw, name, None, metric, value) for metric, value in found.overall().items()]
    for index, label in enumerate(samples.class_set.names):
        for metric in (*PER_CLASS, "support"):
            rows.append(_score(draw, name, label, metric, float(getattr(found, metric)[index])))
    return rows


def _tidy_sweep(outcome: Outcome, truth: NDArray[np.int64], draw: int, name: str) -> list[dict[str, Any]]:
    rows = []
    for tried in outcome.sweep:
        setting = (tried["parameter"], tried["value"])
        if tried["validation_accuracy"] is not None:
            rows.append(_score(draw, name, None, "validation_accuracy", tried["validation_accuracy"], *setting))
        if "probabilities" in tried:
            right = float((tried["probabilities"].argmax(axis=1) == truth).mean())
            rows.append(_score(draw, name, None, "accuracy", right, *setting))
    return rows


def _score(
    draw: int,
    name: str,
    label: str | None,
    metric: str,
    value: float,
    parameter: str | None = None,
    parameter_value: float | None = None,
) -> dict[str, Any]:
    return {
        "draw": draw,
        "protocol": name,
        "class": label,
        "metric": metric,
        "parameter": parameter,
        "parameter_value": parameter_value,
        "value": value if value == value else None,
    }


def _summarise(
    confusions: NDArray[np.int64], samples: Samples, chosen: list[dict[str, Any]], seed: int
) -> dict[str, Any]:
    """Return means over draws, their errors, and the bootstrap error of a single draw's test set."""
    found = [class_scores(matrix) for matrix in confusions]
    bootstrap = [bootstrap_errors(matrix, seed=seed) for matrix in confusions]
    overall = {}
    for metric in found[0].overall():
        estimate = mean_and_error([scores.overall()[metric] for scores in found])
        overall[metric] = {
            "mean": json_number(estimate.mean),
            "error": json_number(estimate.error),
            "bootstrap_error": json_number(float(np.mean([b[metric] for b in bootstrap]))),
        }
    classes = {}
    for index, label in enumerate(samples.class_set.names):
        row: dict[str, Any] = {"support": int(sum(scores.support[index] for scores in found))}
        for metric in PER_CLASS:
            estimate = mean_and_error([getattr(scores, metric)[index] for scores in found])
            row[metric] = {"mean": json_number(estimate.mean), "error": json_number(estimate.error)}
        classes[label] = row
    return {"overall": overall, "classes": classes, "chosen": chosen}


def _describe_split(samples: Samples, folds: Folds) -> dict[str, Any]:
    return {
        "split": {"by": folds.by, "groups": folds.groups, "cell_order": folds.cell_order},
        "draws": [
            {
                "train": samples.class_counts(fold.train),
                "test": samples.class_counts(fold.test),
                "validation": len(fold.validation),
                "dropped_overlapping": fold.dropped,
            }
            for fold in folds.folds
        ],
        "samples": samples.describe(),
    }


def json_number(value: float) -> float | None:
    """Return a number as JSON can hold it: None where it is not finite."""
    return float(value) if np.isfinite(value) else None
