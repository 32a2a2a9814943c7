"""Errors of scores: the mean over repeated draws, and the bootstrap over test samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skysift.metrics.classification import per_class


class Estimate(NamedTuple):
    """A mean with its standard error; the error is NaN where it cannot be known (one value)."""

    mean: float
    error: float
    n: int


def mean_and_error(values: ArrayLike) -> Estimate:
    """Return the mean of a score over draws and its standard error, the deviation (n - 1) over sqrt(n).

    Parameters
    ----------
    values : array_like of float, shape (n,)
        One value a draw; NaN = the draw has no such score, and does not count.

    Returns
    -------
    Estimate
        NaN mean where no draw has the score, NaN error where fewer than two have it.

    Raises
    ------
    ValueError
        If `values` is not one row of numbers.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"the scores of the draws must be one row of numbers, not of shape {array.shape}.")
    known = array[~np.isnan(array)]
    n = int(known.size)
    mean = float(known.mean()) if n else float("nan")
    error = float(known.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Estimate(mean, error, n)


def mean_over_repeats(values: ArrayLike) -> Estimate:
    """Return the mean of a score over draws and repeated trainings, with its standard error.

    Draws and repeats are crossed: each of the R trained encoders is scored on each of the J draws. With the mean
    squares of draws, repeats and residuals, the variance of the mean is (MS_J + MS_R - MS_e) / (J R) (two-way random
    effects); it is never taken below that of draws or of repeats alone. With one repeat this is `mean_and_error`.

    Parameters
    ----------
    values : array_like of float, shape (repeats, draws)
        Draws in which a repeat has no such score (NaN) do not count.

    Returns
    -------
    Estimate
        `n` counts the draws.

    Raises
    ------
    ValueError
        If `values` is no such table.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"scores are a table of repeats and draws, not of shape {table.shape}.")
    table = table[:, ~np.isnan(table).any(axis=0)]
    repeats, draws = table.shape
    if repeats < 2 or draws < 2:
        found = mean_and_error(table.ravel())
        return Estimate(found.mean, found.error, draws)
    of_draws, of_repeats = table.mean(axis=0), table.mean(axis=1)
    residual = table - of_draws - of_repeats[:, None] + table.mean()
    draw_square = repeats * float(of_draws.var(ddof=1))
    repeat_square = draws * float(of_repeats.var(ddof=1))
    residual_square = float((residual**2).sum()) / ((repeats - 1) * (draws - 1))
    variance = max(draw_square + repeat_square - residual_square, draw_square, repeat_square) / (repeats * draws)
    return Estimate(float(table.mean()), float(np.sqrt(variance)), draws)


def bootstrap_confusions(confusion: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> NDArray[np.int64]:
    """Resample the test set with replacement, as confusion matrices.

    Drawing n test samples with replacement is a multinomial draw over the cells of the confusion matrix, so
    nothing but the matrix is needed.

    Parameters
    ----------
    confusion : array_like of int, shape (k, k)
        Row = true class, column = predicted class.
    resamples : int
        Number of resampled test sets.
    seed : int
        Seed of the draw.

    Returns
    -------
    ndarray of int64, shape (resamples, k, k)

    Raises
    ------
    ValueError
        If the matrix is empty or there are no resamples.
    """
    matrix = np.asarray(confusion, dtype=np.int64)
    total = int(matrix.sum())
    if total == 0 or resamples < 1:
        raise ValueError("a bootstrap needs at least one test sample and one resample.")
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed])))
    cells = rng.multinomial(total, matrix.ravel() / total, size=resamples)
    return cells.reshape(resamples, *matrix.shape).astype(np.int64)


def bootstrap_errors(confusion: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> dict[str, float]:
    """Return the standard error of each overall score over the choice of test samples.

    Parameters
    ----------
    confusion : array_like of int, shape (k, k)
        Row = true class, column = predicted class.
    resamples : int
        Number of resampled test sets.
    seed : int
        Seed of the draw.

    Returns
    -------
    dict of str to float
        Keys: accuracy, macro_precision, macro_recall, macro_f1.

    Raises
    ------
    ValueError
        If the matrix is empty or there are fewer than two resamples.
    """
    if resamples < 2:
        raise ValueError("a standard error needs at least two resamples.")
    draws = bootstrap_confusions(confusion, resamples=resamples, seed=seed)
    precision, recall, f1 = per_class(draws)
    accuracy = np.trace(draws, axis1=1, axis2=2) / draws.sum(axis=(1, 2))
    values = {
        "accuracy": accuracy,
        "macro_precision": np.nanmean(precision, axis=1),
        "macro_recall": np.nanmean(recall, axis=1),
        "macro_f1": np.nanmean(f1, axis=1),
    }
    return {name: float(value.std(ddof=1)) for name, value in values.items()}
