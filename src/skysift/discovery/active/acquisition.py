"""Which cutout to show next: the two formulae that weigh what is known against what is not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Array = npt.NDArray[np.float64]

TOP = 5.0
"""The highest score that a person gives."""


def alpha_of(explore: float) -> float:
    """Return Lochner & Bassett's alpha for a knob from 0 to 1: 0, 1 at the middle, growing without end."""
    return float(np.tan(np.clip(explore, 0, 0.999) * np.pi / 2))


def astronomaly(raw: Array, predicted: Array, distance: Array, *, alpha: float) -> Array:
    """Return raw score times what people would think, where their opinion reaches (Lochner & Bassett 2021).

    s tanh(exp(alpha d / <d>) - 1 + arctanh f) with f = 0.1 + 0.85 u / 5: near rated cutouts the raw score is scaled by
    the predicted opinion, far from them it stays as it is.

    Parameters
    ----------
    raw : ndarray, shape (N,)
        Static anomaly score s in [0, 1].
    predicted : ndarray, shape (N,)
        Predicted user score u, 0 to 5.
    distance : ndarray, shape (N,)
        Distance d to the nearest rated cutout in feature space.
    alpha : float
        How soon opinions fade with distance; 0: never.

    Returns
    -------
    ndarray, shape (N,), float64
    """
    mean = float(distance.mean())
    reach = np.expm1(np.minimum(alpha * distance / mean, 50.0)) if mean > 0 else np.zeros_like(distance)
    opinion = 0.1 + 0.85 * np.clip(predicted, 0, TOP) / TOP
    return np.asarray(raw * np.tanh(reach + np.arctanh(opinion)), dtype=np.float64)


def expected_improvement(mean: Array, deviation: Array, *, target: float) -> Array:
    """Return by how much a value is expected to exceed a target: (m - t) Phi(z) + s phi(z), z = (m - t) / s.

    As used for ratings by Protege (Lochner & Rudnick 2025, doi:10.3847/1538-3881/ada14c). A target far below every mean
    ranks by mean alone, one far above by deviation.

    Parameters
    ----------
    mean, deviation : ndarray, shape (N,)
        Of the prediction; deviations are not negative.
    target : float
        The value to exceed.

    Returns
    -------
    ndarray, shape (N,), float64
    """
    over = mean - target
    z = np.divide(over, deviation, out=np.full_like(over, np.inf), where=deviation > 0)
    density = np.where(np.isfinite(z), np.exp(-0.5 * np.where(np.isfinite(z), z, 0.0) ** 2) / np.sqrt(2 * np.pi), 0.0)
    certain = np.clip(over, 0, None)
    return np.asarray(np.where(deviation > 0, over * ndtr(z) + deviation * density, certain), dtype=np.float64)


def ranks(values: npt.ArrayLike) -> Array:
    """Return ranks in (0, 1], 1 for the highest; equal values share theirs."""
    from scipy.stats import rankdata

    array = np.asarray(values, dtype=np.float64)
    return np.asarray(rankdata(array) / max(len(array), 1), dtype=np.float64)
