"""Paired tests against scipy, a written-out reference, and their own promise: 5 % of null cases."""

from itertools import product
from math import comb, sqrt

import numpy as np
import pytest
from scipy import stats

from skysift.metrics.paired import corrected_resampled_t, exact_mcnemar, holm, signed_rank
from skysift.metrics.uncertainty import mean_and_error

DIFFERENCES = [0.031, -0.004, 0.022, 0.018, 0.027, 0.001, 0.015, 0.009]


def test_without_correction_it_is_the_paired_t_test():
    """As n_test / n_train goes to 0 the correction vanishes."""
    found = corrected_resampled_t(DIFFERENCES, test_over_train=1e-12)
    oracle = stats.ttest_1samp(DIFFERENCES, 0.0)
    assert found.statistic == pytest.approx(oracle.statistic)
    assert found.p == pytest.approx(oracle.pvalue)
    assert found.dof == 7
    assert found.interval() == pytest.approx(oracle.confidence_interval(0.95))


def test_corrected_variance_is_nadeau_and_bengios():
    n, ratio = len(DIFFERENCES), 300 / 700
    mean = sum(DIFFERENCES) / n
    s2 = sum((d - mean) ** 2 for d in DIFFERENCES) / (n - 1)
    t = mean / sqrt((1 / n + ratio) * s2)
    found = corrected_resampled_t(DIFFERENCES, test_over_train=ratio)
    assert found.difference == pytest.approx(mean)
    assert found.error == pytest.approx(sqrt((1 / n + ratio) * s2))
    assert found.statistic == pytest.approx(t)
    assert found.p == pytest.approx(2 * (1 - stats.t.cdf(t, n - 1)))


def test_equal_repeats_change_nothing():
    once = corrected_resampled_t(DIFFERENCES, test_over_train=0.4)
    thrice = corrected_resampled_t([DIFFERENCES] * 3, test_over_train=0.4)
    assert thrice.statistic == pytest.approx(once.statistic)
    assert thrice.dof == pytest.approx(once.dof)


def test_repeats_add_their_variance():
    table = np.array([[0.02, 0.04, 0.01], [0.00, 0.03, 0.02]])
    found = corrected_resampled_t(table, test_over_train=0.5)
    draws, repeats = [0.01, 0.035, 0.015], [0.07 / 3, 0.05 / 3]
    v1 = (1 / 3 + 0.5) * np.var(draws, ddof=1)
    v2 = np.var(repeats, ddof=1) / 2
    assert found.error == pytest.approx(sqrt(v1 + v2))
    assert found.dof == pytest.approx((v1 + v2) ** 2 / (v1**2 / 2 + v2**2 / 1))


@pytest.mark.parametrize(("repeats", "spread"), [(1, 0.0), (3, 0.7)])
def test_one_null_case_in_twenty_is_found(repeats, spread):
    """Differences of two equal classifiers, correlated by 0.3 between draws as 30 % test sets make them."""
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(1500):
        draws = sqrt(0.3) * rng.normal() + sqrt(0.7) * rng.normal(size=10)
        table = draws + spread * rng.normal(size=(repeats, 1))
        found += corrected_resampled_t(table, test_over_train=0.3 / 0.7).p < 0.05
    assert 0.03 < found / 1500 < 0.07
    naive = sum(
        stats.ttest_1samp(sqrt(0.3) * rng.normal() + sqrt(0.7) * rng.normal(size=10), 0).pvalue < 0.05
        for _ in range(300)
    )
    assert naive / 300 > 0.2  # what the correction is for


def test_degenerate_differences():
    zero = corrected_resampled_t([0.0, 0.0, 0.0], test_over_train=0.4)
    assert (zero.statistic, zero.p) == (0.0, 1.0)
    constant = corrected_resampled_t([-0.1, -0.1, -0.1], test_over_train=0.4)
    assert (constant.statistic, constant.p) == (-np.inf, 0.0)
    once = corrected_resampled_t([[0.1], [0.3], [0.2]], test_over_train=0.4)
    assert once.p == pytest.approx(stats.ttest_1samp([0.1, 0.3, 0.2], 0).pvalue)
    single = corrected_resampled_t([0.3], test_over_train=0.4)
    assert single.difference == 0.3
    assert np.isnan([single.error, single.statistic, single.p]).all()
    for bad, ratio in (([], 0.4), ([np.nan, 1.0], 0.4), ([0.1, 0.2], 0.0), (np.zeros((2, 2, 2)), 0.4)):
        with pytest.raises(ValueError):
            corrected_resampled_t(bad, test_over_train=ratio)


def test_signed_rank_by_enumeration():
    """All 2^n signs of the ranks are equally likely under the null."""
    values = np.array(DIFFERENCES)
    ranks = stats.rankdata(np.abs(values))
    smaller = min(ranks[values > 0].sum(), ranks[values < 0].sum())
    sums = [sum(r for r, s in zip(ranks, signs, strict=True) if s) for signs in product((0, 1), repeat=len(ranks))]
    p = min(1.0, 2 * np.mean(np.array(sums) <= smaller))
    assert signed_rank(values) == pytest.approx((smaller, p))
    assert signed_rank([*values, 0.0]) == pytest.approx((smaller, p))
    assert signed_rank([0.1, 0.2, 0.3, 0.4, 0.5])[1] == pytest.approx(2**-4)
    assert signed_rank([0.0, 0.0]) == (0.0, 1.0)


def test_mcnemar_by_the_binomial():
    right = np.array([1] * 9 + [0] * 2 + [1] * 20 + [0] * 5, bool)
    base = np.array([0] * 9 + [1] * 2 + [1] * 20 + [0] * 5, bool)
    p = 2 * sum(comb(11, k) for k in range(3)) / 2**11
    assert exact_mcnemar(right, base) == pytest.approx(p)
    assert exact_mcnemar(base, right) == pytest.approx(p)
    assert exact_mcnemar(base, base) == 1.0


def test_holm_by_hand():
    """m = 4: 4 x 0.005, 3 x 0.01, 2 x 0.03, 1 x 0.04 raised to 0.06."""
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, np.nan, 0.6]), [1.0, np.nan, 1.0])
    assert holm([]).shape == (0,)


def test_errors_over_repeats():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(3, 6))
    assert mean_and_error(table[:1]) == mean_and_error(table[0])
    assert mean_and_error(table[:, :1]).error == mean_and_error(table[:, 0]).error
    table[1, 2] = np.nan
    kept = np.delete(table, 2, axis=1)
    found = mean_and_error(table)
    assert found.mean == pytest.approx(kept.mean())
    assert found.n == 5


def test_error_over_repeats_is_that_of_the_mean():
    """The squared error estimates the variance of the mean under crossed random effects."""
    rng = np.random.default_rng(1)
    means, squares = [], []
    for _ in range(4000):
        table = rng.normal(size=(4, 8)) + 0.8 * rng.normal(size=8) + 0.5 * rng.normal(size=(4, 1))
        found = mean_and_error(table)
        means.append(found.mean)
        squares.append(found.error**2)
    assert np.mean(squares) == pytest.approx(np.var(means), rel=0.08)
    assert np.var(means) == pytest.approx(1 / 32 + 0.64 / 8 + 0.25 / 4, rel=0.08)
