"""Sample cutouts of each cluster, and cluster sizes before and after sampling."""

from __future__ import annotations

import numpy as np

from skysift.errors import RequestError
from skysift.metrics.balance import gini, normalised_entropy
from skysift.report.blocks import Block, Note, Section, Table
from skysift.report.data import Tree, generator, load_tree, read_pixels
from skysift.report.family import Family
from skysift.report.figures.cluster_sizes import draw_cluster_sizes
from skysift.report.figures.contact_sheet import draw_contact_sheet
from skysift.report.numbers import count
from skysift.report.sections.picture import picture

MOST_ROWS = 12
COLUMNS = 10


def make(family: Family) -> Section | None:
    """Show a contact sheet with a row a cluster of the top level, and how even the clusters are."""
    tree = load_tree(family)
    if tree is None:
        return None
    blocks: list[Block] = [_sheet(family, tree)]
    before = tree.sizes(len(tree.levels) - 1)
    after = None if tree.kept is None else np.bincount(tree.top[tree.kept], minlength=len(before)).astype(np.int64)
    names = [
        (f"level {number + 1} ({count(k)} clusters)", tree.sizes(number)) for number, k in enumerate(tree.n_clusters)
    ]
    caption = "Left: shares of the clusters of the top level"
    caption += "." if after is None else f" among all cutouts and in subsample {family.title(tree.subsample)}."  # type: ignore[arg-type]
    blocks.append(
        picture(
            draw_cluster_sizes(names, before, after),
            f"{caption} Right: number of cutouts in the clusters of each level.",
            "sizes of clusters",
        )
    )
    blocks.append(_balance(tree))
    return Section("clusters", "Clusters", blocks)


def _sheet(family: Family, tree: Tree) -> Block:
    """Draw cutouts of the largest clusters, chosen at random among all their cutouts (the selected ones first)."""
    sizes = tree.sizes(len(tree.levels) - 1)
    shown = np.argsort(-sizes, kind="stable")[:MOST_ROWS]
    shown = shown[sizes[shown] > 0]
    rng = generator()
    picks = []
    for cluster in shown:
        members = np.flatnonzero(tree.top == cluster)
        if tree.kept is not None and tree.kept[members].any():
            members = members[tree.kept[members]]
        picks.append(np.sort(rng.permutation(members)[:COLUMNS]))
    source = family.inputs(tree.features, "cutouts", "merge", "pack", "dataset", "subsample") or tree.features
    try:
        pixels = read_pixels(family, source, np.concatenate(picks))
    except RequestError as error:
        return Note(f"No sample cutouts: {error}", warning=True)
    rows = []
    start = 0
    for cluster, pick in zip(shown, picks, strict=True):
        share = f"{100 * sizes[cluster] / sizes.sum():.1f} %"
        if tree.kept is not None:
            mine = int(tree.kept[tree.top == cluster].sum())
            share += f" → {100 * mine / max(int(tree.kept.sum()), 1):.1f} %"
        title = f"cluster {cluster}\n{count(sizes[cluster])} {'cutouts' if sizes[cluster] > 1 else 'cutout'}\n{share}"
        rows.append((title, pixels[start : start + len(pick)]))
        start += len(pick)
    which = "selected " if tree.kept is not None else ""
    caption = f"Random {which}cutouts of the {len(rows)} largest of {len(sizes)} clusters at the top level, each "
    caption += "stretched by arcsinh of (pixel − median) / 3 rms from −1 rms to its maximum; grey-blue: no data."
    if tree.kept is not None:
        caption += " Shares are before → after sampling; where nothing was selected, any cutouts are shown."
    return picture(draw_contact_sheet(rows, columns=COLUMNS), caption, "sample cutouts, a row a cluster")


def _balance(tree: Tree) -> Table:
    rows = []
    for number, k in enumerate(tree.n_clusters):
        before = tree.sizes(number)
        cells = [f"{gini(before):.3f}", f"{normalised_entropy(before):.3f}"]
        if tree.kept is not None and tree.kept.any():
            after = np.bincount(tree.levels[number][tree.kept], minlength=k)
            cells += [f"{gini(after):.3f}", f"{normalised_entropy(after):.3f}"]
        rows.append([str(number + 1), count(k), count(np.median(before)), count(before.max()), *cells])
    header = ["level", "clusters", "median size", "largest", "Gini", "entropy"]
    caption = "Gini coefficient of the sizes (0 = all equal) and entropy over its maximum (1 = all equal)."
    if tree.kept is not None and tree.kept.any():
        header += ["Gini after", "entropy after"]
        caption += " After: in the subsample."
    return Table(header, rows, caption, frozenset(range(8)))
