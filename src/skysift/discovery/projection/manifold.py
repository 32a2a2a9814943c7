"""UMAP of a sample, and the place of every other point among its neighbours.

UMAP's own `transform` moves each new point by a random walk that depends on the other points of the same call, and
needs the fitted object, which can only be stored as a pickle. Here a new point goes to the mean place of its nearest
neighbours in the sample, weighted by UMAP's membership strengths: where UMAP's transform starts. That needs plain
arrays alone and gives each point the same place in whatever company it comes. The price: a point between two groups
is placed between them, and groups of placed points are somewhat tighter than those that UMAP fitted.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from skysift.errors import SkysiftError

Matrix = NDArray[np.float32]
FILES = ("sample.npy", "sample_places.npy")


@dataclass(frozen=True)
class Manifold:
    """Points that UMAP has placed.

    Attributes
    ----------
    points : ndarray (M, C) float32
    places : ndarray (M, 2) float32
    neighbours : int
    """

    points: Matrix
    places: Matrix
    neighbours: int

    @classmethod
    def fit(cls, points: Matrix, *, neighbours: int, min_dist: float, seed: int) -> Self:
        """Place points by UMAP (McInnes et al. 2018, arXiv:1802.03426).

        Parameters
        ----------
        points : ndarray (M, C) float32
            Principal components of features; the first two are where the places start from.
        neighbours, min_dist, seed
            As in `Project`. Equal requests give equal bytes: the layout runs in one thread.
        """
        with warnings.catch_warnings():
            # numba and UMAP speak of threads and of the missing search index
            warnings.simplefilter("ignore")
            from umap import UMAP

            distances, rows = nearest(points, points, neighbours)
            start = _start(points, seed)
            model = UMAP(
                n_neighbors=neighbours,
                min_dist=min_dist,
                init=start,
                random_state=seed,
                n_jobs=1,
                precomputed_knn=(rows, distances),
                force_approximation_algorithm=True,
            )
            places = model.fit_transform(points)
        return cls(points, np.asarray(places, np.float32), neighbours)

    def __call__(self, points: Matrix) -> Matrix:
        """Return the places (B, 2) of new points (B, C)."""
        from umap.umap_ import smooth_knn_dist

        distances, rows = nearest(self.points, points, min(self.neighbours, len(self.points)))
        scales, nearest_ = smooth_knn_dist(distances, float(self.neighbours), local_connectivity=0.0)
        beyond = np.maximum(distances - nearest_[:, None], 0)
        weights = np.exp(-beyond / np.maximum(scales[:, None], np.finfo(np.float32).tiny))
        weights /= weights.sum(axis=1, keepdims=True)
        return np.asarray(np.einsum("bk,bkd->bd", weights, self.places[rows]), np.float32)

    def save(self, folder: Path) -> None:
        """Write `sample.npy` and `sample_places.npy`."""
        for name, array in zip(FILES, (self.points, self.places), strict=True):
            np.save(folder / name, array)

    @classmethod
    def open(cls, folder: Path, neighbours: int) -> Self:
        """Read what `save` wrote, memory-mapped.

        Raises
        ------
        SkysiftError
            If it is missing or damaged.
        """
        try:
            points, places = (np.load(folder / name, mmap_mode="r") for name in FILES)
        except (OSError, ValueError) as error:
            raise SkysiftError(f"{folder}: a damaged projection ({error}); `skysift verify` says more.") from error
        return cls(points, places, neighbours)


def nearest(points: Matrix, asked: Matrix, k: int) -> tuple[Matrix, NDArray[np.int32]]:
    """Return distances and rows (B, k) of the points nearest to each of `asked`, by exact search."""
    import faiss

    index = faiss.IndexFlatL2(points.shape[1])
    index.add(np.ascontiguousarray(points))
    squares, rows = index.search(np.ascontiguousarray(asked), k)
    return np.sqrt(np.maximum(squares, 0)), rows.astype(np.int32)


def _start(points: Matrix, seed: int) -> Matrix:
    """Return the first two components, scaled to a map of side 20, with a little noise to part equal points."""
    places = np.zeros((len(points), 2), np.float32)
    places[:, : points.shape[1]] = points[:, :2]
    largest = float(np.abs(places).max())
    noise = np.random.default_rng(seed).normal(0, 1e-4, places.shape)
    return (places * (10 / largest if largest > 0 else 1) + noise).astype(np.float32)
