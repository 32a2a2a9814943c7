"""A classifier: its scores on cutouts that were held back, how far it can be trusted, and what it made of others."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skysift.errors import RequestError
from skysift.readable import measured
from skysift.report.blocks import Block, Note, Section, Table
from skysift.report.data import generator, load_json, read_pixels
from skysift.report.family import Family
from skysift.report.figures.confusion import draw_confusion
from skysift.report.figures.contact_sheet import draw_contact_sheet
from skysift.report.figures.learning_curves import draw_learning_curves
from skysift.report.figures.reliability import draw_reliability
from skysift.report.numbers import count
from skysift.report.sections.picture import picture
from skysift.store.artifact import Artifact

COLUMNS = 10
MOST_CLASSES = 12
STRETCHED = "each stretched by arcsinh of (pixel − median) / 3 rms from −1 rms to its maximum; grey-blue: no data."
CATALOGUES = ("cutouts", "merge", "subsample", "dataset", "pack")


def make(family: Family) -> Section | None:
    """Show the nearest classifier and the nearest classification."""
    classifier, classification = family.nearest("classifier"), family.nearest("classification")
    if family.focus.kind == "classification":
        classifier = family.inputs(family.focus, "classifier")
    blocks: list[Block] = []
    if classifier is not None:
        blocks += _scores(family, classifier)
    if classification is not None:
        blocks += _classified(family, classification)
    return Section("classification", "Classification", blocks) if blocks else None


def _scores(family: Family, classifier: Artifact) -> list[Block]:
    metrics = load_json(classifier, "metrics.json")
    classes, scores, calibration = metrics["classes"], metrics["scores"], metrics["calibration"]
    before, after = calibration["before"], calibration["after"]
    temperature = calibration["temperature"]
    blocks: list[Block] = [
        Note(_how(family, classifier, metrics)),
        _overall(metrics),
        picture(
            draw_reliability([("without temperature", before), ("with temperature", after)], len(classes)),
            "Reliability on the validation cutouts: share of right predictions against their confidence, with 68 % "
            "Wilson intervals, faint for fewer than five; grey bars are the distance from perfect calibration (dashed "
            f"line). Right: with a temperature ({temperature:.2f}), here fitted in five parts, for each on the others. "
            "ECE: expected calibration error; chance: what exact probabilities would show on as many cutouts. Below: "
            "numbers of cutouts.",
            "reliability diagrams before and after temperature scaling",
        ),
        picture(
            draw_confusion([("validation cutouts", np.array(scores["confusion"]))], classes),
            "Confusion matrix of the validation cutouts: per cent of each true class.",
            "confusion matrix of the validation cutouts",
        ),
        _per_class(metrics),
    ]
    with classifier.path("history.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    history = {name: [float(row[name]) for row in rows] for name in rows[0]}
    caption = f"Training of the classifier over {len(rows)} epochs. Nothing was chosen by the validation cutouts."
    blocks.append(picture(draw_learning_curves(history), caption, "loss and accuracy over the epochs"))
    return blocks


def _how(family: Family, classifier: Artifact, metrics: dict[str, Any]) -> str:
    split = metrics["split"]
    config = classifier.config
    what = "the layer alone, the encoder frozen" if config["freeze"] else "the layer and the encoder"
    by = {
        "sky": "sky cells and images stay whole",
        "mosaic": "mosaics stay whole",
        "image": "every cutout for itself",
        "group": "the data set's groups stay whole",
        "fixed": "the data set's own split",
    }[split["by"]]
    train, held = sum(split["train"].values()), sum(split["validation"].values())
    return (
        f"Classifier {family.title(classifier)}: one linear layer on the encoder, trained on {count(train)} labelled "
        f"cutouts ({what}). {count(held)} others were held back ({by}; {count(split['dropped_overlapping'])} more were "
        "dropped because they overlap a training cutout); training and validation share no pixel."
    )


def _overall(metrics: dict[str, Any]) -> Table:
    overall, calibration = metrics["scores"]["overall"], metrics["calibration"]
    names = {"accuracy": "accuracy", "macro_precision": "macro precision", "macro_recall": "macro recall"}
    names["macro_f1"] = "macro F1"
    rows = [[text, measured(overall[name]["value"], overall[name]["error"]), ""] for name, text in names.items()]
    for name, text in (
        ("nll", "negative log-likelihood"),
        ("brier", "Brier score"),
        ("ece", "expected calibration error"),
        ("ece_by_chance", "calibration error by chance"),
    ):
        rows.append([text, f"{calibration['after'][name]:.3f}", f"{calibration['before'][name]:.3f}"])
    caption = "Scores on the validation cutouts, with bootstrap errors; of the calibration also without temperature."
    return Table(["score", "value", "without temperature"], rows, caption, frozenset({1, 2}))


def _per_class(metrics: dict[str, Any]) -> Table:
    rows = []
    for name, found in metrics["scores"]["classes"].items():
        cells = [measured(found[metric], None) for metric in ("precision", "recall", "f1")]
        rows.append([name, *cells, count(metrics["split"]["train"][name]), count(found["support"])])
    header = ["class", "precision", "recall", "F1", "training cutouts", "validation cutouts"]
    return Table(header, rows, "Scores of each class on the validation cutouts.", frozenset(range(1, 6)))


def _classified(family: Family, classification: Artifact) -> list[Block]:
    table = pq.read_table(classification.path("classification.parquet"))
    cutouts = family.inputs(classification, *CATALOGUES)
    names = [name.removeprefix("p_") for name in table.column_names if name.startswith("p_")]
    predicted = np.asarray(pc.index_in(table.column("class").cast("string"), pc.cast(names, "string")).to_numpy())
    probability = table.column("probability").to_numpy()
    rows = []
    for index, name in enumerate(names):
        mine = probability[predicted == index]
        expected = float(table.column(f"p_{name}").to_numpy().sum(dtype=np.float64))
        median = f"{np.median(mine):.2f}" if len(mine) else "–"
        sure = f"{100 * (mine >= 0.9).mean():.0f} %" if len(mine) else "–"
        rows.append(
            [name, count(len(mine)), f"{100 * len(mine) / len(predicted):.1f} %", count(expected), median, sure]
        )
    said = "" if cutouts is None else f" of {cutouts.kind} {family.title(cutouts)}"
    header = ["class", "cutouts", "share", "expected", "median probability", "at least 0.9"]
    caption = (
        f"Classes of the {count(len(predicted))} cutouts{said}. Expected: the sum of the probabilities of that class."
    )
    blocks: list[Block] = [Table(header, rows, caption, frozenset(range(1, 6)))]
    if cutouts is not None:
        blocks.append(_sheet(family, cutouts, names, predicted, probability))
    return blocks


def _sheet(family: Family, cutouts: Artifact, names: list[str], predicted: Any, probability: Any) -> Block:
    """Draw random cutouts of each class and those of which the classifier is least sure."""
    rng = generator()
    picks = []
    for index, name in enumerate(names[:MOST_CLASSES]):
        members = rng.permutation(np.flatnonzero(predicted == index))[:COLUMNS]
        if len(members):
            members = members[np.argsort(-probability[members], kind="stable")]
            picks.append((f"{name}\n{probability[members[0]]:.2f} to {probability[members[-1]]:.2f}", members))
    unsure = np.argsort(probability, kind="stable")[:COLUMNS]
    picks.append((f"least certain\n{probability[unsure[0]]:.2f} to {probability[unsure[-1]]:.2f}", unsure))
    try:
        pixels = read_pixels(family, cutouts, np.concatenate([members for _, members in picks]))
    except RequestError as error:
        return Note(f"No sample cutouts: {error}", warning=True)
    rows, start = [], 0
    for title, members in picks:
        rows.append((title, pixels[start : start + len(members)]))
        start += len(members)
    caption = f"Random cutouts of each class, the most probable first, and the least certain of all; {STRETCHED}"
    return picture(draw_contact_sheet(rows, columns=COLUMNS), caption, "sample cutouts, a row a class")
