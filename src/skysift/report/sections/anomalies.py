"""The most anomalous cutouts, how far the scores agree, and what labels say of the rankings."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skysift.curation.duplicates import window_overlaps
from skysift.cutouts.catalogue import Catalogue
from skysift.errors import RequestError
from skysift.readable import measured
from skysift.report.blocks import Block, Note, Picture, Section, Table
from skysift.report.data import encoder_name, load_json, read_pixels
from skysift.report.family import Family
from skysift.report.figures.contact_sheet import draw_contact_sheet
from skysift.report.figures.forest_scan import draw_forest_scan
from skysift.report.figures.gallery import draw_gallery
from skysift.report.figures.score_histograms import LabelHistogram, draw_score_histograms
from skysift.report.figures.threshold_curves import ThresholdCurves, draw_threshold_curves
from skysift.report.numbers import count
from skysift.report.sections.classification import STRETCHED
from skysift.report.sections.picture import picture
from skysift.store.artifact import Artifact

PICTURES, COLUMNS = 30, 6
A_SCORE = 10
SEARCHED = 20
"""Cutouts that are gone through, for each that is shown, to find such as share no sky."""
MOST_PANELS = 9
FOREST = "forest-top-"
AUTO_SAMPLES = 256


def make(family: Family) -> Section | None:
    """Show the nearest ranking."""
    found = family.nearest("anomalies")
    if found is None:
        return None
    catalogue = Catalogue.open(found)
    table = pq.read_table(found.path("scores.parquet"))
    rank = table.column("rank").to_numpy()
    names = [name.removesuffix("_raw") for name in table.column_names if name.endswith("_raw")]
    scores = {name.replace("_", "-"): table.column(name).to_numpy() for name in names}
    selection = load_json(found, "selection.json") if (found.folder / "selection.json").is_file() else None
    blocks: list[Block] = [Note(_how(family, found, list(scores), selection))]
    try:
        blocks.append(_candidates(family, found, catalogue, rank, scores))
        if len(scores) > 1:
            blocks.append(_each_score(family, found, catalogue, scores))
    except RequestError as error:
        blocks.append(Note(f"No pictures: {error}", warning=True))
    if len(scores) > 1:
        blocks.append(_agreement(scores, rank))
    if selection is not None:
        blocks += _selection(found, selection)
    return Section("anomalies", "Anomalies", blocks)


def _how(family: Family, found: Artifact, scores: list[str], selection: dict[str, Any] | None) -> str:
    features = family.inputs(found, "features")
    encoder = "features" if features is None else f"features of {encoder_name(family, features)}"
    said = f"{count(found.counts['rows'])} cutouts, scored by {', '.join(scores)} on {encoder}. Each score is the rank "
    said += "among all cutouts of one window size, from 0 to 1 = most anomalous. "
    if selection is None:
        return said + (
            "The ranking is their average; no label was used. Anomalous is what differs from most: it may be a rare "
            "kind of source, an artefact or an edge."
        )
    return said + f"The ranking is that of {title(selection['chosen'])}, chosen by the labels that selected features."


def title(name: str) -> str:
    """Return what a ranking is called in text."""
    if name.startswith(FOREST):
        return f"forest, top {name.removeprefix(FOREST)} features"
    return {"lightgbm": "LightGBM (classifier)", "ensemble": "average of all scores"}.get(name, name.replace("-", " "))


def apart(catalogue: Catalogue, order: NDArray[np.int64], wanted: int) -> tuple[NDArray[np.int64], int]:
    """Return the first rows of an order that share no sky with an earlier one, and how many were passed over.

    Parameters
    ----------
    catalogue : Catalogue
        All cutouts.
    order : ndarray of int64, shape (n,)
        Rows, the most wanted first.
    wanted : int
        Most rows to return.
    """
    first = order[: wanted * SEARCHED]
    one, two, _ = window_overlaps(catalogue.select(first), 0.0)
    near: list[list[int]] = [[] for _ in first]
    for a, b in zip(one.tolist(), two.tolist(), strict=True):
        near[max(a, b)].append(min(a, b))
    taken: list[int] = []
    for place in range(len(first)):
        if len(taken) == wanted:
            break
        if not set(near[place]) & set(taken):
            taken.append(place)
    passed = (taken[-1] + 1 - len(taken)) if taken else 0
    return first[taken], passed


def _candidates(
    family: Family, found: Artifact, catalogue: Catalogue, rank: NDArray[np.int64], scores: dict[str, Any]
) -> Picture:
    rows, passed = apart(catalogue, np.argsort(rank, kind="stable"), PICTURES)
    table = catalogue.table.take(rows).select(["cutout_id", "ra", "dec"]).to_pylist()
    items = []
    for row, place, image in zip(rows.tolist(), table, read_pixels(family, found, rows), strict=True):
        best = max(scores, key=lambda name: scores[name][row])
        lines = (f"{rank[row]}. {scores[best][row]:.3f}", best.replace("_", " ").replace("-", " "))
        items.append((image, (*lines, _where(place), place["cutout_id"])))
    said = f"The {len(items)} most anomalous cutouts"
    said += f" that share no sky ({count(passed)} windows on the same places were passed over)" if passed else ""
    said += ": place in the ranking and the highest score, which one that is, position, id; "
    return picture(draw_gallery(items, columns=COLUMNS), said + STRETCHED, "most anomalous cutouts")


def _where(row: dict[str, Any]) -> str:
    return "no position" if row["ra"] is None else f"{row['ra']:.4f} {row['dec']:+.4f}"


def _each_score(family: Family, found: Artifact, catalogue: Catalogue, scores: dict[str, Any]) -> Picture:
    picks = {name: apart(catalogue, np.argsort(-v, kind="stable"), A_SCORE)[0] for name, v in scores.items()}
    pixels = read_pixels(family, found, np.concatenate(list(picks.values())))
    sheet, start = [], 0
    for name, rows in picks.items():
        sheet.append((title(name).replace(", ", "\n"), pixels[start : start + len(rows)]))
        start += len(rows)
    said = "What each score finds most anomalous, the first ones that share no sky, from left to right; "
    return picture(draw_contact_sheet(sheet, columns=A_SCORE), said + STRETCHED, "most anomalous cutouts of each score")


def _agreement(scores: dict[str, Any], rank: NDArray[np.int64]) -> Table:
    from scipy.stats import spearmanr

    n = len(rank)
    hundredth = max(1, n // 100)
    first = set(np.argsort(rank, kind="stable")[:hundredth].tolist())
    rows = []
    for name, values in scores.items():
        shared = len(first & set(np.argsort(-values, kind="stable")[:hundredth].tolist())) / hundredth
        flat = bool(np.ptp(values) == 0)
        rows.append(
            [title(name), "–" if flat else f"{spearmanr(values, -rank).statistic:.2f}", f"{100 * shared:.0f} %"]
        )
    caption = "How each score agrees with the ranking: Spearman's rank correlation over all cutouts, and what share of "
    caption += f"the first hundredth of the ranking ({count(hundredth)}) is in the first hundredth of the score."
    return Table(["score", "rank correlation", "first hundredth shared"], rows, caption, frozenset({1, 2}))


def _selection(found: Artifact, selection: dict[str, Any]) -> list[Block]:
    crossings = pq.read_table(found.path("crossing.parquet")).to_pylist()
    blocks: list[Block] = [Note(_division(selection)), _crossing(crossings, selection["chosen"])]
    chosen = next(row for row in crossings if row["score"] == selection["chosen"])
    blocks.append(_histograms(found, selection, chosen["threshold"]))
    blocks.append(_curves(found, crossings))
    if selection["scan"]:
        blocks.append(_scan(found, selection))
    return blocks


def _division(selection: dict[str, Any]) -> str:
    taught, held, classifier = selection["selection"], selection["held_out"], selection["classifier"]
    interesting, ordinary = (", ".join(selection[name]) for name in ("interesting", "ordinary"))
    return (
        f"{count(selection['labelled'])} cutouts have labels. Interesting: one of {interesting}; ordinary: nothing but "
        f"{ordinary}; the others are neither. LightGBM learnt to tell "
        f"{count(taught['interesting'])} interesting from {count(taught['ordinary'])} ordinary ones "
        f"({count(classifier['rounds'])} rounds, {count(classifier['features'])} features of use); forests were grown "
        f"with its most important features on all {count(selection['cutouts'])} cutouts, without labels. All that "
        f"follows was measured on {count(held['interesting'])} interesting, {count(held['ordinary'])} ordinary and "
        f"{count(held['other'])} other cutouts that were held out ({count(selection['dropped'])} more share sky with "
        f"those that taught and count nowhere). There LightGBM tells interesting from ordinary with an accuracy of "
        f"{classifier['accuracy']:.3f} (F1 {classifier['f1']:.3f}). Precision depends on how common the interesting "
        "ones are among the labelled cutouts."
    )


def _crossing(crossings: list[dict[str, Any]], chosen: str) -> Table:
    rows = []
    for row in sorted(crossings, key=lambda row: -row["average_precision"]):
        shares = [measured(row[name], row[f"{name}_error"]) for name in ("recall", "precision", "contamination")]
        either = f"{1 - row['contamination']:.3f}"
        name = title(row["score"]) + (" (chosen)" if row["score"] == chosen else "")
        average = f"{row['average_precision']:.3f}"
        rows.append([name, f"{row['threshold']:.3f}", count(row["selected"]), *shares, either, average])
    header = ["ranking", "threshold", "selected", "recall", "precision", "contamination",
              "not ordinary", "average precision"]  # fmt: skip
    caption = (
        "Where recall and precision cross, on held-out cutouts: as many are selected as are interesting. "
        "Contamination: share of the selected that is ordinary; the rest is interesting or neither. Errors by "
        "bootstrap."
    )
    return Table(header, rows, caption, frozenset(range(1, 8)))


def _histograms(found: Artifact, selection: dict[str, Any], threshold: float) -> Picture:
    bins = pq.read_table(found.path("histograms.parquet"), filters=[("score", "==", selection["chosen"])]).to_pylist()
    kinds = dict.fromkeys(selection["interesting"], "interesting") | dict.fromkeys(selection["ordinary"], "ordinary")
    rows, middles = [], {}
    edges = np.empty(0)
    for label, group in groupby(bins, key=lambda row: row["label"]):
        members = list(group)
        counts = np.array([row["count"] for row in members])
        edges = np.array([row["low"] for row in members] + [members[-1]["high"]])
        middles[label] = float(np.average((edges[:-1] + edges[1:]) / 2, weights=counts)) if counts.any() else 0.0
        rows.append(LabelHistogram(label, kinds.get(label, "other"), counts))
    rows.sort(key=lambda row: -middles[row.label])
    caption = (
        f"Scores of the held-out cutouts by {title(selection['chosen'])}, a histogram a label, each scaled to its own "
        "maximum, by falling mean; a cutout with several labels is in several of them."
    )
    return picture(draw_score_histograms(rows, edges, threshold), caption, "scores by label")


def _curves(found: Artifact, crossings: list[dict[str, Any]]) -> Picture:
    table = pq.read_table(found.path("curves.parquet"))
    panels = []
    for row in crossings[:MOST_PANELS]:
        mine = table.filter(np.asarray(table.column("score").to_pylist()) == row["score"])
        columns = {name: mine.column(name).to_numpy() for name in ("threshold", "recall", "precision", "contamination")}
        panels.append(ThresholdCurves(title=title(row["score"]), crossing=row["threshold"], **columns))
    caption = (
        "What each threshold selects of the held-out cutouts. Dotted: where recall and precision cross. At high "
        "thresholds few are selected, and precision and contamination jump."
    )
    return picture(draw_threshold_curves(panels), caption, "recall, precision and contamination against the threshold")


def _scan(found: Artifact, selection: dict[str, Any]) -> Picture:
    rows = pq.read_table(found.path("settings.parquet")).to_pylist()
    auto = min(1.0, AUTO_SAMPLES / selection["cutouts"])
    lines: dict[str, dict[int, Any]] = {}
    for row in rows:
        share = auto if row["max_samples"] == "auto" else float(row["max_samples"])
        lines.setdefault(row["part"], {}).setdefault(row["top"], []).append((share, row["average_precision"]))
    arrays = {
        part: {top: tuple(np.array(sorted(points)).T) for top, points in of.items()} for part, of in lines.items()
    }
    top = int(selection["chosen"].removeprefix(FOREST))
    share = auto if selection["max_samples"] == "auto" else float(selection["max_samples"])
    caption = (
        "Forests of the scan: average precision of interesting cutouts against the share of cutouts that each tree is "
        "shown. Ringed: the forest that was chosen, by the cutouts that selected the features (left)."
    )
    return picture(draw_forest_scan(arrays, (top, share)), caption, "average precision of the forests of the scan")
