"""Calibration, against a written-out reference and scikit-learn."""

import numpy as np
import pytest
import sklearn.metrics

from skysift.metrics.calibration import (
    brier_score,
    chance_error,
    negative_log_likelihood,
    reliability,
)


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(4)
    probabilities = rng.dirichlet([0.4, 0.6, 0.5, 0.3], 500)
    truth = np.array([rng.choice(4, p=row) if rng.random() < 0.7 else rng.integers(4) for row in probabilities])
    return probabilities, truth


def reference(probabilities, truth, bins):
    """Guo et al. 2017, equation 3, sample by sample."""
    total = 0.0
    for m in range(bins):
        inside = [i for i, row in enumerate(probabilities) if m / bins < max(row) <= (m + 1) / bins]
        if inside:
            accuracy = sum(np.argmax(probabilities[i]) == truth[i] for i in inside) / len(inside)
            confidence = sum(max(probabilities[i]) for i in inside) / len(inside)
            total += len(inside) / len(truth) * abs(accuracy - confidence)
    return total


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_error_equals_its_definition(predictions, bins):
    found = reliability(*predictions, bins=bins)
    assert found.error == pytest.approx(reference(*predictions, bins), rel=1e-12)
    assert found.count.sum() == 500
    assert found.error > 0.05


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    found = reliability([[0.5, 0.5], [1.0, 0.0], [0.6, 0.4]], [0, 1, 0], bins=10)
    assert np.flatnonzero(found.count).tolist() == [4, 5, 9]
    np.testing.assert_array_equal(found.accuracy[[4, 5, 9]], [1, 1, 0])
    assert np.isnan(found.accuracy[0])
    assert found.error == pytest.approx((0.5 + 0.4 + 1.0) / 3)


def test_likelihood_and_brier_equal_scikit_learn(predictions):
    probabilities, truth = predictions
    assert negative_log_likelihood(probabilities, truth) == pytest.approx(
        sklearn.metrics.log_loss(truth, probabilities, labels=range(4))
    )
    # scikit-learn's score of several classes is the same sum where it has one
    expected = np.mean([sklearn.metrics.brier_score_loss(truth == k, probabilities[:, k]) for k in range(4)]) * 4
    assert brier_score(probabilities, truth) == pytest.approx(expected)
    assert negative_log_likelihood([[1.0, 0.0]], [1]) == pytest.approx(-np.log(1e-12))


def test_chance_alone_makes_an_error_that_falls_with_the_number_of_samples():
    rng = np.random.default_rng(0)
    errors = {}
    for n in (100, 1600):
        probabilities = rng.dirichlet([0.5, 0.5, 0.5], n)
        truth = np.array([rng.choice(3, p=row) for row in probabilities])
        errors[n] = chance_error(probabilities)
        assert reliability(probabilities, truth).error == pytest.approx(errors[n], rel=0.6)
        assert chance_error(probabilities) == errors[n]
    assert errors[100] / errors[1600] == pytest.approx(4, rel=0.3)


@pytest.mark.parametrize(("probabilities", "truth"), [([[0.5, 0.5]], [0, 1]), ([[0.5, 0.5]], [2]), ([], [])])
def test_what_does_not_fit_is_refused(probabilities, truth):
    with pytest.raises(ValueError, match="probabilities"):
        reliability(probabilities, truth)
