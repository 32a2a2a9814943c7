"""Train a classifier on labelled cutouts, hold some back, and say how well it does on those."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skysift.encoders.domain import read_domain, write_domain
from skysift.errors import RequestError
from skysift.evaluation.classifier.model import Classifier, save_classifier
from skysift.evaluation.classifier.temperature import cross_fitted, fit_temperature, scaled
from skysift.evaluation.evaluation import json_number
from skysift.evaluation.finetuning.tune import FineTuned, fine_tune
from skysift.evaluation.images import prepare_images
from skysift.evaluation.options import Splitting
from skysift.evaluation.samples import Samples, class_order, load_samples
from skysift.evaluation.splits import Fold, Folds, make_folds
from skysift.metrics.calibration import brier_score, chance_error, negative_log_likelihood, reliability
from skysift.metrics.classification import class_scores, confusion_matrix
from skysift.metrics.uncertainty import bootstrap_errors

if TYPE_CHECKING:
    from skysift.evaluation.stages import TrainClassifier
    from skysift.store.context import Context

LEAST_VALIDATION = 30

HELD = pa.schema(
    [
        pa.field("row", pa.int64(), metadata={"description": "Row of the features' catalogue."}),
        pa.field("cutout_id", pa.string(), metadata={"description": "Cutout.", "ucd": "meta.id"}),
        pa.field("truth", pa.int32(), metadata={"description": "True class index.", "ucd": "meta.code.class"}),
        pa.field("predicted", pa.int32(), metadata={"description": "Predicted class index."}),
        pa.field("raw", pa.float32(), metadata={"description": "Softmax of the predicted class, temperature 1."}),
        pa.field(
            "probability",
            pa.float32(),
            metadata={
                "description": "Of the predicted class, its temperature fitted on other validation cutouts.",
                "ucd": "stat.probability",
            },
        ),
    ]
)


def train_classifier(stage: TrainClassifier, context: Context) -> dict[str, Any]:
    """Carry out a request; return its counts.

    Raises
    ------
    RequestError
        If the labels can't be parted as asked, or a class has no training cutout.
    SkysiftError
        If the encoder is not the one that made the features, or the loss is not finite.
    """
    features = context.input(stage.features)
    samples = load_samples(features, stage.classes, () if stage.classes else class_order(features, context.input))
    splitting = Splitting(split=stage.split, cell_order=stage.cell_order, test_fraction=stage.validation_fraction)
    folds = make_folds(samples, splitting, draws=1, seed=stage.seed)
    fold = folds.folds[0]
    _check(samples, fold)
    source = prepare_images(features, context, samples.rows, [stage])
    with context.progress.bar(stage.passes, "train classifier") as bar:

        def advance(note: str) -> None:
            bar.note(note)
            bar.advance()

        tuned = fine_tune(
            source,
            fold.train,
            samples.classes[fold.train],
            len(samples.class_set),
            stage,
            seed=stage.seed,
            device=context.device,
            advance=advance,
            checkpoints=context.scratch / "checkpoints",
            held=(fold.test, samples.classes[fold.test]),
        )
    held = Held.of(tuned.logits(fold.test), samples.classes[fold.test], seed=stage.seed)
    notes = [*samples.notes, *folds.notes]
    if len(fold.test) < LEAST_VALIDATION:
        notes.append(f"only {len(fold.test)} cutouts to fit the temperature on: probabilities are rough")
    if (held.logits.argmax(axis=1) == held.truth).all():
        notes.append("every validation cutout is classified rightly, so no temperature can be fitted: it stays 1")
    for note in dict.fromkeys(notes):
        context.warn(note)
    known = read_domain(source.request.spec) if source.request.weights == "pretrained" else None
    if known is not None:
        write_domain(known, context.folder)
    return _write(stage, context.folder, samples, folds, tuned, held)


@dataclass(frozen=True)
class Held:
    """The validation cutouts: logits (n, k), classes (n,), temperature, and probabilities without and with it."""

    logits: NDArray[np.float64]
    truth: NDArray[np.int64]
    temperature: float
    raw: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    @classmethod
    def of(cls, logits: NDArray[np.float64], truth: NDArray[np.int64], *, seed: int) -> Held:
        """Fit the temperature; the probabilities with it are cross-fitted."""
        fitted = cross_fitted(logits, truth, seed=seed)
        return cls(logits, truth, fit_temperature(logits, truth), scaled(logits, 1.0), fitted)

    def calibration(self, probabilities: NDArray[np.float64], *, seed: int) -> dict[str, Any]:
        """Return scores of the probabilities and the points of a reliability diagram, ready for JSON."""
        found = reliability(probabilities, self.truth)
        return {
            "ece": found.error,
            "ece_by_chance": chance_error(probabilities, seed=seed),
            "nll": negative_log_likelihood(probabilities, self.truth),
            "brier": brier_score(probabilities, self.truth),
            "bins": {
                "edges": found.edges.tolist(),
                "count": found.count.tolist(),
                "confidence": [json_number(value) for value in found.confidence],
                "accuracy": [json_number(value) for value in found.accuracy],
            },
        }


def _check(samples: Samples, fold: Fold) -> None:
    """Refuse a class that nothing can be learnt of."""
    counts = samples.class_counts(fold.train)
    missing = [name for name, count in counts.items() if not count]
    if missing:
        raise RequestError(
            f"No cutout to train on is left of {', '.join(missing)}: label more of them, leave the class out "
            "(--classes), or divide in another way (--split, --seed)."
        )


def _write(
    stage: TrainClassifier, folder: Path, samples: Samples, folds: Folds, tuned: FineTuned, held: Held
) -> dict[str, Any]:
    """Write the artifact's files; return the counts."""
    fold, names = folds.folds[0], samples.class_set.names
    confusion = confusion_matrix(held.truth, held.logits.argmax(axis=1), len(names))
    scores = class_scores(confusion)
    errors = bootstrap_errors(confusion, seed=stage.seed)
    before, after = (held.calibration(p, seed=stage.seed) for p in (held.raw, held.probabilities))
    metrics = {
        "classes": list(names),
        "members": samples.members(),
        "scores": {
            "overall": {name: {"value": value, "error": errors[name]} for name, value in scores.overall().items()},
            "classes": {
                name: {metric: json_number(getattr(scores, metric)[k]) for metric in ("precision", "recall", "f1")}
                | {"support": int(scores.support[k])}
                for k, name in enumerate(names)
            },
            "confusion": confusion.tolist(),
        },
        "calibration": {"temperature": held.temperature, "before": before, "after": after},
        "split": {
            "by": folds.by,
            "groups": folds.groups,
            "cell_order": folds.cell_order,
            "train": samples.class_counts(fold.train),
            "validation": samples.class_counts(fold.test),
            "dropped_overlapping": fold.dropped,
        },
        "samples": samples.describe(),
    }
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    columns = {
        "row": samples.rows[fold.test],
        "cutout_id": samples.cutout_ids[fold.test],
        "truth": held.truth,
        "predicted": held.logits.argmax(axis=1),
        "raw": held.raw.max(axis=1),
        "probability": held.probabilities.max(axis=1),
    }
    arrays = [pa.array(columns[field.name].tolist(), field.type) for field in HELD]
    pq.write_table(pa.Table.from_arrays(arrays, schema=HELD), folder / "validation.parquet")
    with (folder / "history.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, tuned.history[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(tuned.history)
    encoder = tuned.encoder
    classifier = Classifier(encoder.module, encoder.description, tuned.layer, names, held.temperature)
    save_classifier(classifier, folder, notes=_card(stage, fold, metrics))
    return {
        "rows": len(fold.train),
        "validation": len(fold.test),
        "classes": len(names),
        "accuracy": round(scores.accuracy, 6),
        "macro_f1": round(scores.macro_f1, 6),
        "temperature": round(held.temperature, 6),
        "ece": round(after["ece"], 6),
    }


def _card(stage: TrainClassifier, fold: Fold, metrics: dict[str, Any]) -> dict[str, str]:
    """Return what the model card says about the classifier."""
    overall, calibration = metrics["scores"]["overall"], metrics["calibration"]
    how = "the layer alone, encoder frozen" if stage.freeze else "encoder and layer"
    return {
        "Classes": ", ".join(f"{name} ({n})" for name, n in metrics["split"]["train"].items()),
        "Training set": f"{len(fold.train)} labelled cutouts of features {stage.features}",
        "Trained": f"{how}, {stage.passes} epochs, AdamW, peak rate {stage.learning_rate:g}, batch {stage.batch_size}",
        "Validation set": f"{len(fold.test)} cutouts that share no pixel with the training set",
        "Accuracy": f"{overall['accuracy']['value']:.3f} ± {overall['accuracy']['error']:.3f}",
        "Macro F1": f"{overall['macro_f1']['value']:.3f} ± {overall['macro_f1']['error']:.3f}",
        "Temperature": f"{calibration['temperature']:.3f}",
        "Calibration error": f"{calibration['after']['ece']:.3f} ({calibration['before']['ece']:.3f} without the "
        f"temperature; {calibration['after']['ece_by_chance']:.3f} by chance)",
    }
