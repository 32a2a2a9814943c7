"""Local outlier factor: how much sparser it is around a cutout than around its neighbours (Breunig et al. 2000)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skysift.discovery.scores.base import Advance, Array, Raw, nothing, reference_rows
from skysift.errors import RequestError

CHUNK = 4096


@dataclass(frozen=True)
class LOF:
    """scikit-learn's factor; about 1 where a cutout lies as densely as its neighbours, larger for outliers.

    Above 50,000 cutouts densities are those of as many drawn at random.

    Parameters
    ----------
    neighbours : int
        Neighbours that make a density.
    seed : int
        Of the draw.
    """

    cost: ClassVar[float] = 2.5

    neighbours: int = 20
    seed: int = 0

    def of_features(self, features: Array, advance: Advance = nothing) -> Raw:
        """Score the rows of `features` (N, D)."""
        from sklearn.neighbors import LocalOutlierFactor

        if len(features) <= self.neighbours:
            raise RequestError(
                f"A local outlier factor of {self.neighbours} neighbours needs at least {self.neighbours + 1} cutouts "
                f"of a size, and there are {len(features)}; ask for fewer with --lof-neighbours."
            )
        rows = reference_rows(len(features), self.seed)
        rest = np.setdiff1d(np.arange(len(features)), rows)
        model = LocalOutlierFactor(n_neighbors=self.neighbours, algorithm="brute", novelty=len(rest) > 0)
        model.fit(np.asarray(features[rows], dtype=np.float32))
        scores = np.empty(len(features))
        scores[rows] = -model.negative_outlier_factor_
        advance(len(rows))
        for start in range(0, len(rest), CHUNK):
            part = rest[start : start + CHUNK]
            scores[part] = -model.score_samples(np.asarray(features[part], dtype=np.float32))
            advance(len(part))
        return scores
