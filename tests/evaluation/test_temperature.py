"""Temperature scaling, against scipy's minimisation."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from skysift.evaluation.classifier.temperature import cross_fitted, fit_temperature, scaled
from skysift.metrics.calibration import negative_log_likelihood, reliability


def sharpened(factor, n=600, seed=0):
    """Logits that are `factor` times as large as they should be, and the classes drawn from the right ones."""
    rng = np.random.default_rng(seed)
    right = rng.normal(0, 1.5, (n, 4))
    truth = np.array([rng.choice(4, p=row) for row in softmax(right, axis=1)])
    return right * factor, truth


@pytest.mark.parametrize("factor", [0.02, 0.3, 1.0, 4.0, 40.0])
def test_temperature_has_the_largest_likelihood(factor):
    logits, truth = sharpened(factor)

    def loss(log_temperature):
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(truth)), truth].mean()

    oracle = minimize_scalar(loss, bounds=(np.log(1e-3), np.log(1e3)), method="bounded", options={"xatol": 1e-10})
    found = fit_temperature(logits, truth)
    assert found == pytest.approx(np.exp(oracle.x), rel=1e-4)
    assert found == pytest.approx(factor, rel=0.15)
    assert loss(np.log(found)) <= oracle.fun + 1e-12


def test_scaling_keeps_the_class_and_mends_the_confidence():
    logits, truth = sharpened(4.0)
    before, after = scaled(logits, 1.0), scaled(logits, fit_temperature(logits, truth))
    np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))
    assert reliability(before, truth).error > 0.2
    assert reliability(after, truth).error < 0.05


def test_cross_fitted_probabilities_are_fitted_without_their_own_sample():
    logits, truth = sharpened(3.0)
    found = cross_fitted(logits, truth, seed=5)
    np.testing.assert_array_equal(found, cross_fitted(logits, truth, seed=5))
    # (z0 - z1) / T = ln p0 - ln p1
    used = np.round((logits[:, 0] - logits[:, 1]) / np.log(found[:, 0] / found[:, 1]), 6)
    parts = [np.flatnonzero(used == temperature) for temperature in np.unique(used)]
    assert [len(part) for part in parts] == [120] * 5
    for part in parts:
        others = np.setdiff1d(np.arange(600), part)
        assert used[part[0]] == pytest.approx(fit_temperature(logits[others], truth[others]), abs=1e-5)
    inside = negative_log_likelihood(scaled(logits, fit_temperature(logits, truth)), truth)
    assert inside < negative_log_likelihood(found, truth) < inside + 0.01


def test_what_cannot_be_fitted_stays_one():
    right = np.array([[3.0, 0.0], [0.0, 2.0]])
    assert fit_temperature(right, np.array([0, 1])) == 1.0
    assert fit_temperature(np.zeros((0, 2)), np.zeros(0, np.int64)) == 1.0
    np.testing.assert_allclose(cross_fitted(right[:1], np.array([0]), seed=0), softmax(right[:1], axis=1))
    wrong = fit_temperature(right, np.array([1, 0]))
    assert wrong == pytest.approx(1000, rel=0.01)
