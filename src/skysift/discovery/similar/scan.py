"""Inner products of queries with every row of a table of features, read where it lies.

A query on 1,000,000 x 512 float32 reads 2 GB once: on two cores that takes 0.1 s, less than a flat index of faiss,
which also needs a copy of the table in memory. Rows of float16 are widened a block at a time, while they are in cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skysift.errors import RequestError

Matrix = NDArray[np.float32]
Rows = NDArray[np.int64]

BLOCK = 16384
HALF_BLOCK = 512
"""Rows of float16 widened at once: 1 MB of float32 for 512 features, which stays in a core's own cache."""


def inverse_lengths(features: NDArray[Any]) -> Matrix:
    """Return 1 / |x| of each row (N,), 0 for rows of zeros.

    Raises
    ------
    RequestError
        If a row holds NaN or infinite values.
    """
    lengths = np.empty(len(features), np.float32)
    for start in range(0, len(features), BLOCK):
        block = np.asarray(features[start : start + BLOCK], np.float32)
        lengths[start : start + BLOCK] = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float32))
    if not np.isfinite(lengths).all():
        row = int(np.flatnonzero(~np.isfinite(lengths))[0])
        raise RequestError(f"the features of row {row} hold NaN or infinite values; extract them again.")
    return np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)


def products(features: NDArray[Any], queries: Matrix) -> Matrix:
    """Return the inner product of each query with each row.

    Parameters
    ----------
    features : ndarray (N, D), float32 or float16
        May be a memory map.
    queries : ndarray (B, D), float32

    Returns
    -------
    ndarray (B, N), float32
    """
    found = np.empty((len(queries), len(features)), np.float32)
    if features.dtype == np.float16:
        _widened(features, queries, found)
        return found
    table = np.asarray(features)
    for start in range(0, len(table), BLOCK):
        block = table[start : start + BLOCK]
        if len(queries) == 1:
            np.matmul(block, queries[0], out=found[0, start : start + BLOCK])
        else:
            found[:, start : start + BLOCK] = queries @ block.T
    return found


def _widened(features: NDArray[Any], queries: Matrix, found: Matrix) -> None:
    """Fill `found`; torch widens float16 several times faster than NumPy."""
    import torch

    # torch takes no read-only memory
    copied = np.empty((HALF_BLOCK, features.shape[1]), np.float16)
    halves, buffer = torch.from_numpy(copied), torch.empty(copied.shape)
    asked = torch.from_numpy(np.ascontiguousarray(queries))
    out = torch.from_numpy(found)
    with torch.inference_mode():
        for start in range(0, len(features), HALF_BLOCK):
            rows = min(HALF_BLOCK, len(features) - start)
            copied[:rows] = features[start : start + rows]
            block = buffer[:rows].copy_(halves[:rows])
            if len(asked) == 1:
                torch.mv(block, asked[0], out=out[0, start : start + rows])
            else:
                out[:, start : start + rows] = asked @ block.T


def largest(scores: Matrix, k: int) -> Rows:
    """Return the columns (k,) of the largest values of a row (N,), falling; of equals the first come first."""
    if k < len(scores):
        limit = np.partition(scores, len(scores) - k)[len(scores) - k]
        above = np.flatnonzero(scores > limit)
        rows = np.concatenate([above, np.flatnonzero(scores == limit)[: k - len(above)]])
    else:
        rows = np.arange(len(scores))
    return rows[np.lexsort((rows, -scores[rows]))].astype(np.int64)
