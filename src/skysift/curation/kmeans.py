"""k-means: Lloyd's iteration, exact, seeded, chunked, on any device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skysift.curation.nearest import Searcher
from skysift.curation.points import Points
from skysift.curation.seeding import parallel, plus_plus
from skysift.curation.threads import one_thread_an_operation
from skysift.errors import RequestError

Matrix = NDArray[np.float32]
Metric = Literal["l2", "cosine"]
Init = Literal["k-means++", "k-means||"]

MOMENTUM = 0.7
PLAIN_STEPS = 3
"""Steps before momentum sets in: the first ones are long and change direction."""
ALL = 0.8
"""Share of points to search from which on gathering them costs more than searching all."""
ROUND_UP = 1.0 + 2.0**-20


@dataclass
class KMeans:
    """k-means with the same answer for any number of threads.

    Each iteration assigns every point to its nearest centroid (`nearest.Searcher`) and moves the centroids to
    the means. A point is left out of the search while bounds on its distances (Hamerly 2010, SIAM SDM, 130)
    prove that its centroid cannot have changed, and sums are corrected by the points that changed cluster only. An
    empty cluster takes the point that is farthest from its own centroid.

    Parameters
    ----------
    k : int
        Number of clusters.
    metric : {"l2", "cosine"}
        "cosine" scales points and centroids to length 1.
    init : {"k-means++", "k-means||"} or array (k, D)
        How to choose the first centroids, or the centroids themselves.
    max_iterations : int
        At most so many assignments and updates.
    tolerance : float
        Stop when the inertia falls by less than this fraction. 0: only when no label changes or after `max_iterations`.
    momentum : float, optional
        Fraction of the last step of the means that is added to the next. It reaches the same inertia in
        about half the iterations. None: 0.7 with a tolerance, 0 (plain Lloyd) without.
    seed : int or tuple of int
        Seed of the first centroids.
    device : str
        "cpu", "cuda", ...
    check : callable, optional
        Called before each iteration; it may raise to stop.

    Attributes
    ----------
    centroids_ : array (k, D) float32
    labels_ : array (N,) int32
        Nearest of `centroids_`.
    inertia_ : float
        Sum of squared distances to the nearest centroid.
    history_ : list of float
        Inertia after each assignment.
    iterations_ : int
    converged_ : bool
        Whether it stopped before `max_iterations`.

    Examples
    --------
    >>> x = np.concatenate([np.zeros((5, 2)), np.ones((5, 2))]).astype(np.float32)
    >>> KMeans(2).fit(x).inertia_
    0.0
    """

    k: int
    metric: Metric = "l2"
    init: Init | Matrix = "k-means++"
    max_iterations: int = 50
    tolerance: float = 5e-4
    momentum: float | None = None
    seed: int | tuple[int, ...] = 0
    device: str = "cpu"
    check: Callable[[], None] | None = None
    history_: list[float] = field(default_factory=list, init=False, repr=False)

    def fit(self, x: Matrix | Tensor) -> Self:
        """Cluster the rows of `x` (N, D).

        Raises
        ------
        RequestError
            If there are more clusters than points, or `x` holds NaN or infinite values.
        """
        with one_thread_an_operation():
            return self._fit(x)

    def _fit(self, x: Matrix | Tensor) -> Self:
        if not 1 <= self.k <= len(x):
            raise RequestError(
                f"{self.k} clusters cannot be made of {len(x)} points; ask for at most {len(x)}, and at least 1"
            )
        points = _points(x, self.k, self.metric, self.device)
        state = _Lloyd(points, self._start(points), cosine=self.metric == "cosine")
        momentum = self.momentum
        if momentum is None:
            momentum = MOMENTUM if self.tolerance > 0 else 0.0
        self.history_, self.converged_ = [], False
        plain = True
        for iteration in range(self.max_iterations):
            if self.check is not None:
                self.check()
            changed = state.assign()
            self.history_.append(state.inertia())
            if changed == 0 and plain:
                self.converged_ = True
                break
            if iteration:
                gain = 1.0 - self.history_[-1] / self.history_[-2] if self.history_[-2] > 0 else 0.0
                if 0 <= gain <= self.tolerance and self.tolerance > 0:
                    self.converged_ = True
                    break
                plain = gain < 0 or iteration < PLAIN_STEPS
            state.update(0.0 if plain else momentum)
            plain = plain or momentum == 0
        self.iterations_ = len(self.history_)
        centroids = state.finish()
        self.labels_ = state.labels.to(torch.int32).cpu().numpy()
        self.inertia_ = float(points.distances(state.labels, centroids).sum(dtype=torch.float64))
        self.centroids_: Matrix = (centroids + points.shift).cpu().numpy()
        return self

    def predict(self, x: Matrix | Tensor) -> NDArray[np.int32]:
        """Return the nearest of `centroids_` for each row of `x`: (N,) int32."""
        return assign(x, self.centroids_, metric=self.metric, device=self.device)[0]

    def _start(self, points: Points) -> Tensor:
        if not isinstance(self.init, str):
            start = torch.as_tensor(np.array(self.init, dtype=np.float32), device=points.device)
            if start.shape != (self.k, points.dim):
                raise RequestError(
                    f"initial centroids of shape {tuple(start.shape)} do not fit {self.k} clusters in "
                    f"{points.dim} dimensions"
                )
            if self.metric == "cosine":
                start = torch.nn.functional.normalize(start, dim=1)
            return start - points.shift
        seed = self.seed if isinstance(self.seed, tuple) else (self.seed,)
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(seed))))
        choose = plus_plus if self.init == "k-means++" else parallel
        return points.rows(choose(points, self.k, rng))


class _Lloyd:
    """State of the iteration; all in the frame of the points."""

    def __init__(self, points: Points, centroids: Tensor, *, cosine: bool) -> None:
        self.points, self.centroids, self.cosine = points, centroids, cosine
        self.k = len(centroids)
        self.means = centroids
        self.labels = torch.empty(0)
        self.upper = self.lower = torch.empty(0)
        self.sums = torch.empty(0)
        self.counts = torch.empty(0)

    def assign(self) -> int:
        """Find the nearest centroids; return how many labels changed."""
        points, search = self.points, Searcher(self.points, self.centroids)
        if not self.labels.numel():
            self.labels, self.upper, self.lower = search()
            self.sums = points.sums(self.labels, self.k)
            self.counts = torch.bincount(self.labels, minlength=self.k)
            return points.n + self._fill_empty()
        active = (self.upper >= self.lower).nonzero()[:, 0]
        if len(active) > ALL * points.n:
            labels, self.upper, self.lower = search()
        else:
            found = search(active)
            labels = self.labels.clone()
            labels[active], self.upper[active], self.lower[active] = found
        changed = (labels != self.labels).nonzero()[:, 0]
        self._relabel(changed, labels[changed])
        return len(changed) + self._fill_empty()

    def _relabel(self, rows: Tensor, labels: Tensor) -> None:
        if len(rows) > self.points.n // 4:
            self.labels[rows] = labels
            self.sums = self.points.sums(self.labels, self.k)
        elif len(rows):
            signs = torch.ones(2 * len(rows), device=rows.device)
            signs[len(rows) :] = -1
            both = torch.cat([labels, self.labels[rows]])
            self.sums = self.sums + self.points.sums(both, self.k, torch.cat([rows, rows]), signs)
            self.labels[rows] = labels
        self.counts = torch.bincount(self.labels, minlength=self.k)

    def _fill_empty(self) -> int:
        empty = (self.counts == 0).nonzero()[:, 0]
        if not len(empty):
            return 0
        distances = self.points.distances(self.labels, self.centroids)
        order = torch.argsort(distances, descending=True, stable=True)
        left = self.counts.clone()
        taken: list[int] = []
        for row in order[: 4 * len(empty)].tolist():
            owner = self.labels[row]
            if distances[row] > 0 and left[owner] > 1 and len(taken) < len(empty):
                left[owner] -= 1
                taken.append(row)
        if taken:
            rows = torch.as_tensor(taken, device=self.labels.device)
            self._relabel(rows, empty[: len(taken)])
            self.upper[rows] = torch.inf
        return len(taken)

    def inertia(self) -> float:
        """Return the sum of squared distances from the centroids that the points were last assigned to."""
        centroids = self.centroids.double()
        own = self.counts * centroids.square().sum(1)
        return max(self.points.total + float((own - 2 * (self.sums * centroids).sum(1)).sum()), 0.0)

    def mean(self) -> Tensor:
        """Return the means of the clusters; a cluster without points stays where it is."""
        mean = self.sums / self.counts.clamp_min(1)[:, None]
        if self.cosine:
            shift = self.points.shift.double()
            mean = torch.nn.functional.normalize(mean + shift, dim=1) - shift
        return torch.where(self.counts[:, None] > 0, mean, self.centroids.double()).float()

    def update(self, momentum: float) -> None:
        """Move the centroids to the means, and beyond by `momentum` times the last step of the means."""
        means = self.mean()
        moved = means + momentum * (means - self.means) if momentum else means
        drift = (moved - self.centroids).norm(dim=1) * ROUND_UP
        longest = drift.topk(min(2, self.k)).values
        others = torch.where(torch.arange(self.k, device=drift.device) == drift.argmax(), longest[-1], longest[0])
        self.upper = self.upper + drift[self.labels]
        self.lower = self.lower - others[self.labels]
        self.centroids, self.means = moved, means

    def finish(self) -> Tensor:
        """Take the means of the last clusters, assign the points to them, and return them."""
        self.sums = self.points.sums(self.labels, self.k)
        self.update(0.0)
        self.labels = Searcher(self.points, self.centroids)().labels
        return self.centroids


def assign(
    x: Matrix | Tensor, centroids: Matrix, *, metric: Metric = "l2", device: str = "cpu"
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the nearest of `centroids` (k, D) for each row of `x` (N, D), and the distance to it.

    Returns
    -------
    labels : array (N,) int32
    distances : array (N,) float32
        Euclidean distance; between vectors of length 1 if `metric` is "cosine".
    """
    if x.shape[1] != centroids.shape[1]:
        raise RequestError(f"features of {x.shape[1]} dimensions do not fit centroids of {centroids.shape[1]}")
    points = _points(x, len(centroids), metric, device)
    moved = torch.as_tensor(np.array(centroids, dtype=np.float32), device=points.device) - points.shift
    labels = Searcher(points, moved)().labels
    distances = points.distances(labels, moved).sqrt_()
    return labels.to(torch.int32).cpu().numpy(), distances.cpu().numpy()


def _points(x: Matrix | Tensor, k: int, metric: Metric, device: str) -> Points:
    return Points(x, device=device, work=float(len(x)) * x.shape[1] * k, unit=metric == "cosine")
