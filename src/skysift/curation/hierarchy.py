"""Hierarchical k-means with resampling (Vo et al. 2024, arXiv:2405.15613), resumable round by round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from skysift.curation.kmeans import Init, KMeans, Metric
from skysift.curation.levels import check_levels
from skysift.curation.nearest import Searcher
from skysift.curation.points import CACHED_BYTES, SUM_ROWS, Points
from skysift.curation.tree import Tree

Matrix = NDArray[np.float32]
Advance = Callable[[int, str], None]


@dataclass
class HierarchicalKMeans:
    """Clusters of points, clusters of their centroids, and so on upwards.

    Plain k-means puts most centroids where the points are densest. Refitting on the `r` points nearest each
    centroid, the same number from every cluster, moves the centroids towards an even cover of the region
    that the data fill, so that rare kinds get clusters of their own.

    Parameters
    ----------
    levels : sequence of int
        Number of clusters at each level, finest first.
    resample_rounds : int
        How often to refit at each level.
    resample_points : sequence of int, optional
        Points taken from each cluster, by level. None: half the mean size of a cluster.
    metric, init, max_iterations, tolerance, device
        Of `KMeans`.
    seed : int
        Round t of level l starts from seed (seed, l, t), so that it does not depend on what ran before.
    scratch : Path, optional
        Where the centroids of each round are kept; a later call carries on after the last one there.
    check : callable, optional
        Called before each iteration; it may raise to stop.
    advance : callable, optional
        Called with (share of the work in permille, text) after each round.

    Attributes
    ----------
    tree_ : Tree
    distances_ : array (N,) float32
        Distance of each point from the centroid of its level-1 cluster.
    inertias_ : list of float
        Sum of squared distances at each level.

    Raises
    ------
    RequestError
        If a level asks for more clusters than there are below it.
    """

    levels: Sequence[int]
    resample_rounds: int = 10
    resample_points: Sequence[int] | None = None
    metric: Metric = "l2"
    init: Init = "k-means++"
    max_iterations: int = 50
    tolerance: float = 5e-4
    seed: int = 0
    device: str = "cpu"
    scratch: Path | None = None
    check: Callable[[], None] | None = None
    advance: Advance | None = None
    inertias_: list[float] = field(default_factory=list, init=False, repr=False)

    def fit(self, x: Matrix) -> HierarchicalKMeans:
        """Cluster the rows of `x` (N, D), which may be a memory map."""
        check_levels(len(x), self.levels, self.resample_points)
        shares = self._shares(len(x))
        centroids, parents = [], []
        self.inertias_ = []
        data = x
        for level, k in enumerate(self.levels):
            centres = self._fit_level(data, level, k, shares[level])
            labels, squares = _nearest(self._points(data, k), centres)
            if level == 0:
                self.distances_ = np.sqrt(squares)
            centroids.append(centres)
            parents.append(labels.astype(np.int32))
            self.inertias_.append(float(squares.sum(dtype=np.float64)))
            data = centres
        self.tree_ = Tree(centroids, parents)
        return self

    def points_per_cluster(self, level: int, n: int) -> int:
        """Return how many points a resampling round takes from each cluster, for `n` points at this level."""
        if self.resample_points is not None:
            return int(self.resample_points[level])
        return max(1, (n + self.levels[level]) // (2 * self.levels[level]))

    def _fit_level(self, data: Matrix, level: int, k: int, share: list[int]) -> Matrix:
        done, centres = self._resume(level)
        if centres is None:
            done, centres = 0, self._kmeans(k, level, 0).fit(data).centroids_
            self._keep(level, 0, centres)
        self._advance(sum(share[: done + 1]), level, done)
        if done == self.resample_rounds:
            return centres
        take = self.points_per_cluster(level, len(data))
        points = self._points(data, k)
        for turn in range(done + 1, self.resample_rounds + 1):
            labels, squares = _nearest(points, centres)
            chosen = closest(labels, squares, take)
            if len(chosen) < k:
                # too many points coincide to fill k clusters with the nearest of each
                chosen = np.arange(len(data))
            centres = self._kmeans(k, level, turn).fit(self._gather(data, chosen)).centroids_
            self._keep(level, turn, centres)
            self._advance(share[turn], level, turn)
        return centres

    def _gather(self, data: Matrix, rows: NDArray[np.int64]) -> Matrix:
        """Copy rows, ascending, into memory, or into scratch where they are many."""
        if self.scratch is None or len(rows) * data.shape[1] * 4 <= CACHED_BYTES:
            return np.array(data[rows])
        shape = (len(rows), data.shape[1])
        taken = np.lib.format.open_memmap(self.scratch / "resampled.npy", mode="w+", dtype=np.float32, shape=shape)
        for start in range(0, len(rows), SUM_ROWS):
            taken[start : start + SUM_ROWS] = data[rows[start : start + SUM_ROWS]]
        return taken

    def _points(self, data: Matrix, k: int) -> Points:
        work = float(len(data)) * data.shape[1] * k
        return Points(data, device=self.device, work=work, unit=self.metric == "cosine")

    def _kmeans(self, k: int, level: int, turn: int) -> KMeans:
        return KMeans(
            k,
            metric=self.metric,
            init=self.init,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
            seed=(self.seed, level, turn),
            device=self.device,
            check=self.check,
        )

    def _shares(self, n: int) -> list[list[int]]:
        """Estimate the cost of each round of each level, in permille of the whole."""
        costs = []
        for level, k in enumerate(self.levels):
            full = 12.0 * n * k
            again = 12.0 * min(n, self.points_per_cluster(level, n) * k) * k + n * k
            costs.append([full] + [again] * self.resample_rounds)
            n = k
        total = sum(map(sum, costs))
        return [[round(1000 * cost / total) for cost in level] for level in costs]

    def _advance(self, share: int, level: int, turn: int) -> None:
        if self.advance is not None:
            self.advance(share, f"level {level + 1} of {len(self.levels)}, round {turn} of {self.resample_rounds}")

    def _file(self, level: int, turn: int) -> Path | None:
        return None if self.scratch is None else self.scratch / f"level_{level + 1}_round_{turn:03d}.npy"

    def _keep(self, level: int, turn: int, centres: Matrix) -> None:
        path = self._file(level, turn)
        if path is None:
            return
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as stream:
            np.save(stream, centres)
        temporary.replace(path)

    def _resume(self, level: int) -> tuple[int, Matrix | None]:
        for turn in range(self.resample_rounds, -1, -1):
            path = self._file(level, turn)
            if path is not None and path.exists():
                return turn, np.load(path)
        return 0, None


def closest(labels: NDArray[np.integer], squares: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return the rows, ascending, of the `count` points nearest their own centroid in each cluster.

    Parameters
    ----------
    labels : array (N,) int
        Cluster of each point.
    squares : array (N,) float32
        Squared distance from its centroid; ties go to the lower row.
    count : int
        Points to take from each cluster; all of a smaller one.
    """
    order = np.lexsort((squares, labels))
    grouped = labels[order]
    starts = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]])
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    return np.sort(order[rank < count]).astype(np.int64)


def _nearest(points: Points, centroids: Matrix) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    moved = torch.as_tensor(np.array(centroids), device=points.device) - points.shift
    labels = Searcher(points, moved)().labels
    squares = points.distances(labels, moved)
    return labels.cpu().numpy(), squares.cpu().numpy()
