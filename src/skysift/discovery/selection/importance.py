"""How much each feature tells interesting cutouts from ordinary ones, by gradient-boosted trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_DEPTH, NUM_LEAVES, MIN_DATA_IN_LEAF = 2, 32, 20
"""Of Riggi et al. 2024, section 5."""
ROUNDS, PATIENCE, UNCHECKED_ROUNDS = 500, 20, 50
VALIDATION_PARTS = 5


@dataclass(frozen=True)
class Importance:
    """What LightGBM made of the features.

    Attributes
    ----------
    gain : ndarray of float64, shape (d,)
        Loss that splits on each feature saved, summed over all trees.
    order : ndarray of int64, shape (k,)
        Features that were of use, the most important first; equal gains by index.
    rounds : int
        Trees that were kept.
    leaf : int
        Fewest cutouts in a leaf.
    booster : lightgbm.Booster
        The classifier.
    notes : tuple of str
        What a user should know.
    """

    gain: NDArray[np.float64]
    order: NDArray[np.int64]
    rounds: int
    leaf: int
    booster: Any
    notes: tuple[str, ...] = ()

    def probability(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return how probably cutouts are interesting, shape (n,), of their features (n, d)."""
        found = self.booster.predict(features, num_iteration=self.rounds, num_threads=1)
        return np.asarray(found, dtype=np.float64)


def find_importance(
    features: NDArray[np.float32], interesting: NDArray[np.bool_], group: NDArray[np.int64], *, seed: int
) -> Importance:
    """Train LightGBM to tell interesting cutouts from ordinary ones.

    A fifth of them (whole groups) stops the boosting when its loss no longer falls. The result depends on neither
    threads nor workers.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
        Of interesting and ordinary cutouts.
    interesting : ndarray of bool, shape (n,)
        Which are interesting; some are and some are not.
    group : ndarray of int64, shape (n,)
        Cutouts of one group stay together.
    seed : int
        Of the division.

    Returns
    -------
    Importance
    """
    import lightgbm

    notes = []
    fit, stop = _divide(interesting, group, seed)
    leaf = int(np.clip(min(interesting[fit].sum(), (~interesting[fit]).sum()) // 4, 1, MIN_DATA_IN_LEAF))
    if leaf < MIN_DATA_IN_LEAF:
        notes.append(f"few labels: a leaf of LightGBM may hold {leaf} cutouts, not {MIN_DATA_IN_LEAF}")
    if not len(stop):
        notes.append(f"too few labels to stop LightGBM early: it takes {UNCHECKED_ROUNDS} rounds")
    options = {
        "objective": "binary",
        "metric": "binary_logloss",
        "max_depth": MAX_DEPTH,
        "num_leaves": NUM_LEAVES,
        "min_data_in_leaf": leaf,
        "feature_pre_filter": False,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": seed,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(features[fit], interesting[fit].astype(np.float32), params=options)
    checks: dict[str, Any] = {}
    if len(stop):
        checks["valid_sets"] = [data.create_valid(features[stop], interesting[stop].astype(np.float32))]
        checks["callbacks"] = [lightgbm.early_stopping(PATIENCE, verbose=False)]
    booster = lightgbm.train(options, data, ROUNDS if len(stop) else UNCHECKED_ROUNDS, **checks)
    rounds = int(booster.best_iteration) if len(stop) else UNCHECKED_ROUNDS
    gain = np.asarray(booster.feature_importance("gain", iteration=rounds), dtype=np.float64)
    order = np.lexsort((np.arange(len(gain)), -gain)).astype(np.int64)
    return Importance(gain, order[gain[order] > 0], rounds, leaf, booster, tuple(notes))


def _divide(
    interesting: NDArray[np.bool_], group: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which cutouts train and which stop the training; all and none where they are too few."""
    from sklearn.model_selection import StratifiedGroupKFold

    every = np.arange(len(interesting))
    rarest = min(len(np.unique(group[interesting])), len(np.unique(group[~interesting])))
    if rarest < 2:
        return every, every[:0]
    divide = StratifiedGroupKFold(min(VALIDATION_PARTS, rarest), shuffle=True, random_state=seed)
    fit, stop = next(iter(divide.split(every[:, None], interesting, group)))
    if len(np.unique(interesting[fit])) < 2 or len(np.unique(interesting[stop])) < 2:
        return every, every[:0]
    return fit, stop
