"""Principal components of tables that need not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skysift.errors import RequestError, SkysiftError

Float = NDArray[np.float64]
ROWS = 16384
FILE = "components.npz"


@dataclass(frozen=True)
class PrincipalComponents:
    """y = (x - mean) @ axes.

    Attributes
    ----------
    mean : ndarray (D,) float64
    axes : ndarray (D, C) float64
        Orthonormal columns, of falling variance; the largest coefficient of each is positive.
    shares : ndarray (C,) float64
        Share of the variance along each.
    """

    mean: Float
    axes: Float
    shares: Float

    @classmethod
    def fit(cls, x: NDArray[Any], components: int, *, unit: bool = False) -> Self:
        """Find the directions of largest variance.

        Parameters
        ----------
        x : ndarray (N, D)
            May be a memory map; it is read in chunks.
        components : int
            How many, at most D.
        unit : bool
            Scale rows to length 1 first, here and in `__call__`'s caller (`unit_rows`).

        Raises
        ------
        RequestError
            If `x` holds NaN or infinite values.
        """
        dim = x.shape[1]
        mean = sum((c.sum(0) for c in _chunks(x, unit)), np.zeros(dim)) / len(x)
        if not np.isfinite(mean).all():
            raise RequestError("the features hold NaN or infinite values; extract them again.")
        covariance = np.zeros((dim, dim))
        for chunk in _chunks(x, unit):
            centred = chunk - mean
            covariance += centred.T @ centred
        values, vectors = np.linalg.eigh(covariance)
        values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1][:, :components]
        signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
        total = max(float(values.sum()), 1e-300)
        return cls(mean, vectors * np.where(signs == 0, 1, signs), values[:components] / total)

    def __call__(self, x: NDArray[Any]) -> Float:
        """Return the components (M, C) of rows (M, D)."""
        return (np.asarray(x, np.float64) - self.mean) @ self.axes

    def save(self, folder: Path) -> None:
        """Write `components.npz`."""
        np.savez(folder / FILE, mean=self.mean, axes=self.axes, shares=self.shares)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        SkysiftError
            If it is missing or damaged.
        """
        try:
            with np.load(folder / FILE, allow_pickle=False) as found:
                return cls(found["mean"], found["axes"], found["shares"])
        except (OSError, ValueError, KeyError) as error:
            raise SkysiftError(f"{folder / FILE}: damaged ({error}); `skysift verify` says what is wrong.") from error


def unit_rows(x: NDArray[Any]) -> Float:
    """Return rows scaled to length 1; rows of zeros stay."""
    rows = np.asarray(x, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def _chunks(x: NDArray[Any], unit: bool) -> Iterator[Float]:
    for start in range(0, len(x), ROWS):
        rows = np.asarray(x[start : start + ROWS], np.float64)
        yield unit_rows(rows) if unit else rows
