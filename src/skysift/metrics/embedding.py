"""How much of its space an embedding uses: rank, spread, alignment, uniformity, diversity.

Arrays may be NumPy arrays (memory-mapped ones are read in chunks) or torch tensors; sums are in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK_ROWS = 8192
PAIR_ROWS = 1024

Matrix = NDArray[np.float64]


def rankme(embeddings: Any, *, eps: float = 1e-7) -> float:
    """Return RankMe, the smooth rank of a set of embeddings: the exponential of the entropy of its singular values.

    Parameters
    ----------
    embeddings : array or tensor, shape (n, d)
        One embedding a row, not normalised and not centred.
    eps : float
        Added to each share, as in the paper.

    Returns
    -------
    float
        Between 1 (all rows on one line through the origin: collapse) and min(n, d).

    Raises
    ------
    ValueError
        If the array is not two-dimensional, is empty, is all zeros or holds a value that is not finite.

    References
    ----------
    Garrido et al. 2023, arXiv:2210.02885, equation 3.
    """
    eigenvalues = _spectrum(embeddings, normalise=False)
    singular = np.sqrt(eigenvalues)
    if singular.sum() == 0:
        raise ValueError("all embeddings are zero.")
    shares = singular / singular.sum() + eps
    return float(np.exp(-(shares @ np.log(shares))))


def vendi_score(embeddings: Any) -> float:
    """Return the Vendi score with the cosine kernel: the effective number of different rows.

    Parameters
    ----------
    embeddings : array or tensor, shape (n, d)
        One embedding a row; rows are normalised here.

    Returns
    -------
    float
        Between 1 (all rows parallel) and min(n, d).

    Raises
    ------
    ValueError
        If the array is not two-dimensional, is empty or holds a value that is not finite.

    References
    ----------
    Friedman and Dieng 2023, arXiv:2210.02410, definition 3.1: the exponential of the Shannon entropy of the
    eigenvalues of K / n, computed from the d x d matrix where d < n.
    """
    eigenvalues = _spectrum(embeddings, normalise=True)
    total = eigenvalues.sum()
    if total == 0:
        raise ValueError("all embeddings are zero.")
    shares = eigenvalues[eigenvalues > 0] / total
    return float(np.exp(-(shares @ np.log(shares))))


def embedding_std(embeddings: Any) -> float:
    """Return the mean over dimensions of the standard deviation of L2-normalised embeddings.

    Parameters
    ----------
    embeddings : array or tensor, shape (n, d)
        One embedding a row.

    Returns
    -------
    float
        0 for a constant output (collapse), about 1 / sqrt(d) for directions spread over the whole sphere.

    Raises
    ------
    ValueError
        If the array is not two-dimensional, has fewer than two rows or holds a value that is not finite.

    References
    ----------
    Chen and He 2021 (SimSiam), arXiv:2011.10566, section 4.1. Sample standard deviation (n - 1).
    """
    n, d = _shape(embeddings)
    if n < 2:
        raise ValueError("a standard deviation needs at least two embeddings.")
    mean = np.zeros(d)
    squares = np.zeros(d)
    count = 0
    for chunk in _chunks(embeddings):
        unit = _unit(chunk)
        # Chan's update keeps the variance exact where the mean dwarfs the spread
        here = unit.mean(axis=0)
        delta = here - mean
        total = count + len(unit)
        squares += ((unit - here) ** 2).sum(axis=0) + delta**2 * (count * len(unit) / total)
        mean += delta * (len(unit) / total)
        count = total
    return float(np.sqrt(squares / (n - 1)).mean())


def alignment(first: Any, second: Any, *, alpha: float = 2.0) -> float:
    """Return the mean distance between the embeddings of two views of the same images, to the power alpha.

    Parameters
    ----------
    first, second : array or tensor, shape (n, d)
        Row i of both belongs to image i; rows are normalised here.
    alpha : float
        Power of the distance.

    Returns
    -------
    float
        0 when the views agree, at most 2 ** alpha.

    Raises
    ------
    ValueError
        If the shapes differ, are not two-dimensional, or a value is not finite.

    References
    ----------
    Wang and Isola 2020, arXiv:2005.10242, equation 4.
    """
    if _shape(first) != _shape(second):
        raise ValueError(f"the two views have different shapes: {_shape(first)} and {_shape(second)}.")
    total = 0.0
    for a, b in zip(_chunks(first), _chunks(second), strict=True):
        squared = ((_unit(a) - _unit(b)) ** 2).sum(axis=1)
        total += float((squared ** (alpha / 2)).sum())
    return total / _shape(first)[0]


def uniformity(embeddings: Any, *, t: float = 2.0) -> float:
    """Return the logarithm of the mean Gaussian potential over all pairs of different rows.

    Parameters
    ----------
    embeddings : array or tensor, shape (n, d)
        One embedding a row; rows are normalised here. The cost grows with n squared; memory does not.
    t : float
        Scale of the potential exp(-t distance^2).

    Returns
    -------
    float
        0 for a constant output (collapse); lower is more uniform, at least -4 t.

    Raises
    ------
    ValueError
        If the array is not two-dimensional, has fewer than two rows or holds a value that is not finite.

    References
    ----------
    Wang and Isola 2020, arXiv:2005.10242, equation 5.
    """
    n, _ = _shape(embeddings)
    if n < 2:
        raise ValueError("uniformity needs at least two embeddings.")
    unit = np.concatenate([_unit(chunk) for chunk in _chunks(embeddings)])
    norms = (unit**2).sum(axis=1)
    total = 0.0
    for start in range(0, n, PAIR_ROWS):
        rows = slice(start, start + PAIR_ROWS)
        squared = np.maximum(norms[rows, None] + norms[None, start:] - 2 * unit[rows] @ unit[start:].T, 0)
        potential = np.exp(-t * squared)
        inside = potential[:, : len(potential)]
        total += float(np.triu(inside, 1).sum() + potential[:, len(potential) :].sum())
    return float(np.log(total / (n * (n - 1) / 2)))


def _spectrum(embeddings: Any, *, normalise: bool) -> Matrix:
    """Return the min(n, d) eigenvalues of X^T X, never negative."""
    n, d = _shape(embeddings)
    if d <= n:
        gram = np.zeros((d, d))
        for chunk in _chunks(embeddings):
            rows = _unit(chunk) if normalise else chunk
            gram += rows.T @ rows
    else:
        rows = np.concatenate(list(_chunks(embeddings)))
        rows = _unit(rows) if normalise else rows
        gram = rows @ rows.T
    return np.maximum(np.linalg.eigvalsh(gram), 0.0)


def _shape(embeddings: Any) -> tuple[int, int]:
    shape = tuple(int(size) for size in embeddings.shape)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"embeddings must be a non-empty array of shape (n, d), not {shape}.")
    return shape[0], shape[1]


def _chunks(embeddings: Any) -> Iterator[Matrix]:
    """Yield float64 blocks of rows."""
    n, _ = _shape(embeddings)
    for start in range(0, n, CHUNK_ROWS):
        block = embeddings[start : start + CHUNK_ROWS]
        if hasattr(block, "detach"):  # a torch tensor, on any device and of any type, bfloat16 among them
            block = block.detach().cpu().double().numpy()
        chunk = np.asarray(block, dtype=np.float64)
        if not np.isfinite(chunk).all():
            raise ValueError("embeddings hold values that are not finite.")
        yield chunk


def _unit(rows: Matrix) -> Matrix:
    """Return rows of length one; rows of zeros stay zero."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0)
