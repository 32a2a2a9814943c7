"""What is done to features before they are clustered: nothing, equal variances, or decorrelation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from skysift.errors import RequestError

Matrix = NDArray[np.float32]
Kind = Literal["none", "standardise", "whiten"]
ROWS = 65536
FLOOR = 1e-6
"""Least standard deviation that counts, relative to the largest: below, a direction is taken for constant."""


@dataclass(frozen=True)
class Transform:
    """y = (x - mean) @ matrix; the matrix of "standardise" is diagonal and kept as a vector.

    Some encoders put most variance into a few directions (brightness, noise level), and k-means then sees nothing else;
    equal variances let the others count. Where distances already mean something they are better left alone.

    Attributes
    ----------
    mean : array (D,) float32
    matrix : array (D,) or (D, d) float32
    """

    mean: Matrix
    matrix: Matrix

    @classmethod
    def fit(cls, x: NDArray[Any], kind: Kind, components: int | None = None) -> Self | None:
        """Fit to the rows of `x` (N, D); None for kind "none".

        Parameters
        ----------
        x : array (N, D)
            May be a memory map; it is read in chunks.
        kind : {"none", "standardise", "whiten"}
            "whiten" rotates to principal axes and divides by their standard deviations.
        components : int, optional
            Principal axes to keep when whitening. None: all that vary.

        Raises
        ------
        RequestError
            If `x` holds NaN or infinite values, or has fewer dimensions than `components`.
        """
        if kind == "none":
            return None
        dim = x.shape[1]
        if components is not None and components > dim:
            raise RequestError(f"{components} components cannot be kept of {dim} features; ask for at most {dim}")
        mean = sum((c.sum(0) for c in _chunks(x)), np.zeros(dim)) / len(x)
        if not np.isfinite(mean).all():
            raise RequestError(
                "the features hold NaN or infinite values; extract them again or leave those cutouts out"
            )
        if kind == "standardise":
            variance = sum((((c - mean) ** 2).sum(0) for c in _chunks(x)), np.zeros(dim)) / len(x)
            return cls(mean.astype(np.float32), _inverse(np.sqrt(variance)))
        covariance = np.zeros((dim, dim))
        for chunk in _chunks(x):
            centred = chunk - mean
            covariance += centred.T @ centred
        values, vectors = np.linalg.eigh(covariance / len(x))
        values, vectors = values[::-1], vectors[:, ::-1]
        # the sign of an eigenvector is arbitrary: make its largest entry positive
        vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), np.arange(dim)])
        spread = _inverse(np.sqrt(np.maximum(values, 0)))
        keep = np.flatnonzero(spread > 0)[:components]
        if not len(keep):
            keep = np.arange(1)
        return cls(mean.astype(np.float32), (vectors[:, keep] * spread[keep]).astype(np.float32))

    @property
    def dim(self) -> int:
        """Dimensions of the result."""
        return int(self.matrix.shape[-1])

    def __call__(self, x: NDArray[Any]) -> Matrix:
        """Transform rows (M, D) to (M, d) float32."""
        centred = np.asarray(x, dtype=np.float32) - self.mean
        return np.asarray(centred * self.matrix if self.matrix.ndim == 1 else centred @ self.matrix, dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Write `transform_mean.npy` and `transform_matrix.npy`."""
        np.save(folder / "transform_mean.npy", self.mean)
        np.save(folder / "transform_matrix.npy", self.matrix)

    @classmethod
    def open(cls, folder: Path) -> Self | None:
        """Read what `save` wrote; None where there is nothing."""
        path = folder / "transform_mean.npy"
        return cls(np.load(path), np.load(folder / "transform_matrix.npy")) if path.exists() else None


def prepared(x: NDArray[Any], transform: Transform | None, path: Path) -> Matrix:
    """Return the transformed features as float32, memory-mapped from `path` where they differ from `x`."""
    if transform is None and x.dtype == np.float32:
        return x
    dim = x.shape[1] if transform is None else transform.dim
    if not path.exists():
        temporary = path.with_suffix(".tmp")
        out = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=(len(x), dim))
        for start in range(0, len(x), ROWS):
            rows = np.asarray(x[start : start + ROWS], dtype=np.float32)
            out[start : start + ROWS] = rows if transform is None else transform(rows)
        out.flush()
        del out
        temporary.replace(path)
    result: Matrix = np.load(path, mmap_mode="r")
    return result


def _chunks(x: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    for start in range(0, len(x), ROWS):
        yield np.asarray(x[start : start + ROWS], dtype=np.float64)


def _inverse(spread: NDArray[np.float64]) -> Matrix:
    usable = spread > max(FLOOR * float(np.max(spread)), float(np.finfo(np.float32).tiny))
    inverse: Matrix = np.where(usable, 1.0 / np.where(usable, spread, 1.0), 0.0).astype(np.float32)
    return inverse
