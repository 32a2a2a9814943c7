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
    """Return the mean of a score over draws, and over repeated trainings where there are any, and its standard error.

    Over n draws the error is the deviation (n - 1) over sqrt(n). Repeats are crossed with draws: each of the R trained
    encoders is scored on each of the J draws. With the mean squares of draws, repeats and residuals, the variance of
    the mean is (MS_J + MS_R - MS_e) / (J R) (two-way random effects); it is never taken below that of draws or of
    repeats alone.

    Parameters
    ----------
    values : array_like of float, shape (draws,) or (repeats, draws)
        Draws in which a repeat has no such score (NaN) do not count.

    Returns
    -------
    Estimate
        `n` counts the draws. NaN mean where no draw has the score, NaN error where it is known once.

    Raises
    ------
    ValueError
        If `values` is neither a row nor a table.
    """
    given = np.asarray(values, dtype=np.float64)
    if given.ndim not in (1, 2):
        raise ValueError(f"scores are a row of draws or a table of repeats and draws, not of shape {given.shape}.")
    table = np.atleast_2d(given)
    table = table[:, ~np.isnan(table).any(axis=0)]
    repeats, draws = table.shape
    if table.size < 2:
        return Estimate(float(table.mean()) if table.size else float("nan"), float("nan"), draws)
    if repeats < 2 or draws < 2:
        return Estimate(float(table.mean()), float(table.std(ddof=1) / np.sqrt(table.size)), draws)
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
