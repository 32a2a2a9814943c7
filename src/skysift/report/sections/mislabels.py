"""Labels that are probably wrong, with their pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.parquet as pq

from skysift.errors import RequestError
from skysift.report.blocks import Block, Note, Section, Table
from skysift.report.data import encoder_name, load_json, read_pixels
from skysift.report.family import Family
from skysift.report.figures.contact_sheet import draw_contact_sheet
from skysift.report.figures.gallery import draw_gallery
from skysift.report.numbers import count
from skysift.report.sections.classification import CATALOGUES, STRETCHED
from skysift.report.sections.picture import picture
from skysift.store.artifact import Artifact

PICTURES = 36
COLUMNS = 6
TYPICAL = 8
MOST_CLASSES = 12


def make(family: Family) -> Section | None:
    """Show the nearest ranking of suspected labels."""
    found = family.nearest("mislabels")
    features = family.inputs(found, "features") if found is not None else None
    if found is None or features is None:
        return None
    table = pq.read_table(found.path("mislabels.parquet")).to_pylist()
    summary = load_json(found, "summary.json")
    blocks: list[Block] = [Note(_how(family, found, features, summary))]
    cutouts = family.inputs(features, *CATALOGUES)
    if cutouts is not None:
        try:
            blocks += _pictures(family, cutouts, table, summary["classes"])
        except RequestError as error:
            blocks.append(Note(f"No pictures: {error}", warning=True))
    blocks.append(_joint(summary))
    blocks.append(_list(table))
    return Section("mislabels", "Suspected labels", blocks)


def _how(family: Family, found: Artifact, features: Artifact, summary: dict[str, Any]) -> str:
    folds, repeats = found.config["folds"], found.config["repeats"]
    suspected = sum(summary["suspected"].values())
    total = sum(summary["labelled"].values())
    encoder = encoder_name(family, features)
    return (
        f"{count(total)} labelled cutouts, each classified by linear probes on features of {encoder}; the probes were "
        f"trained on others that share no pixel with it ({folds} parts, {repeats} divisions; accuracy "
        f"{summary['accuracy']:.3f}). {count(suspected)} labels are contradicted with confidence; confident learning "
        f"(Northcutt et al. 2021) estimates {count(summary['estimated_wrong'])} wrong ones, errors of the probes among "
        "them. A contradiction may also be a rare kind of source: look before correcting."
    )


def _pictures(family: Family, cutouts: Artifact, table: list[dict[str, Any]], classes: list[str]) -> list[Block]:
    worst = table[:PICTURES]
    typical: list[tuple[str, list[int]]] = []
    for name in classes[:MOST_CLASSES]:
        best = sorted((row for row in table if row["label"] == name), key=lambda row: (-row["p_label"], row["row"]))
        if best:
            typical.append((f"{name}\np = {best[0]['p_label']:.2f}", [row["row"] for row in best[:TYPICAL]]))
    rows = [row["row"] for row in worst] + [number for _, numbers in typical for number in numbers]
    pixels = read_pixels(family, cutouts, np.array(rows, dtype=np.int64))
    items = [
        (
            image,
            (
                f"{row['rank']}. {row['label']} ({row['p_label']:.2f})",
                f"→ {row['suggestion']} ({row['p_suggestion']:.2f})",
                _where(row),
            ),
        )
        for row, image in zip(worst, pixels, strict=False)
    ]
    sheet, start = [], len(worst)
    for title, numbers in typical:
        sheet.append((title, pixels[start : start + len(numbers)]))
        start += len(numbers)
    return [
        picture(
            draw_gallery(items, columns=COLUMNS),
            f"The {len(items)} most suspicious labels: rank, label (its probability), likeliest other class (its "
            f"probability), position or id; {STRETCHED}",
            "cutouts whose label is suspected",
        ),
        picture(
            draw_contact_sheet(sheet, columns=TYPICAL),
            "To compare with: the cutouts whose label is least doubted, a row a class, with the largest probability.",
            "typical cutouts of each class",
        ),
    ]


def _where(row: dict[str, Any]) -> str:
    if row["ra"] is None or row["dec"] is None:
        return str(row["cutout_id"])
    return f"{row['ra']:.4f} {row['dec']:+.4f}"


def _joint(summary: dict[str, Any]) -> Table:
    """Return the estimated numbers of cutouts by label and true class."""
    classes, total = summary["classes"], sum(summary["labelled"].values())
    rows = []
    for name, shares in zip(classes, summary["joint"], strict=True):
        rows.append([name, *(count(total * share) for share in shares), count(summary["suspected"][name])])
    header = ["label", *(f"truly {name}" for name in classes), "suspected"]
    caption = "Estimated numbers of cutouts with a label (row) that are truly of a class (column)."
    return Table(header, rows, caption, frozenset(range(1, len(header))))


def _list(table: list[dict[str, Any]]) -> Table:
    shown = table[:PICTURES]
    placed = any(row["ra"] is not None for row in shown)
    rows = []
    for row in shown:
        where = ["–", "–"] if row["ra"] is None else [f"{row['ra']:.5f}", f"{row['dec']:+.5f}"]
        numbers = [f"{row[name]:.3f}" for name in ("p_label", "p_suggestion")]
        words = [row["label"], row["suggestion"], *numbers, "yes" if row["suspected"] else "no"]
        rows.append([str(row["rank"]), row["cutout_id"], *(where if placed else []), *words])
    header = ["rank", "cutout", *(["RA [deg]", "Dec [deg]"] if placed else [])]
    header += ["label", "suggestion", "p(label)", "p(suggestion)", "suspected"]
    numeric = {"rank", "RA [deg]", "Dec [deg]", "p(label)", "p(suggestion)"}
    caption = "The most suspicious labels; all are in mislabels.csv, mislabels.parquet and mislabels.vot."
    return Table(header, rows, caption, frozenset(i for i, name in enumerate(header) if name in numeric))
