"""Putting catalogues of several surveys together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from skysift.cutouts.catalogue import Catalogue, with_labels

__all__ = ["drop_repeats", "merge", "thin_out"]

IntArray = npt.NDArray[np.int64]


def merge(catalogues: Sequence[Catalogue], min_separation: float | None = None) -> tuple[Catalogue, dict[str, int]]:
    """Concatenate catalogues, drop exact repeats, and optionally cutouts too close to better ones.

    Parameters
    ----------
    catalogues : sequence of Catalogue
        In any order; the result does not depend on it but for which of two equal cutouts' statistics stay.
    min_separation : float, optional
        Least distance between the centres of cutouts [arcsec].

    Returns
    -------
    catalogue : Catalogue
        In the order of mosaic, HDU, plane, size, y0, x0.
    counts : dict
        `rows`, `repeats` and `too_close`.
    """
    together = Catalogue.concat(catalogues)
    total = len(together)
    unique = drop_repeats(together)
    kept, too_close = unique, 0
    if min_separation is not None:
        kept = unique.select(thin_out(unique, min_separation))
        too_close = len(unique) - len(kept)
    order = np.lexsort([kept.column(n) for n in ("x0", "y0", "height", "width", "plane", "hdu", "mosaic")])
    return kept.select(order), {"rows": len(kept), "repeats": total - len(unique), "too_close": too_close}


def drop_repeats(catalogue: Catalogue) -> Catalogue:
    """Keep the first row of each `cutout_id`, with the labels of all rows that had it."""
    ids = catalogue.column("cutout_id").astype("S16")
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    if len(first) == len(ids):
        return catalogue
    order = np.sort(first)
    kept = catalogue.select(order)
    repeated = np.flatnonzero(~np.isin(np.arange(len(ids)), first))
    labels = dict(enumerate(catalogue.labels))
    gained = {int(first[inverse[row]]): labels[int(first[inverse[row]])] for row in repeated}
    for row in repeated.tolist():
        owner = int(first[inverse[row]])
        gained[owner] = gained[owner] + [label for label in labels[row] if label not in gained[owner]]
    merged = [gained.get(int(row), labels[int(row)]) for row in order]
    return Catalogue(with_labels(kept.table, merged), kept.mosaics)


def thin_out(catalogue: Catalogue, min_separation: float) -> IntArray:
    """Choose cutouts whose centres are at least a distance apart, those of higher `snr` first.

    Parameters
    ----------
    catalogue : Catalogue
        Cutouts without position always stay.
    min_separation : float
        Least distance [arcsec].

    Returns
    -------
    ndarray of int
        Rows to keep, ascending. Equal `snr` are decided by `cutout_id`.
    """
    from scipy.spatial import cKDTree

    ra, dec = np.radians(catalogue.column("ra")), np.radians(catalogue.column("dec"))
    keep = np.ones(len(catalogue), bool)
    placed = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    if not len(placed):
        return np.flatnonzero(keep)
    ra, dec = ra[placed], dec[placed]
    points = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    chord = 2 * np.sin(np.radians(min_separation / 3600) / 2)
    tree = cKDTree(points)
    snr = np.nan_to_num(catalogue.column("snr")[placed].astype(np.float64), nan=-np.inf)
    order = np.lexsort((catalogue.column("cutout_id")[placed].astype("S16"), -snr))
    open_ = np.ones(len(placed), bool)
    for i in order.tolist():
        if open_[i]:
            near = np.asarray(tree.query_ball_point(points[i], chord * (1 - 1e-9)))
            open_[near] = False
            open_[i] = True
            keep[placed[near]] = False
            keep[placed[i]] = True
    return np.flatnonzero(keep)
