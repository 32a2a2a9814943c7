"""What is scored on what: for each labelled set the samples, and draws that are the same for every encoder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skysift.errors import RequestError
from skysift.evaluation.benchmark.options import Task
from skysift.evaluation.options import Splitting
from skysift.evaluation.samples import Samples, class_order, load_samples
from skysift.evaluation.splits import Folds, join_groups, make_folds

if TYPE_CHECKING:
    from skysift.evaluation.benchmark.stages import Benchmark
    from skysift.store.artifact import Artifact
    from skysift.store.context import Context


@dataclass(frozen=True)
class Member:
    """Features of one labelled set by one trained encoder.

    Attributes
    ----------
    encoder : str
        Name of the encoder.
    repeat : int
        Which of its trainings.
    folder : Path
        Of the features artifact.
    """

    encoder: str
    repeat: int
    folder: Path


@dataclass(frozen=True)
class Sheet:
    """A labelled set with all features of it and the draws that they share.

    Attributes
    ----------
    dataset : str
        Name of the labelled set.
    members : list of Member
        Features by every encoder.
    samples : Samples
        Of the first member; rows, classes and places are those of all.
    folds : dict of float to Folds
        Label fraction -> draws. Test sets are the same for every fraction.
    test_over_train : float
        Test over training samples of a draw with all labels, for the correction of paired tests.
    notes : list of str
        What a user should know.
    """

    dataset: str
    members: list[Member]
    samples: Samples
    folds: dict[float, Folds]
    test_over_train: float
    notes: list[str]


def lay_out(stage: Benchmark, context: Context) -> list[Sheet]:
    """Load the samples of every labelled set and draw training and test sets.

    Raises
    ------
    RequestError
        If the encoders' features of a set are not of the same cutouts, or a set can't be drawn from as asked.
    """
    tasks = {task.dataset: task for task in stage.tasks}
    return [_sheet(stage, context, tasks.get(name, Task(dataset=name))) for name in stage.datasets]


def _sheet(stage: Benchmark, context: Context, task: Task) -> Sheet:
    artifacts: list[Artifact] = []
    members: list[Member] = []
    for id_, encoder, dataset in zip(stage.features, stage.encoder_of, stage.dataset_of, strict=True):
        if dataset == task.dataset:
            artifacts.append(context.input(id_))
            members.append(Member(encoder, sum(m.encoder == encoder for m in members), artifacts[-1].folder))
    where = f"dataset {task.dataset!r}"
    try:
        order = () if task.classes else class_order(artifacts[0], context.input)
        loaded = [load_samples(artifact, task.classes, order) for artifact in artifacts]
        _same_cutouts(loaded, members)
        samples = replace(loaded[0], twins=_common_twins(loaded), notes=[])
        drawing = task.model_dump(exclude={"dataset", "classes"})
        folds = {
            fraction: make_folds(
                samples, Splitting(**drawing, label_fraction=fraction), draws=stage.draws, seed=stage.seed
            )
            for fraction in sorted({1.0, *stage.fractions}, reverse=True)
        }
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from error
    whole = folds[1.0].folds
    notes = [f"{where}, {m.encoder}: {note}" for m, s in zip(members, loaded, strict=True) for note in s.notes]
    notes += [f"{where}: {note}" for found in folds.values() for note in found.notes]
    notes += [f"{where}: {note}" for note in _small_classes(samples, folds, stage.fractions)]
    return Sheet(
        dataset=task.dataset,
        members=members,
        samples=samples,
        folds={fraction: folds[fraction] for fraction in stage.fractions},
        test_over_train=float(np.mean([len(fold.test) / len(fold.train) for fold in whole])),
        notes=list(dict.fromkeys(notes)),
    )


def _same_cutouts(loaded: list[Samples], members: list[Member]) -> None:
    """Assert that every encoder has the same samples, row by row."""
    first = loaded[0]
    for other, member in zip(loaded[1:], members[1:], strict=True):
        same = np.array_equal(first.cutout_ids, other.cutout_ids) and np.array_equal(first.classes, other.classes)
        if not same or not np.array_equal(first.rows, other.rows):
            raise RequestError(
                f"the features by {member.encoder!r} are of other cutouts than those by {members[0].encoder!r}: "
                "extract both from one catalogue."
            )


def _common_twins(loaded: list[Samples]) -> NDArray[np.int64]:
    """Number samples by content: equal where any encoder that has not collapsed finds them equal.

    Draws may not depend on which encoder looks, so that all share them.
    """
    twins = np.arange(len(loaded[0]), dtype=np.int64)
    for samples in loaded:
        if not samples.notes:
            twins = join_groups(twins, samples.twins)
    return twins


def _small_classes(samples: Samples, folds: dict[float, Folds], fractions: tuple[float, ...]) -> list[str]:
    """Say where a class has too few training samples for a label fraction: one is taken all the same."""
    counts = np.array(
        [np.bincount(samples.classes[f.train], minlength=len(samples.class_set)) for f in folds[1.0].folds]
    )
    notes = []
    for fraction in sorted(fractions, reverse=True):
        least = np.where(counts.any(axis=0), np.where(counts > 0, counts, counts.max()).min(axis=0), 0)
        short = [(samples.class_set.names[k], n) for k, n in enumerate(least) if 0 < n * fraction < 1]
        if short:
            listed = ", ".join(f"{label} ({n})" for label, n in short)
            notes.append(f"label fraction {fraction:g} is less than one training sample of {listed}: one is taken")
    return notes


def describe(sheet: Sheet) -> dict[str, Any]:
    """Return what a reader must know of a labelled set's draws, ready for JSON."""
    samples = sheet.samples
    any_folds = next(iter(sheet.folds.values()))
    return {
        "classes": list(samples.class_set.names),
        "labelled": len(samples),
        "without_class": samples.unlabelled,
        "several_classes": samples.ambiguous,
        "split": {"by": any_folds.by, "groups": any_folds.groups, "cell_order": any_folds.cell_order},
        "test_over_train": sheet.test_over_train,
        "fractions": [
            {
                "fraction": fraction,
                "draws": len(found.folds),
                "train": [len(fold.train) for fold in found.folds],
                "test": [len(fold.test) for fold in found.folds],
                "validation": [len(fold.validation) for fold in found.folds],
                "dropped_overlapping": sum(fold.dropped for fold in found.folds),
            }
            for fraction, found in sheet.folds.items()
        ],
    }
