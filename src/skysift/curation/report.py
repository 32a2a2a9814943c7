"""What a subsample changed: balance of the clusters, diversity of the features, and sky."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skysift.curation.sampling.pool import Chosen, Pool
from skysift.curation.tree import Tree
from skysift.cutouts.catalogue import Catalogue
from skysift.metrics.balance import entropy, gini, normalised_entropy
from skysift.metrics.embedding import rankme, vendi_score

CELLS = 2048
"""Cells along the longer side of a mosaic on which its covered area is counted."""
EXAMPLES = 12


def report(
    tree: Tree,
    catalogue: Catalogue,
    features: NDArray[np.float32],
    pool: Pool,
    chosen: Chosen,
    duplicates: dict[str, int],
) -> dict[str, Any]:
    """Compare the set with the subsample.

    Returns
    -------
    dict
        `levels`: for each level Gini coefficient and entropy of the cluster sizes before and after, and the sizes of
        the top level; `rankme`, `vendi`: effective rank and Vendi score of the features; `duplicates`: how many were
        left out and why; `sky`: covered area [deg2] and share of it that is kept; `labels`: counts of classes, where
        there are any; `examples`: for each top cluster, the ids of kept cutouts nearest its finest centroids.
    """
    kept = np.unique(chosen.rows)
    return {
        "rows": {"before": len(pool.paths), "after": len(chosen.rows), "distinct": len(kept)},
        "levels": [_balance(level, len(c), pool, chosen) for level, c in enumerate(tree.centroids)],
        **_diversity(features, chosen),
        "duplicates": duplicates,
        "sky": sky_coverage(catalogue, kept),
        "labels": _labels(catalogue, chosen.rows),
        "examples": _examples(catalogue, pool, kept),
    }


def _diversity(features: NDArray[np.float32], chosen: Chosen) -> dict[str, dict[str, float]]:
    parts = {"before": features, "after": features[chosen.rows]}
    scores = {"rankme": rankme, "vendi": vendi_score}
    # features without any variance are all zero once transformed: one direction, one kind
    return {
        name: {when: _number(score(part)) if np.any(part) else 1.0 for when, part in parts.items()}
        for name, score in scores.items()
    }


def _balance(level: int, k: int, pool: Pool, chosen: Chosen) -> dict[str, Any]:
    before = np.bincount(pool.paths[:, level], minlength=k)
    after = np.bincount(pool.paths[chosen.rows, level], minlength=k)
    result: dict[str, Any] = {"level": level + 1, "clusters": k}
    for name, sizes in (("before", before), ("after", after)):
        result[name] = {
            "gini": _number(gini(sizes)),
            "entropy": _number(entropy(sizes)),
            "normalised_entropy": _number(normalised_entropy(sizes)),
            "occupied": int((sizes > 0).sum()),
        }
        if level == pool.paths.shape[1] - 1:
            result[name]["sizes"] = sizes.tolist()
    return result


def sky_coverage(catalogue: Catalogue, kept: NDArray[np.int64]) -> dict[str, Any]:
    """Return the area that all windows and the kept ones cover; mosaics that overlap count each for itself.

    Returns
    -------
    dict
        `before_deg2`, `after_deg2` (None where a pixel scale is unknown) and `share`, by pixels.
    """
    image, windows = catalogue.mosaic_rows(), catalogue.windows
    scale = catalogue.mosaics.column("pixel_scale").to_numpy().astype(np.float64)
    nx, ny = (catalogue.mosaics.column(name).to_numpy().astype(np.int64) for name in ("nx", "ny"))
    plane = catalogue.column("plane").astype(np.int64)
    inside = np.zeros(len(windows), dtype=bool)
    inside[kept] = True
    order = np.lexsort((plane, image))
    new = (np.diff(image[order]) != 0) | (np.diff(plane[order]) != 0)
    pixels, area = np.zeros(2), np.zeros(2)
    for rows in np.split(order, np.flatnonzero(new) + 1):
        shape = (int(ny[image[rows[0]]]), int(nx[image[rows[0]]]))
        both = np.array(
            [_covered(windows[rows], shape), _covered(windows[rows[inside[rows]]], shape)], dtype=np.float64
        )
        pixels += both
        area += both * (scale[image[rows[0]]] / 3600.0) ** 2
    known = bool(np.isfinite(area).all())
    return {
        "before_deg2": _number(area[0]) if known else None,
        "after_deg2": _number(area[1]) if known else None,
        "share": _number(pixels[1] / pixels[0]) if pixels[0] else None,
    }


def _covered(windows: NDArray[np.int64], shape: tuple[int, int]) -> float:
    """Return how many pixels windows cover, counted in cells of a mosaic."""
    side = -(-max(shape) // CELLS)
    ny, nx = -(-shape[0] // side), -(-shape[1] // side)
    edges = np.zeros((ny + 1, nx + 1), dtype=np.int32)
    x0, y0 = (np.clip(np.round(windows[:, i] / side).astype(np.int64), 0, (nx, ny)[i]) for i in (0, 1))
    ends = windows[:, :2] + windows[:, 2:]
    x1, y1 = (np.clip(np.round(ends[:, i] / side).astype(np.int64), 0, (nx, ny)[i]) for i in (0, 1))
    for ys, xs, sign in ((y0, x0, 1), (y1, x1, 1), (y0, x1, -1), (y1, x0, -1)):
        np.add.at(edges, (ys, xs), sign)
    return float((edges.cumsum(0).cumsum(1) > 0).sum() * side * side)


def _labels(catalogue: Catalogue, rows: NDArray[np.int64]) -> dict[str, dict[str, int]]:
    labels = catalogue.labels
    names = sorted({name for row in labels for name in row})
    before, after = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for row in labels:
        for name in row:
            before[name] += 1
    for index in rows:
        for name in labels[index]:
            after[name] += 1
    return {name: {"before": before[name], "after": after[name]} for name in names}


def _examples(catalogue: Catalogue, pool: Pool, kept: NDArray[np.int64]) -> dict[str, list[str]]:
    top = pool.paths[kept, -1]
    order = kept[np.lexsort((kept, np.asarray(pool.distances)[kept], top))]
    ids = catalogue.table.column("cutout_id")
    found: dict[str, list[str]] = {}
    for row in order:
        shown = found.setdefault(str(pool.paths[row, -1]), [])
        if len(shown) < EXAMPLES:
            shown.append(ids[int(row)].as_py())
    return found


def _number(value: float) -> float:
    """Round to nine digits: what lies below is rounding that may differ between processors."""
    return float(f"{value:.9g}")
