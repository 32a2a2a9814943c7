"""Confident learning (Northcutt, Jiang & Chuang 2021, JAIR 70, 1373; arXiv:1911.00068)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float64]
Classes = NDArray[np.int64]


@dataclass(frozen=True)
class Joint:
    """How labels and what the samples seem to be go together.

    Attributes
    ----------
    thresholds : ndarray of float64, shape (k,)
        Mean probability of each class over the samples labelled with it; a sample counts as confidently of a class
        from there on (equation 2). Infinite where nothing is labelled with it.
    counts : ndarray of int64, shape (k, k)
        Samples labelled i that count as confidently of class j (equation 1).
    joint : ndarray of float64, shape (k, k)
        Share of all samples that are labelled i and truly of class j, by those counts, rows scaled to the number of
        samples with each label (equation 3).
    suspected : ndarray of bool, shape (n,)
        Samples that count off the diagonal.
    seems : ndarray of int64, shape (n,)
        The class that each sample confidently seems to be of; -1 where it is of none.
    """

    thresholds: NDArray[np.float64]
    counts: NDArray[np.int64]
    joint: NDArray[np.float64]
    suspected: NDArray[np.bool_]
    seems: Classes

    @property
    def wrong(self) -> float:
        """Estimated number of wrong labels."""
        share = float(self.joint.sum() - np.trace(self.joint))
        return share * len(self.suspected)


def confident_joint(probabilities: Probabilities, labels: Classes) -> Joint:
    """Count which labels are contradicted with confidence.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (n, k)
        Of each class, by a classifier that has not seen the sample.
    labels : ndarray of int64, shape (n,)
        The labels.

    Returns
    -------
    Joint
    """
    n, k = probabilities.shape
    sizes = np.bincount(labels, minlength=k)
    own = probabilities[np.arange(n), labels]
    with np.errstate(invalid="ignore"):
        means = np.bincount(labels, weights=own, minlength=k) / sizes
    thresholds = np.where(sizes > 0, means, np.inf)
    # the mean over equal numbers may round above them
    above = probabilities >= thresholds * (1 - 1e-12)
    best = np.where(above, probabilities, -1.0).argmax(axis=1)
    seems = np.where(above.any(axis=1), best, -1).astype(np.int64)
    counted = seems >= 0
    counts = np.zeros((k, k), dtype=np.int64)
    np.add.at(counts, (labels[counted], seems[counted]), 1)
    scaled = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * sizes[:, None]
    return Joint(thresholds, counts, scaled / max(scaled.sum(), 1e-300), counted & (seems != labels), seems)


def label_quality(
    probabilities: Probabilities, labels: Classes, score: Literal["margin", "self-confidence"]
) -> NDArray[np.float64]:
    """Return how well the label of each sample fits; the lower, the more it is suspected.

    Parameters
    ----------
    probabilities, labels
        As for `confident_joint`.
    score : str
        `self-confidence`: the probability of the label. `margin`: less the largest of the other classes, in [-1, 1]
        (normalised margin).

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    if score == "self-confidence":
        return np.asarray(own)
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    return np.asarray(own - others.max(axis=1))
