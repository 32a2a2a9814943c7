"""What was kept and what was dropped on the way."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from skysift.report.blocks import Block, Section, Table
from skysift.report.data import Tree, load_json, load_tree
from skysift.report.family import Family
from skysift.report.figures.selection_histograms import draw_selection_histograms
from skysift.report.numbers import count, plain
from skysift.report.sections.picture import picture

COLUMNS = (
    ("snr", "peak signal-to-noise ratio", True),
    ("rms", "rms", True),
    ("valid_fraction", "valid fraction", False),
)
MOST_LABELS = 30


def make(family: Family) -> Section | None:
    """List the counts of every stage; compare all cutouts with the selected ones."""
    rows = []
    for artifact in family.members.values():
        counts = {name: value for name, value in artifact.counts.items() if name != "rows"}
        text = "; ".join(f"{name.replace('_', ' ')} {plain(value)}" for name, value in counts.items())
        rows.append([artifact.kind, family.title(artifact), plain(artifact.counts.get("rows")), text or "–"])
    header = ["stage", "artifact", "rows", "also counted"]
    blocks: list[Block] = [Table(header, rows, "Rows that each stage kept, and what it counted.", frozenset({2}))]
    tree = load_tree(family)
    if tree is not None and tree.kept is not None and tree.kept.any():
        blocks += _distributions(tree, tree.kept)
        blocks += _diversity(tree)
        labels = _labels(tree)
        if labels is not None:
            blocks.append(labels)
    return Section("selection", "Kept and dropped", blocks)


def _distributions(tree: Tree, kept: NDArray[np.bool_]) -> list[Block]:
    units = {unit for unit in tree.catalogue.mosaics.column("bunit").to_pylist() if unit}
    panels = {}
    for name, label, logarithmic in COLUMNS:
        values = np.asarray(tree.catalogue.column(name), dtype=np.float64)
        if not (np.isfinite(values) & ((values > 0) | (not logarithmic))).any():
            continue
        unit = f" [{units.pop()}]" if name == "rms" and len(units) == 1 else ""
        panels[label + unit] = (values, values[kept], logarithmic)
    if not panels:
        return []
    caption = f"All {count(len(tree.catalogue))} cutouts against the {count(int(kept.sum()))} selected; outermost "
    caption += "bins include what lies beyond."
    return [picture(draw_selection_histograms(panels), caption, "histograms of cutout statistics before and after")]


def _diversity(tree: Tree) -> list[Block]:
    """Show what the subsample's own report says of the diversity of features, of duplicates and of the sky."""
    if tree.subsample is None or not (tree.subsample.folder / "report.json").is_file():
        return []
    found = load_json(tree.subsample, "report.json")
    rows = [
        [
            title,
            *(f"{found[key][when]:.1f}" if found[key].get(when) is not None else "–" for when in ("before", "after")),
        ]
        for key, title in (("rankme", "RankMe of the features"), ("vendi", "Vendi score of the features"))
        if key in found
    ]
    sky = found.get("sky", {})
    if sky.get("before_deg2") is not None and sky.get("after_deg2") is not None:
        rows.append(["covered area [square degree]", f"{sky['before_deg2']:.4g}", f"{sky['after_deg2']:.4g}"])
    if not rows:
        return []
    duplicates = "; ".join(f"{name.replace('_', ' ')}: {plain(n)}" for name, n in found.get("duplicates", {}).items())
    caption = "Diversity and sky coverage before and after sampling. RankMe is the effective number of dimensions, the "
    caption += "Vendi score the effective number of different cutouts, both of the features as they were clustered."
    caption += f" Near-duplicates left out: {duplicates}." if duplicates else ""
    return [Table(["", "all cutouts", "subsample"], rows, caption, frozenset({1, 2}))]


def _labels(tree: Tree) -> Table | None:
    """Compare the shares of labels, where the catalogue has labels: a check, since curation does not use them."""
    lists = tree.catalogue.labels
    before = Counter(label for entry in lists for label in set(entry))
    if not before or tree.kept is None:
        return None
    after = Counter(label for entry, kept in zip(lists, tree.kept, strict=True) if kept for label in set(entry))
    n, m = len(lists), max(int(tree.kept.sum()), 1)
    rows = [
        [label, count(k), f"{100 * k / n:.2f}", count(after[label]), f"{100 * after[label] / m:.2f}",
         f"{after[label] / m / (k / n):.2f}"]
        for label, k in before.most_common(MOST_LABELS)
    ]  # fmt: skip
    header = ["label", "before", "share [%]", "after", "share [%]", "enrichment"]
    caption = "Labels before and after sampling. The enrichment is the ratio of the shares: 1 = as a random sample."
    return Table(header, rows, caption, frozenset(range(1, 6)))
