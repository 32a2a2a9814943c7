"""What a store knows of a model, for its model card: lineage, training, and the scores that descend from it."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import pyarrow.parquet as pq

from skysift.cutouts.catalogue import CATALOGUE, Catalogue
from skysift.encoders.checkpoint import DESCRIPTION, read_description
from skysift.encoders.domain import read_domain
from skysift.encoders.encoder import Description, Encoder
from skysift.encoders.release import Probe, Provenance
from skysift.errors import SkysiftError
from skysift.metrics.uncertainty import mean_and_error
from skysift.readable import measured
from skysift.report.commands import stage_class
from skysift.report.data import PROTOCOLS, load_json
from skysift.report.family import ID
from skysift.report.numbers import plain
from skysift.store.artifact import Artifact
from skysift.store.fields import Input, Source, markers
from skysift.store.lineage import ancestors
from skysift.store.store import Store

MOST_FILES = 8


def provenance_of(store: Store, model: Artifact, *, licence: str | None = None) -> Provenance:
    """Gather what the card of a model says besides the encoder itself.

    Parameters
    ----------
    store : Store
        Where the model is.
    model : Artifact
        The model.
    licence : str, optional
        That the weights get.
    """
    names = {id_: name for name, id_ in store.names().items()}
    family = ancestors(store, model.id)
    lineage = [("model", model.id[:12], _what(model))]
    lineage += [(a.kind, i[:12], _what(a)) if a else ("removed", i[:12], "") for i, a in family.items()]
    models = [model, *(a for a in family.values() if a is not None and a.kind == "model")]
    return Provenance(
        title=names.get(model.id, f"Encoder {model.id[:12]}"),
        id=model.id,
        training=_options(model) | {name.replace("_", " "): plain(value) for name, value in model.counts.items()},
        lineage=lineage,
        probes=probes_of(store, model),
        licences=[
            row for a in models if (a.folder / DESCRIPTION).is_file() for row in licences_of(read_description(a.folder))
        ],
        licence=licence,
        domain=read_domain(model.folder),
    )


def provenance_of_web(encoder: Encoder, spec: str, *, licence: str | None = None) -> Provenance:
    """Return what is known of an encoder that no store holds."""
    title = f"Encoder {PurePath(spec.partition(':')[2] or spec).name}"
    return Provenance(title=title, licences=licences_of(encoder.description), licence=licence)


def licences_of(description: Description) -> list[tuple[str, str]]:
    """Return the weights of others that an encoder holds, and their licence."""
    weights, licence = (description.origin.get(name) for name in ("weights", "licence"))
    if weights is None or weights.startswith("random"):
        return []
    return [(weights, licence or "not stated")]


def probes_of(store: Store, model: Artifact) -> list[Probe]:
    """Return all scores of features that a model gave: evaluations, benchmarks and classifiers."""
    every = list(store.artifacts())
    features = {
        a.id: a
        for a in every
        if a.kind == "features" and a.config.get("model") == model.id and a.config.get("weights") != "random"
    }
    found: list[Probe] = []
    for artifact in sorted(every, key=lambda a: (a.kind, a.id)):
        mine = [id_ for id_ in artifact.inputs if id_ in features]
        if artifact.kind in READERS and mine:
            found += READERS[artifact.kind](store, model, artifact, features)
    return found


def _evaluation(store: Store, model: Artifact, artifact: Artifact, features: dict[str, Artifact]) -> list[Probe]:
    metrics, source = load_json(artifact, "metrics.json"), features[artifact.config["features"]]
    return [
        Probe(
            dataset=_dataset(store, source),
            protocol=PROTOCOLS.get(name, name),
            samples=int(metrics["samples"]["labelled"]),
            **{
                metric: measured(scores["overall"][metric]["mean"], scores["overall"][metric]["error"])
                for metric in ("accuracy", "macro_f1")
            },
            seen=_seen(store, model, source),
            source=f"evaluation {artifact.id[:12]}",
        )
        for name, scores in ((name, metrics["protocols"][name]) for name in metrics["protocol_order"])
    ]


def _benchmark(store: Store, model: Artifact, artifact: Artifact, features: dict[str, Artifact]) -> list[Probe]:
    config = artifact.config
    rows = pq.read_table(artifact.path("scores.parquet"), filters=[("metric", "in", ["accuracy", "macro_f1"])])
    scores = [row for row in rows.to_pylist() if row["class"] is None]
    summary = load_json(artifact, "summary.json")
    places = zip(config["features"], config["encoder_of"], config["dataset_of"], strict=True)
    repeats: dict[tuple[str, str], int] = {}
    found = []
    for id_, encoder, dataset in places:
        repeat = repeats[encoder, dataset] = repeats.get((encoder, dataset), -1) + 1
        if id_ not in features:
            continue
        for protocol, fraction in dict.fromkeys((row["protocol"], row["fraction"]) for row in scores):
            which = (encoder, repeat, dataset, protocol, fraction)
            keys = ("encoder", "repeat", "dataset", "protocol", "fraction")
            mine = [row for row in scores if tuple(row[key] for key in keys) == which]
            if not mine:
                continue
            share = "" if fraction == 1 else f", {fraction:.0%} of the labels"
            found.append(
                Probe(
                    dataset=dataset,
                    protocol=PROTOCOLS.get(protocol, protocol) + share,
                    samples=int(summary["datasets"][dataset]["labelled"]),
                    **{metric: _mean(mine, metric) for metric in ("accuracy", "macro_f1")},
                    seen=_seen(store, model, features[id_]),
                    source=f"benchmark {artifact.id[:12]}",
                )
            )
    return found


def _classifier(store: Store, model: Artifact, artifact: Artifact, features: dict[str, Artifact]) -> list[Probe]:
    metrics, source = load_json(artifact, "metrics.json"), features[artifact.config["features"]]
    overall, count = metrics["scores"]["overall"], sum(metrics["split"]["validation"].values())
    return [
        Probe(
            dataset=_dataset(store, source),
            protocol="classifier, " + ("encoder frozen" if artifact.config["freeze"] else "encoder fine-tuned"),
            samples=int(count),
            **{m: measured(overall[m]["value"], overall[m]["error"]) for m in ("accuracy", "macro_f1")},
            seen=_seen(store, model, source),
            source=f"classifier {artifact.id[:12]}",
        )
    ]


READERS = {"evaluation": _evaluation, "benchmark": _benchmark, "classifier": _classifier}


def _mean(rows: list[dict[str, Any]], metric: str) -> str:
    values = [row["value"] for row in rows if row["metric"] == metric and row["value"] is not None]
    if not values:
        return measured(None, None)
    estimate = mean_and_error(values)
    return measured(estimate.mean, estimate.error)


def _dataset(store: Store, features: Artifact) -> str:
    """Return what a labelled set is called: its name in the store, that of its source file, or its id."""
    id_ = str(features.config["cutouts"])
    named = next((name for name, of in store.names().items() if of == id_), None)
    if named is not None:
        return named
    made = ancestors(store, features.id).get(id_)
    files = _files(made) if made is not None else []
    return files[0] if len(files) == 1 else f"{made.kind if made else 'removed'} {id_[:12]}"


def _seen(store: Store, model: Artifact, features: Artifact) -> str:
    """Tell whether the training set has images of the same files as a labelled set."""
    trained = next((a for a in ancestors(store, model.id).values() if a and (a.folder / CATALOGUE).is_file()), None)
    if trained is None:
        return "not known"
    mine, theirs = (set(Catalogue.open(a).mosaics.column("mosaic").to_pylist()) for a in (trained, features))
    return f"yes, {len(mine & theirs)} of {len(theirs)} files" if mine & theirs else "no"


def _what(artifact: Artifact) -> str:
    """Say in a line how an artifact was made."""
    rows = artifact.counts.get("rows")
    words = [str(artifact.manifest["stage"])] + ([] if rows is None else [f"{plain(rows)} rows"])
    words += [f"{name} {value}" for name, value in _options(artifact, defaults=False).items()]
    files = _files(artifact)
    if files:
        more = f" and {len(files) - MOST_FILES} more" if len(files) > MOST_FILES else ""
        words.append(f"from {', '.join(files[:MOST_FILES])}{more}")
    return "; ".join(words)


def _options(artifact: Artifact, *, defaults: bool = True) -> dict[str, str]:
    """Return the options that an artifact was made with, without inputs and files."""
    cls = stage_class(artifact)
    marks = {} if cls is None else markers(cls)
    usual = (
        {}
        if cls is None or defaults
        else {n: f.get_default(call_default_factory=True) for n, f in cls.model_fields.items()}
    )
    found = {}
    for name, value in artifact.config.items():
        skip = isinstance(marks.get(name), Input | Source) or value in (None, [], {}) or ID.fullmatch(str(value))
        if not skip and not (name in usual and _same(usual[name], value)):
            found[name.replace("_", " ")] = _named(value)
    return found


def _named(value: Any) -> str:
    """Write an option; of a group of options its name first."""
    if not isinstance(value, dict) or "name" not in value:
        return plain(value)
    rest = plain({key: inner for key, inner in value.items() if key != "name"})
    return f"{value['name']} ({rest})" if rest else str(value["name"])


def _same(default: Any, value: Any) -> bool:
    dumped = default.model_dump(mode="json") if hasattr(default, "model_dump") else default
    return (list(dumped) if isinstance(dumped, tuple) else dumped) == value


def _files(artifact: Artifact) -> list[str]:
    """Return the names of the files that an artifact was made from, without their folders."""
    try:
        paths = artifact.run["sources"]
    except SkysiftError:
        return []
    prints = [print_ for values in artifact.manifest["sources"].values() for print_ in values]
    return sorted(PurePath(str(paths[p])).name for p in prints if p in paths)
