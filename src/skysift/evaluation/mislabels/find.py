"""Find labels that are probably wrong: probes on features, confident learning, and tables with the worst first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skysift.cutouts.place import place_columns, table_field
from skysift.errors import RequestError
from skysift.evaluation.evaluation import json_number
from skysift.evaluation.mislabels.confident import Joint, confident_joint, label_quality
from skysift.evaluation.mislabels.folds import part_samples
from skysift.evaluation.options import Splitting
from skysift.evaluation.protocols.base import Problem
from skysift.evaluation.samples import Samples, class_order, load_samples
from skysift.evaluation.splits import part_groups
from skysift.tables.votable import write_votable

if TYPE_CHECKING:
    from skysift.evaluation.stages import Mislabels
    from skysift.store.context import Context

VALIDATION = 0.2
Rows = NDArray[np.int64]


def find_mislabels(stage: Mislabels, context: Context) -> dict[str, Any]:
    """Carry out a request; return its counts.

    Raises
    ------
    RequestError
        If the labels are too few, or lie too close together to be parted.
    """
    features = context.input(stage.features)
    samples = load_samples(features, stage.classes, () if stage.classes else class_order(features, context.input))
    probabilities = np.zeros((len(samples), len(samples.class_set)))
    notes = list(samples.notes)
    work = list(_parts(samples, stage))
    for train, held, seed in context.progress.track(work, label="mislabels"):
        outcome = stage.linear.evaluate(_problem(samples, train, held, seed))
        notes += outcome.notes
        probabilities[held] += outcome.probabilities / stage.repeats
    for note in dict.fromkeys(notes):
        context.warn(note)
    joint = confident_joint(probabilities, samples.classes)
    quality = label_quality(probabilities, samples.classes, stage.score)
    order = np.argsort(quality, kind="stable")
    table = _table(pq.read_table(features.path("catalogue.parquet")), samples, probabilities, joint, quality, order)
    pq.write_table(table, context.folder / "mislabels.parquet", compression="zstd", use_dictionary=["mosaic"])
    write_votable(
        table,
        context.folder / "mislabels.vot",
        name="mislabels",
        description=f"Labelled cutouts of features {features.id}, the most suspicious first",
    )
    pyarrow.csv.write_csv(table, context.folder / "mislabels.csv")
    summary = _summary(samples, probabilities, joint)
    (context.folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    return {
        "rows": len(samples),
        "classes": len(samples.class_set),
        "suspected": int(joint.suspected.sum()),
        "estimated_wrong": round(joint.wrong, 1),
        "accuracy": round(float((probabilities.argmax(axis=1) == samples.classes).mean()), 6),
    }


def _parts(samples: Samples, stage: Mislabels) -> Iterator[tuple[Rows, Rows, int]]:
    """Yield training samples, held ones and a seed for each part of each division."""
    for seed in range(stage.seed, stage.seed + stage.repeats):
        parts = part_samples(samples, stage.split, stage.cell_order, stage.folds, seed=seed)
        for number, (train, held) in enumerate(parts):
            if len(np.unique(samples.classes[train])) < 2:
                raise RequestError(
                    f"Without part {number + 1} of {len(parts)} one class is left to learn from: use --split image, "
                    "another number of --folds, or label more cutouts."
                )
            yield train, held, seed


def _problem(samples: Samples, train: Rows, held: Rows, seed: int) -> Problem:
    """Pose the problem of classifying the held samples; a fifth of the others chooses the penalty."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, len(train)])))
    groups = np.unique(samples.twins[train], return_inverse=True)[1].astype(np.int64)
    chooses = part_groups(groups, samples.classes[train], len(samples.class_set), VALIDATION, rng)
    fit, validation = train[~chooses], train[chooses]
    lost = len(np.unique(samples.classes[fit])) < len(np.unique(samples.classes[train]))
    if lost or len(validation) < Splitting().least_validation:
        fit, validation = train, train[:0]
    return Problem(
        train=samples.matrix(train),
        train_classes=samples.classes[train],
        fit=samples.matrix(fit),
        fit_classes=samples.classes[fit],
        validation=samples.matrix(validation),
        validation_classes=samples.classes[validation],
        test=samples.matrix(held),
        n_classes=len(samples.class_set),
        seed=seed,
    )


def _table(
    catalogue: Any,
    samples: Samples,
    probabilities: NDArray[np.float64],
    joint: Joint,
    quality: NDArray[np.float64],
    order: NDArray[np.int64],
) -> Any:
    """Build the table of all labelled cutouts, in the order of suspicion."""
    names = np.array(samples.class_set.names)
    labels, best = samples.classes[order], probabilities[order].copy()
    own = best[np.arange(len(order)), labels].copy()
    best[np.arange(len(order)), labels] = -1
    other = best.argmax(axis=1)
    made = {
        "rank": (np.arange(1, len(order) + 1, dtype=np.int32), pa.int32(), "1 = most suspicious.", "meta.number"),
        "label": (names[labels], pa.string(), "The label that it has.", "meta.code.class"),
        "suggestion": (names[other], pa.string(), "The likeliest other class.", "meta.code.class"),
        "suspected": (
            joint.suspected[order],
            pa.bool_(),
            "Whether it is confidently of another class (confident learning).",
            "meta.code",
        ),
        "quality": (quality[order].astype(np.float32), pa.float32(), "How well the label fits.", "stat.likelihood"),
        "p_label": (own.astype(np.float32), pa.float32(), "Probability of the label.", "stat.probability"),
        "p_suggestion": (
            best.max(axis=1).astype(np.float32),
            pa.float32(),
            "Probability of the suggestion.",
            "stat.probability",
        ),
        "row": (samples.rows[order], pa.int64(), "Row of the features' catalogue, 0-based.", "meta.number"),
    }
    fields = [table_field(name, type_, said, ucd) for name, (_, type_, said, ucd) in made.items()]
    columns = [pa.array(values.tolist(), type_) for values, type_, _, _ in made.values()]
    place_fields, places = place_columns(catalogue.take(samples.rows[order]))
    return pa.Table.from_arrays([*columns, *places], schema=pa.schema([*fields, *place_fields]))


def _summary(samples: Samples, probabilities: NDArray[np.float64], joint: Joint) -> dict[str, Any]:
    """Return what the report shows beside the pictures."""
    return {
        "classes": list(samples.class_set.names),
        "members": samples.members(),
        "labelled": samples.class_counts(np.arange(len(samples))),
        "thresholds": [json_number(value) for value in joint.thresholds],
        "confident_counts": joint.counts.tolist(),
        "joint": joint.joint.tolist(),
        "estimated_wrong": joint.wrong,
        "suspected": samples.class_counts(np.flatnonzero(joint.suspected)),
        "accuracy": float((probabilities.argmax(axis=1) == samples.classes).mean()),
        "samples": samples.describe(),
    }
