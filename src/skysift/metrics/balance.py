"""How evenly counts are spread over clusters or classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def gini(counts: ArrayLike) -> float:
    """Return the Gini coefficient of counts: 0 when all are equal, (k - 1) / k when one holds everything.

    Half the mean absolute difference between two counts over their mean, pairs with themselves included.

    Parameters
    ----------
    counts : array_like, shape (k,)
        Non-negative counts or weights; empty clusters count as zeros.

    Returns
    -------
    float
        In [0, 1).

    Raises
    ------
    ValueError
        If there is no count, one is negative or not finite, or all are zero.
    """
    ordered = np.sort(_counts(counts))
    k = ordered.size
    ranks = np.arange(1, k + 1, dtype=np.float64)
    return max(0.0, float((2 * ranks - k - 1) @ ordered / (k * ordered.sum())))


def entropy(counts: ArrayLike, *, base: float | None = None) -> float:
    """Return the Shannon entropy of counts, in nats or in units of a logarithm's base.

    Parameters
    ----------
    counts : array_like, shape (k,)
        Non-negative counts or weights; they need not sum to one.
    base : float, optional
        2 gives bits. Default: nats.

    Returns
    -------
    float
        In [0, log k].

    Raises
    ------
    ValueError
        If there is no count, one is negative or not finite, or all are zero.
    """
    values = _counts(counts)
    shares = values[values > 0] / values.sum()
    nats = max(0.0, float(-(shares @ np.log(shares))))
    return nats if base is None else nats / float(np.log(base))


def normalised_entropy(counts: ArrayLike) -> float:
    """Return the entropy of counts over its largest value, log k: 1 when all are equal, 0 when one holds all.

    Raises
    ------
    ValueError
        If there is no count, one is negative or not finite, or all are zero.
    """
    k = np.size(np.asarray(counts))
    value = entropy(counts)
    return min(1.0, value / float(np.log(k))) if k > 1 else 1.0


def _counts(counts: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(counts, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"counts must be one non-empty row of numbers, not an array of shape {values.shape}.")
    if not np.isfinite(values).all() or (values < 0).any() or values.sum() == 0:
        raise ValueError("counts must be finite and non-negative, and not all zero.")
    return values
