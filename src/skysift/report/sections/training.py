"""How the encoder was trained."""

from __future__ import annotations

import csv

from skysift.report.blocks import Block, Section, Table
from skysift.report.family import Family
from skysift.report.figures.training_curves import draw_training_curves
from skysift.report.numbers import plain
from skysift.report.sections.picture import picture

OPTIONS = (
    "method",
    "backbone",
    "image_size",
    "epochs",
    "batch_size",
    "optimizer",
    "lr",
    "augment",
    "preprocess",
    "seed",
)


def make(family: Family) -> Section | None:
    """Show the curves of the nearest model that was trained here."""
    model = next((m for m in family.all("model") if (m.folder / "history.csv").is_file()), None)
    if model is None:
        return None
    with model.path("history.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        return None
    history = {name: [float(row[name] or "nan") for row in rows] for name in rows[0]}
    last = {name: values[-1] for name, values in history.items()}
    caption = f"Training of model {family.title(model)}: {len(rows)} epochs, last loss {last['loss']:.4f}."
    if "embedding_std" in history or "rankme" in history:
        caption += " An encoder that collapses to a constant shows a spread towards 0 and a rank towards 1; "
        caption += "D is the dimension of the embedding."
    figure = draw_training_curves({name: history[name] for name in history})
    blocks: list[Block] = [picture(figure, caption, "loss and collapse numbers over the epochs")]
    options = [[name, plain(model.config[name])] for name in OPTIONS if name in model.config]
    if options:
        blocks.append(Table(["option", "value"], options, "What it was trained with."))
    return Section("training", "Training", blocks)
