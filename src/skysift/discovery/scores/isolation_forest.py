"""Isolation forest: how few random cuts set a cutout apart (Liu, Ting & Zhou 2008)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from skysift.discovery.scores.base import Advance, Array, Raw, nothing
from skysift.errors import RequestError

CHUNK = 16_384


@dataclass(frozen=True)
class IsolationForest:
    """scikit-learn's forest; the score is 2^(-mean depth / expected depth), in (0, 1].

    Parameters
    ----------
    trees : int
        Number of trees; Riggi et al. 2024 take 200.
    max_samples : "auto" or float
        Cutouts that a tree sees: 256, or a share of all.
    seed : int
        Of cuts and samples.
    """

    cost: ClassVar[float] = 0.25

    trees: int = 200
    max_samples: Literal["auto"] | float = "auto"
    seed: int = 0

    def of_features(self, features: Array, advance: Advance = nothing) -> Raw:
        """Score the rows of `features` (N, D)."""
        from sklearn.ensemble import IsolationForest as Forest

        if len(features) < 2:
            raise RequestError(f"An isolation forest needs at least two cutouts, not {len(features)}; add more.")
        share = self.max_samples
        samples = min(256, len(features)) if share == "auto" else max(2, round(share * len(features)))
        forest = Forest(n_estimators=self.trees, max_samples=samples, random_state=self.seed).fit(np.asarray(features))
        scores = np.empty(len(features))
        for start in range(0, len(features), CHUNK):
            part = slice(start, start + CHUNK)
            scores[part] = -forest.score_samples(np.asarray(features[part]))
            advance(len(scores[part]))
        return scores
