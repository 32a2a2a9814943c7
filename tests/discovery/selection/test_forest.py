"""Which settings of forests are tried, and thresholds against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from skysift.discovery.selection.forest import CONTAMINATIONS, forest_threshold, tried_shares


@pytest.mark.parametrize("contamination", CONTAMINATIONS)
def test_a_threshold_calls_the_outliers_that_scikit_learn_calls(contamination):
    rng = np.random.default_rng(2)
    features = rng.standard_normal((700, 4)).astype(np.float32)
    features[:7] += 6
    forest = IsolationForest(n_estimators=20, random_state=0, contamination=contamination).fit(features)
    scores = -forest.score_samples(features)
    found = scores >= forest_threshold(scores, contamination)
    assert np.array_equal(found, forest.predict(features) == -1)
    assert found.sum() == {"auto": found.sum(), 0.001: 1, 0.01: 7, 0.1: 70}[contamination] > 0


def test_shares_that_are_tried():
    every = ("auto", 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    assert tried_shares(100_000) == every
    assert tried_shares(400) == ("auto", *every[3:])
    assert tried_shares(8) == ("auto", 1.0)
