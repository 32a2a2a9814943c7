"""How far probabilities can be trusted: reliability, expected calibration error, likelihood, Brier score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 15
RESAMPLES = 200
TINY = 1e-12


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy in bins of confidence, the probability of the class that is predicted.

    Attributes
    ----------
    edges : ndarray of float64, shape (bins + 1,)
        Bin m holds the confidences in (edges[m], edges[m + 1]].
    count : ndarray of int64, shape (bins,)
        Samples in each bin.
    confidence, accuracy : ndarray of float64, shape (bins,)
        Mean confidence and share of right predictions; NaN where a bin is empty.
    """

    edges: NDArray[np.float64]
    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of accuracy from confidence, bins weighed by their samples."""
        filled = self.count > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float((self.count[filled] * gaps).sum() / self.count.sum())


def reliability(probabilities: ArrayLike, truth: ArrayLike, *, bins: int = BINS) -> Reliability:
    """Compare confidence with accuracy in equal bins of confidence.

    Parameters
    ----------
    probabilities : array_like of float, shape (n, k)
        Of each class; rows sum to 1.
    truth : array_like of int, shape (n,)
        Class indices.
    bins : int
        Number of bins over [0, 1].

    Returns
    -------
    Reliability

    Raises
    ------
    ValueError
        If there are no samples, or the shapes do not fit.

    References
    ----------
    Guo et al. 2017 (arXiv:1706.04599), equations 1 to 3.
    """
    values, classes = _checked(probabilities, truth)
    confidence, right = values.max(axis=1), values.argmax(axis=1) == classes
    return _binned(confidence, right, bins)


def chance_error(probabilities: ArrayLike, *, bins: int = BINS, seed: int = 0) -> float:
    """Return the calibration error that so few samples would show if their probabilities were exactly right.

    Parameters
    ----------
    probabilities : array_like of float, shape (n, k)
        Of each class.
    bins : int
        Number of bins.
    seed : int
        Seed of the draws.

    Returns
    -------
    float
        Mean error over 200 draws in which each prediction is right with its own confidence. It falls as 1 / sqrt(n);
        an error near it is no sign of bad calibration.
    """
    confidence = np.asarray(probabilities, dtype=np.float64).max(axis=1)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed])))
    draws = (rng.random(len(confidence)) < confidence for _ in range(RESAMPLES))
    return float(np.mean([_binned(confidence, right, bins).error for right in draws]))


def negative_log_likelihood(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """Return the mean of -ln p(true class), p cut off at 1e-12; arguments as in `reliability`."""
    values, classes = _checked(probabilities, truth)
    return float(-np.log(np.maximum(values[np.arange(len(classes)), classes], TINY)).mean())


def brier_score(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """Return the mean over samples of the sum over classes of (p - y)^2, in [0, 2]; arguments as in `reliability`.

    References
    ----------
    Brier 1950 (Monthly Weather Review 78, 1), with y = 1 for the true class and 0 for the others.
    """
    values, classes = _checked(probabilities, truth)
    return float(((values - np.eye(values.shape[1])[classes]) ** 2).sum(axis=1).mean())


def _binned(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int) -> Reliability:
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = (np.bincount(place, weights=w, minlength=bins) / count for w in (confidence, right.astype(float)))
        mean_confidence, accuracy = means
    return Reliability(edges, count.astype(np.int64), mean_confidence, accuracy)


def _checked(probabilities: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    values, classes = np.asarray(probabilities, dtype=np.float64), np.asarray(truth, dtype=np.int64)
    if values.ndim != 2 or values.shape[:1] != classes.shape or not len(classes):
        raise ValueError(f"probabilities {values.shape} for {classes.shape} samples; there must be a row for each.")
    if classes.min() < 0 or classes.max() >= values.shape[1]:
        raise ValueError(f"classes {classes.min()} to {classes.max()} where there are {values.shape[1]} probabilities.")
    return values, classes
