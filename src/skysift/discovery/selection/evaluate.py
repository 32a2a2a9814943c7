"""How well a ranking finds the interesting cutouts: recall, precision and contamination against its threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skysift.discovery.selection.frames import INTERESTING, ORDINARY

RESAMPLES = 500
BINS = 30

Floats = NDArray[np.float64]
Kinds = NDArray[np.int64]


@dataclass(frozen=True)
class Curve:
    """What is selected with a score of at least each threshold.

    Attributes
    ----------
    threshold : ndarray of float64, shape (t,)
        Every score that occurs, falling.
    selected : ndarray of float64, shape (t,)
        Number of cutouts (sum of their weights).
    recall : ndarray of float64, shape (t,)
        Share of the interesting cutouts that are selected.
    precision : ndarray of float64, shape (t,)
        Share of the selected cutouts that are interesting.
    contamination : ndarray of float64, shape (t,)
        Share of the selected cutouts that are ordinary; the rest of them is neither.
    """

    threshold: Floats
    selected: Floats
    recall: Floats
    precision: Floats
    contamination: Floats


@dataclass(frozen=True)
class Crossing:
    """A row of the table at the crossing of recall and precision (Riggi et al. 2024, Table 4)."""

    threshold: float
    selected: int
    recall: float
    precision: float
    contamination: float
    average_precision: float
    recall_error: float
    precision_error: float
    contamination_error: float


def curve(scores: Floats, kind: Kinds, weights: Floats | None = None) -> Curve:
    """Count what each threshold selects.

    Parameters
    ----------
    scores : ndarray of float64, shape (m,)
        Larger = more anomalous.
    kind : ndarray of int64, shape (m,)
        0 ordinary, 1 interesting, 2 neither.
    weights : ndarray of float64, shape (m,), optional
        How often each counts.

    Returns
    -------
    Curve
        Empty where nothing interesting has a weight.
    """
    weight = np.ones(len(scores)) if weights is None else weights
    kept = weight > 0
    scores, kind, weight = scores[kept], kind[kept], weight[kept]
    wanted = float(weight[kind == INTERESTING].sum())
    if wanted == 0:
        return Curve(*(np.empty(0) for _ in range(5)))
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    last = np.flatnonzero(np.r_[falling[1:] != falling[:-1], True])  # equal scores are selected together
    selected = np.cumsum(weight[order])[last]
    hits, dull = (np.cumsum(weight[order] * (kind[order] == number))[last] for number in (INTERESTING, ORDINARY))
    return Curve(falling[last], selected, hits / wanted, hits / selected, dull / selected)


def at_crossing(found: Curve) -> int:
    """Return where recall and precision differ least; of equals the highest threshold that finds anything.

    Without equal scores they are the same where as many are selected as are interesting.
    """
    gap = np.abs(found.recall - found.precision)
    gap[found.recall == 0] = np.inf  # both are 0 until the first one is found
    return int(np.argmin(gap))


def crossing(scores: Floats, kind: Kinds, group: Kinds, *, seed: int) -> Crossing:
    """Return the table's row of a score.

    Parameters
    ----------
    scores : ndarray of float64, shape (m,)
        Larger = more anomalous.
    kind : ndarray of int64, shape (m,)
        0 ordinary, 1 interesting, 2 neither; at least one is interesting.
    group : ndarray of int64, shape (m,)
        What is drawn together in the bootstrap.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Crossing
        Errors are standard deviations over 500 resamplings of the groups with replacement.
    """
    from sklearn.metrics import average_precision_score

    found = curve(scores, kind)
    best = at_crossing(found)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, len(scores)])))
    groups, member = np.unique(group, return_inverse=True)
    resampled = []
    for counts in rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=RESAMPLES):
        drawn = curve(scores, kind, counts[member].astype(np.float64))
        if len(drawn.threshold):
            at = at_crossing(drawn)
            resampled.append((drawn.recall[at], drawn.precision[at], drawn.contamination[at]))
    errors = np.std(resampled, axis=0)
    return Crossing(
        threshold=float(found.threshold[best]),
        selected=round(float(found.selected[best])),
        recall=float(found.recall[best]),
        precision=float(found.precision[best]),
        contamination=float(found.contamination[best]),
        average_precision=float(average_precision_score(kind == INTERESTING, scores)),
        recall_error=float(errors[0]),
        precision_error=float(errors[1]),
        contamination_error=float(errors[2]),
    )


def histogram_edges(scores: Floats) -> Floats:
    """Return the limits of 30 bins from the least to the largest score."""
    low, high = float(scores.min()), float(scores.max())
    return np.linspace(low, high if high > low else low + 1.0, BINS + 1)
