"""Features on a plane, coloured by cluster and by class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skysift.cutouts.catalogue import Catalogue
from skysift.discovery.projection.components import PrincipalComponents
from skysift.metrics.embedding import rankme, vendi_score
from skysift.report.blocks import Block, Section, Table
from skysift.report.data import encoder_name, generator, load_json, load_tree
from skysift.report.family import Family
from skysift.report.figures.embedding_map import draw_embedding_map
from skysift.report.numbers import count
from skysift.report.sections.picture import picture
from skysift.store.artifact import Artifact

MOST_POINTS = 4000


def make(family: Family) -> Section | None:
    """Show the first two principal components of the features nearest to the focus."""
    blocks: list[Block] = []
    figures: list[list[str]] = []
    shown: set[str] = set()
    tree = load_tree(family)
    evaluation = family.nearest("evaluation")
    labelled = None if evaluation is None else family.inputs(evaluation, "features")
    if evaluation is not None and labelled is not None:
        rows, classes, names = _classes(evaluation, labelled)
        blocks.append(_map(family, labelled, rows, classes, names, "class", figures))
        shown.add(labelled.id)
    if tree is not None:
        rows = _some(len(tree.catalogue))
        groups = tree.top[rows]
        names = [f"cluster {k}" for k in range(tree.n_clusters[-1])]
        blocks.append(_map(family, tree.features, rows, groups, names, "top-level cluster", figures))
        shown.add(tree.features.id)
    features = family.nearest("features")
    if features is not None and features.id not in shown and not blocks:
        rows = _some(len(Catalogue.open(features)))
        blocks.append(_map(family, features, rows, None, [], "", figures))
    if not blocks:
        return None
    header = ["features", "cutouts", "dimensions", "RankMe", "Vendi score"]
    caption = "RankMe: effective number of dimensions; Vendi score: effective number of different cutouts (cosine "
    caption += f"kernel). As the encoder gives them; both of at most {count(MOST_POINTS)} cutouts."
    blocks.append(Table(header, figures, caption, frozenset(range(1, 5))))
    return Section("embedding", "Embedding", blocks)


def project(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first two principal components, shape (n, 2), and their shares of the variance."""
    components = PrincipalComponents.fit(values, 2)
    missing = 2 - len(components.shares)
    return np.pad(components(values), ((0, 0), (0, missing))), np.pad(components.shares, (0, missing))


def _map(
    family: Family,
    features: Artifact,
    rows: NDArray[np.int64],
    groups: NDArray[np.int64] | None,
    names: list[str],
    title: str,
    figures: list[list[str]],
) -> Block:
    array = np.load(features.path("features.npy"), mmap_mode="r")
    values = np.asarray(array[rows], dtype=np.float64)
    places, shares = project(values)
    nonzero = bool(np.any(values))
    figures.append(
        [
            family.title(features),
            count(len(array)),
            count(values.shape[1]),
            f"{rankme(values):.1f}" if nonzero else "–",
            f"{vendi_score(values):.1f}" if nonzero else "–",
        ]
    )
    caption = f"Features {family.title(features)} ({encoder_name(family, features)}): first two "
    caption += f"principal components of {count(len(rows))} cutouts" + (f", coloured by {title}." if title else ".")
    first, second = (f"principal component {i + 1} ({100 * s:.0f} % of the variance)" for i, s in enumerate(shares))
    figure = draw_embedding_map(places, groups, names, axes_names=(first, second), title=title)
    return picture(figure, caption, f"map of the embedding by {title or 'cutout'}")


def _classes(evaluation: Artifact, features: Artifact) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Return rows of the features with one class of the evaluation, their classes, and the names."""
    metrics = load_json(evaluation, "metrics.json")
    index = {label: k for k, name in enumerate(metrics["classes"]) for label in metrics["members"][name]}
    found = [{index[label] for label in entry if label in index} for entry in Catalogue.open(features).labels]
    rows = np.array([row for row, hits in enumerate(found) if len(hits) == 1], dtype=np.int64)
    rows = rows[_some(len(rows))]
    return rows, np.array([next(iter(found[row])) for row in rows], dtype=np.int64), list(metrics["classes"])


def _some(n: int) -> NDArray[np.int64]:
    return np.sort(generator().permutation(n)[:MOST_POINTS]).astype(np.int64)
