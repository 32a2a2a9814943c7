"""Two regressors of a person's score: a random forest and a Gaussian process."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

TREES = 200
STATIC_SLOPE, STATIC_SPREAD = 0.4, 0.3
"""Of the Gaussian process: by how much the score, in its deviations, is taken to rise with a unit of the static rank's
normal deviate; and how far apart that unit sets two cutouts, where features set them apart by about 1.4."""
MOST_TUNED = 150
MOST_ROWS = 600
"""Ratings that a Gaussian process is tuned on, and is conditioned on: its time grows with their square and cube."""
_BLOCK = 8192


def forest_scores(space: npt.NDArray[np.float32], raw: Array, rows: Rows, scores: Array, seed: int) -> Array:
    """Return the score that a random forest predicts for every cutout.

    Parameters
    ----------
    space : ndarray, shape (N, K)
        Positions.
    raw : ndarray, shape (N,)
        Static score, one more column for the trees.
    rows : ndarray of int, shape (M,)
        Scored cutouts.
    scores : ndarray, shape (M,)
        Their scores.
    seed : int
        Of the forest.

    Returns
    -------
    ndarray, shape (N,), float64
        Within the range of `scores`.
    """
    from sklearn.ensemble import RandomForestRegressor

    columns = np.column_stack([space, raw.astype(np.float32)])
    forest = RandomForestRegressor(n_estimators=TREES, max_features=1 / 3, random_state=seed).fit(columns[rows], scores)
    return np.asarray(forest.predict(columns), dtype=np.float64)


def process_scores(
    space: npt.NDArray[np.float32], raw: Array, rows: Rows, scores: Array, seed: int
) -> tuple[Array, Array]:
    """Return the score that a Gaussian process predicts for every cutout, and its standard deviation.

    A Matern-5/2 kernel over positions plus white noise, tuned by marginal likelihood. Before any evidence the score is
    taken to rise with the static one, which is also one more coordinate, so that evidence can say otherwise. Of more
    than 600 ratings the highest third and a draw of the others are used.

    Parameters
    ----------
    space, raw, rows, scores, seed
        As of `forest_scores`.

    Returns
    -------
    mean, deviation : ndarray, shape (N,), float64
        Both in units of the score; the deviation is that of the score itself, without the noise of a rating.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    generator = np.random.default_rng([seed, len(rows)])
    static = ndtri((raw - 0.5 / len(raw)).clip(1e-6, 1 - 1e-6))
    columns = np.column_stack([space, STATIC_SPREAD * static]).astype(np.float64)
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(1.0, (0.1, 10.0), nu=2.5) + WhiteKernel(0.3, (0.01, 3.0))
    scale = max(float(scores.std()), 0.5)
    prior = STATIC_SLOPE * scale * static
    rest = scores - prior[rows]
    offset = float(rest.mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        tuned = _thinned(scores, MOST_TUNED, generator)
        fitted = GaussianProcessRegressor(kernel).fit(columns[rows[tuned]], (rest[tuned] - offset) / scale).kernel_
    used = _thinned(scores, MOST_ROWS, generator)
    process = GaussianProcessRegressor(fitted, optimizer=None)
    process.fit(columns[rows[used]], (rest[used] - offset) / scale)
    mean, variance = np.empty(len(columns)), np.empty(len(columns))
    for start in range(0, len(columns), _BLOCK):
        block = slice(start, start + _BLOCK)
        mean[block], deviation = process.predict(columns[block], return_std=True)
        variance[block] = deviation**2 - fitted.k2.noise_level
    return offset + prior + scale * mean, scale * np.sqrt(np.clip(variance, 1e-12, None))


def _thinned(scores: Array, most: int, generator: np.random.Generator) -> Rows:
    """Return which of the ratings to use: all, or the highest third of `most` and a draw of the others."""
    if len(scores) <= most:
        return np.arange(len(scores))
    order = np.argsort(-scores, kind="stable")
    high, low = order[: most // 3], order[most // 3 :]
    return np.sort(np.concatenate([high, generator.choice(low, most - len(high), replace=False)]))
