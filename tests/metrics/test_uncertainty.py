"""Errors of scores, against scipy and a bootstrap of the samples themselves."""

import numpy as np
import pytest
from scipy import stats

from skysift.metrics import bootstrap_confusions, bootstrap_errors, class_scores, confusion_matrix, mean_and_error


def test_mean_and_error_equal_scipy():
    values = [0.71, 0.74, 0.69, 0.77, 0.72]
    estimate = mean_and_error(values)
    assert estimate.mean == pytest.approx(np.mean(values))
    assert estimate.error == pytest.approx(stats.sem(values))
    assert estimate.n == 5


def test_missing_draws():
    assert mean_and_error([0.5, np.nan, 0.7]) == pytest.approx((0.6, stats.sem([0.5, 0.7]), 2))
    one = mean_and_error([0.5])
    assert one.mean == 0.5
    assert np.isnan(one.error)
    assert np.isnan(mean_and_error([np.nan]).mean)
    assert np.isnan(mean_and_error([[0.5], [np.nan]]).mean)
    with pytest.raises(ValueError, match="a row of draws or a table"):
        mean_and_error([[[1.0]]])


def test_bootstrap_equals_resampling_the_samples():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 400)
    predicted = np.where(rng.random(400) < 0.7, truth, rng.integers(0, 3, 400))
    matrix = confusion_matrix(truth, predicted, 3)
    direct = []
    for _ in range(2000):
        pick = rng.integers(0, 400, 400)
        direct.append(class_scores(confusion_matrix(truth[pick], predicted[pick], 3)).overall())
    errors = bootstrap_errors(matrix, resamples=4000, seed=1)
    for name, error in errors.items():
        assert error == pytest.approx(np.std([d[name] for d in direct], ddof=1), rel=0.08)
    accuracy = np.trace(matrix) / 400
    assert errors["accuracy"] == pytest.approx(np.sqrt(accuracy * (1 - accuracy) / 400), rel=0.05)


def test_bootstrap_is_seeded_and_keeps_the_total():
    matrix = np.array([[8, 2], [1, 9]])
    draws = bootstrap_confusions(matrix, resamples=50, seed=4)
    np.testing.assert_array_equal(draws, bootstrap_confusions(matrix, resamples=50, seed=4))
    assert (draws.sum(axis=(1, 2)) == 20).all()


def test_bad_bootstrap():
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_confusions(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="two resamples"):
        bootstrap_errors(np.eye(2), resamples=1)
