"""Paired tests between two classifiers that were scored on the same draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class PairedTest:
    """The mean of paired differences, and whether it can be chance.

    Attributes
    ----------
    difference : float
        Mean difference.
    error : float
        Its standard error, NaN where it cannot be known.
    statistic : float
        Difference over error; infinite where all differences are equal and not 0.
    dof : float
        Degrees of freedom of Student's t, NaN where there is no test.
    p : float
        Two-sided p value, NaN where there is no test.
    """

    difference: float
    error: float
    statistic: float
    dof: float
    p: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the two ends of the confidence interval of the difference."""
        from scipy.stats import t

        half = float(t.ppf(0.5 + level / 2, self.dof)) * self.error
        return self.difference - half, self.difference + half


def corrected_resampled_t(differences: ArrayLike, *, test_over_train: float) -> PairedTest:
    """Test whether the mean difference over draws of one data set is 0 (Nadeau & Bengio 2003, eq. 9).

    Draws share samples, so their differences are correlated and their scatter alone understates the error. The
    corrected variance of the mean over J draws is (1/J + n_test/n_train) s^2, with s^2 the variance (J - 1) of the
    differences, and the statistic has J - 1 degrees of freedom.

    Where both classifiers were trained R times (seeds), the differences of a draw are first averaged over the repeats,
    and the variance s_R^2 / R of the mean over repeats is added: v = (1/J + n_test/n_train) s^2 + s_R^2 / R. The
    degrees of freedom are then Satterthwaite's, (v_1 + v_2)^2 / (v_1^2 / (J - 1) + v_2^2 / (R - 1)).

    Parameters
    ----------
    differences : array_like of float, shape (draws,) or (repeats, draws)
        Score of one classifier minus that of the other, on the same test and training samples.
    test_over_train : float
        n_test / n_train: the size of a draw's test set over that of its training set.

    Returns
    -------
    PairedTest
        With one draw, repeats alone are tested: the result holds for that test set. Without a p value where there is
        one draw of one repeat.

    Raises
    ------
    ValueError
        If there are no differences, one is not finite, or the ratio is not positive.
    """
    table = np.atleast_2d(np.asarray(differences, dtype=np.float64))
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise ValueError("paired differences are finite numbers, one a draw or one a repeat and draw.")
    if not test_over_train > 0:
        raise ValueError(f"the ratio of test to training samples must be positive, not {test_over_train}.")
    repeats, draws = table.shape
    mean = float(table.mean())
    if table.size < 2:
        return PairedTest(mean, float("nan"), float("nan"), float("nan"), float("nan"))
    from scipy.stats import t

    parts = []
    if draws > 1:
        parts.append(((1 / draws + test_over_train) * float(table.mean(axis=0).var(ddof=1)), draws - 1))
    if repeats > 1:
        parts.append((float(table.mean(axis=1).var(ddof=1)) / repeats, repeats - 1))
    variance = sum(part for part, _ in parts)
    if variance <= (1e-12 * max(abs(mean), 1e-300)) ** 2:
        same = mean == 0
        free = sum(free for _, free in parts)
        return PairedTest(mean, 0.0, 0.0 if same else float(np.copysign(np.inf, mean)), free, float(same))
    dof = variance**2 / sum(part**2 / free for part, free in parts)
    statistic = mean / float(np.sqrt(variance))
    return PairedTest(mean, float(np.sqrt(variance)), statistic, dof, float(2 * t.sf(abs(statistic), dof)))


def signed_rank(differences: ArrayLike) -> tuple[float, float]:
    """Test whether paired differences are symmetric about 0 (Wilcoxon 1945), differences of 0 left out.

    Fewer than six differences can't reach p < 0.05: the least two-sided p value is 2^(1 - n).

    Parameters
    ----------
    differences : array_like of float, shape (n,)
        Finite.

    Returns
    -------
    tuple of (float, float)
        The smaller of the two rank sums, and the two-sided p value; 0 and 1 where all differences are 0.
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values[values != 0]
    if not len(values):
        return 0.0, 1.0
    from scipy.stats import wilcoxon

    found = wilcoxon(values)
    return float(found.statistic), float(found.pvalue)


def exact_mcnemar(right: ArrayLike, baseline_right: ArrayLike) -> float:
    """Test whether two classifiers are right equally often on one test set (McNemar 1947, exact binomial form).

    Parameters
    ----------
    right, baseline_right : array_like of bool, shape (n,)
        Whether each test sample was classified rightly.

    Returns
    -------
    float
        Two-sided p value; 1 where they never differ.
    """
    a, b = np.asarray(right, dtype=bool), np.asarray(baseline_right, dtype=bool)
    gained, lost = int((a & ~b).sum()), int((~a & b).sum())
    if gained + lost == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost).pvalue)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust the p values of a family of tests so that the chance of any false finding stays below the level.

    Holm (1979): with p values in ascending order, p_i becomes the largest (m - j) p_j of those up to it
    (j = 0 ... i), at most 1.

    Parameters
    ----------
    p_values : array_like of float, shape (m,)
        NaN = no test; it does not count.

    Returns
    -------
    ndarray of float64, shape (m,)
    """
    values = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    adjusted = np.full(values.shape, np.nan)
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * values[order]))
    return adjusted
