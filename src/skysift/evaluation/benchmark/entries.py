"""From the encoders and labelled sets that a YAML names to the stages that make their features."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from skysift.datasets.find import find_labelled_set
from skysift.datasets.names import KNOWN
from skysift.errors import RequestError
from skysift.evaluation.benchmark.options import Task

ID = re.compile(r"[0-9a-f]{4,32}")
TASK = frozenset(Task.model_fields) - {"dataset"}


def benchmark_entries(
    name: str, options: dict[str, Any], *, where: str, others: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Return the entries of a pipeline that a benchmark stands for.

    Parameters
    ----------
    name : str
        Of the benchmark's entry. Those of its labelled sets are called `NAME/DATASET`, those of features
        `NAME/DATASET/ENCODER`, with a number where an encoder is there several times.
    options : dict
        What stands below the entry: `encoders`, `datasets`, and options of the stage.
    where : str
        Begins the message of an error.
    others : collection of str
        Names of the pipeline's other entries, which encoders and datasets may refer to.

    Returns
    -------
    dict of str to dict
        By name; the last one is the benchmark itself, with the names of features as its inputs.

    Raises
    ------
    RequestError
        If there is no encoder or no data set, or one of them is described by something that can't be.
    """
    rest = {key: value for key, value in options.items() if key not in ("encoders", "datasets")}
    encoders = {
        encoder: [_encoder(spec, f"{where}: encoder {encoder!r}") for spec in _as_list(spec)]
        for encoder, spec in _named(options.get("encoders"), "encoders", where).items()
    }
    entries: dict[str, dict[str, Any]] = {}
    tasks, features, encoder_of, dataset_of = [], [], [], []
    for dataset, spec in _named(options.get("datasets"), "datasets", where).items():
        labelled, drawing = _dataset(spec, f"{where}: dataset {dataset!r}", others)
        cutouts = labelled.get("cutouts")
        if cutouts is None:
            cutouts = f"{name}/{dataset}"
            entries[cutouts] = {"stage": "dataset", **labelled}
        if drawing:
            tasks.append({"dataset": dataset, **drawing})
        for encoder, repeats in encoders.items():
            for number, encoded in enumerate(repeats):
                part = f"{name}/{dataset}/{encoder}" + (f"/{number}" if len(repeats) > 1 else "")
                entries[part] = {"stage": "features", "cutouts": cutouts, **encoded}
                features.append(part)
                encoder_of.append(encoder)
                dataset_of.append(dataset)
    made = {"features": features, "encoder_of": encoder_of, "dataset_of": dataset_of}
    for key in (*made, "tasks"):
        if key in rest:
            raise RequestError(f"{where}: {key!r} follows from encoders and datasets; leave it out.")
    entries[name] = {**rest, **made, **({"tasks": tasks} if tasks else {})}
    return entries


def _named(value: Any, key: str, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise RequestError(f"{where}: {key!r} is missing or empty; write NAME: WHAT below it, one a line.")
    return {str(name): spec for name, spec in value.items()}


def _as_list(spec: Any) -> list[Any]:
    return spec if isinstance(spec, list) and spec else [spec]


def _encoder(spec: Any, where: str) -> dict[str, Any]:
    """Return options of `features`."""
    if isinstance(spec, str):
        return {"encoder": spec}
    if not isinstance(spec, dict) or not spec:
        raise RequestError(
            f"{where}: give timm:NAME, hf:NAME, a model, or options of `features` (encoder, weights ...)."
        )
    for key in ("cutouts", "stage"):
        if key in spec:
            raise RequestError(f"{where}: {key!r} is not for an encoder to say; leave it out.")
    return dict(spec)


def _dataset(spec: Any, where: str, others: Collection[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return options of `dataset` (or the labelled cutouts), and those of the task."""
    if isinstance(spec, str):
        return _reference(spec, others), {}
    if not isinstance(spec, dict) or not spec:
        raise RequestError(f"{where}: give a path, a name, labelled cutouts, or options of `dataset` (source ...).")
    if "label_fraction" in spec:
        raise RequestError(f"{where}: 'label_fraction' is not for one set to say; use the benchmark's fractions.")
    drawing = {key: value for key, value in spec.items() if key in TASK}
    labelled = {key: value for key, value in spec.items() if key not in TASK}
    if "cutouts" in labelled and len(labelled) > 1:
        extra = ", ".join(sorted(set(labelled) - {"cutouts"}))
        raise RequestError(f"{where}: labelled cutouts are complete as they are; leave out {extra}.")
    return labelled, drawing


def _reference(text: str, others: Collection[str]) -> dict[str, Any]:
    """Tell an entry or an id from files; a labelled set of that name wins over an artifact of that name."""
    if text in others or ID.fullmatch(text):
        return {"cutouts": text}
    if "/" in text or "." in text or text.lower() in KNOWN:
        return {"source": text}
    try:
        find_labelled_set(text)
    except RequestError:
        return {"cutouts": text}
    return {"source": text}
