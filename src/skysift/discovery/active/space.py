"""The space in which neighbours are looked for: principal components of standardised features."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError

Array = npt.NDArray[np.float32]

FIT_ROWS = 8192
_BLOCK = 16384


def principal_space(features: npt.ArrayLike, components: int, seed: int) -> Array:
    """Return the leading principal components of standardised features, at unit mean squared length.

    Means, spreads and axes come from at most 8192 rows drawn at random, so that the time grows slowly with the set.

    Parameters
    ----------
    features : array_like, shape (N, D)
        Finite; may be memory-mapped.
    components : int
        Most axes that are kept.
    seed : int
        Of the draw of rows.

    Returns
    -------
    ndarray, shape (N, at most `components`), float32

    Raises
    ------
    RequestError
        If the features are not a table of finite numbers.
    """
    array = features if isinstance(features, np.ndarray) else np.asarray(features)
    if array.ndim != 2 or 0 in array.shape:
        raise RequestError(f"Features have the shape {array.shape}; a table with a row a cutout is needed.")
    draw = np.sort(np.random.default_rng(seed).choice(len(array), min(len(array), FIT_ROWS), replace=False))
    sample = np.asarray(array[draw], dtype=np.float64)
    if not np.isfinite(sample).all():
        raise RequestError("Some features are not finite; `skysift features` makes none of these.")
    mean, spread = sample.mean(0), sample.std(0)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-7 * max(float(spread.max()), 1e-30))
    values, axes = np.linalg.eigh(np.cov((sample - mean) * scale, rowvar=False, ddof=0).reshape(len(mean), -1))
    kept = np.flatnonzero(values > 1e-6 * max(float(values[-1]), 1e-30))[::-1][:components]
    # the sign of an axis is arbitrary: its largest entry is made positive
    chosen = axes[:, kept] * np.sign(axes[np.abs(axes[:, kept]).argmax(0), kept])
    turn = (scale[:, None] * chosen / np.sqrt(max(float(values[kept].sum()), 1e-30))).astype(np.float32)
    shift = mean.astype(np.float32)
    space = np.zeros((len(array), max(len(kept), 1)), dtype=np.float32)
    if len(kept):
        for start in range(0, len(array), _BLOCK):
            block = np.asarray(array[start : start + _BLOCK], dtype=np.float32)
            space[start : start + _BLOCK] = (block - shift) @ turn
    if not np.isfinite(space).all():
        raise RequestError("Some features are not finite; `skysift features` makes none of these.")
    return space


def nearest_distance(space: Array, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return every row's Euclidean distance to the nearest of `rows`.

    Parameters
    ----------
    space : ndarray, shape (N, K)
        Positions.
    rows : ndarray of int, shape (M,)
        At least one.

    Returns
    -------
    ndarray, shape (N,), float64
    """
    targets = space[rows]
    lengths = np.einsum("ij,ij->i", targets, targets)
    nearest = np.empty(len(space))
    for start in range(0, len(space), _BLOCK):
        block = space[start : start + _BLOCK]
        squares = np.einsum("ij,ij->i", block, block)[:, None] + lengths - 2 * block @ targets.T
        nearest[start : start + _BLOCK] = np.sqrt(np.clip(squares.min(1), 0, None))
    nearest[rows] = 0
    return nearest
