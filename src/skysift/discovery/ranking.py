"""From scores on any scale to ranks: normalised, averaged, and put in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_OF_A_SIZE = 50
"""Fewest cutouts of one size that are ranked apart; fewer can't be told from the odd ones among them."""


def normalised_ranks(raw: NDArray[np.floating]) -> Floats:
    """Return ranks in [0, 1]: 0 for the smallest value, 1 for the largest, the mean rank for equal ones.

    Parameters
    ----------
    raw : ndarray (N,)
        NaN where a cutout has no score; it gets 0.

    Returns
    -------
    ndarray (N,) float64
        0.5 everywhere if all values are equal.
    """
    from scipy.stats import rankdata

    values = np.asarray(raw, dtype=np.float64)
    ranks = np.zeros(len(values))
    known = ~np.isnan(values)
    count = int(known.sum())
    if count == 1:
        ranks[known] = 0.5
    elif count:
        ranks[known] = (rankdata(values[known]) - 1) / (count - 1)
    return ranks


def rank_average(columns: Sequence[NDArray[np.floating]]) -> Floats:
    """Return the mean of the normalised ranks of several scores, (N,) each."""
    return np.mean([normalised_ranks(column) for column in columns], axis=0)


def size_groups(windows: NDArray[np.integer], least: int = LEAST_OF_A_SIZE) -> list[NDArray[np.int64]]:
    """Divide cutouts by the size of their window, for a large window shows more than a small one.

    Sizes that fewer than `least` cutouts have, as those of boxes around sources, are ranked together; if those too
    are fewer, with the commonest size.

    Parameters
    ----------
    windows : ndarray (N, 4)
        x0, y0, width, height [pixel].
    least : int
        Fewest cutouts of a group.

    Returns
    -------
    list of ndarray of int64
        Rows of each group, ascending; smaller windows first, mixed sizes last.
    """
    _, group, counts = np.unique(windows[:, 2:], axis=0, return_inverse=True, return_counts=True)
    group = group.ravel()
    common = counts >= least
    groups = [np.flatnonzero(group == i) for i in np.flatnonzero(common)]
    mixed = np.flatnonzero(~common[group])
    if not len(mixed):
        return groups
    if len(mixed) < least and groups:
        largest = max(range(len(groups)), key=lambda i: len(groups[i]))
        groups[largest] = np.sort(np.concatenate([groups[largest], mixed]))
        return groups
    return [*groups, mixed]


def ensemble_of(
    scores: Mapping[str, NDArray[np.floating]], groups: Sequence[NDArray[np.int64]]
) -> tuple[Floats, Floats]:
    """Average the ranks of several scores within each group.

    Parameters
    ----------
    scores : mapping of str to ndarray (N,)
        Normalised, 1 the most anomalous.
    groups : sequence of ndarray of int64
        Rows that are ranked with each other.

    Returns
    -------
    ensemble : ndarray (N,)
        Normalised rank of the mean within the group, so that the first of each group share the value 1.
    mean : ndarray (N,)
        The mean itself: decides between cutouts of different groups that have the same place.
    """
    mean = np.mean([np.asarray(column, dtype=np.float64) for column in scores.values()], axis=0)
    ensemble = np.empty_like(mean)
    for rows in groups:
        ensemble[rows] = normalised_ranks(mean[rows])
    return ensemble, mean


def places(ensemble: Floats, mean: Floats, ids: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return the place of each cutout from 1; equal ones by `mean`, then by their ids."""
    order = np.lexsort((ids, -mean, -ensemble))
    found = np.empty(len(order), np.int64)
    found[order] = np.arange(1, len(order) + 1)
    return found
