"""A subsample before it is drawn: the tree, what each cluster would give, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skysift.curation.choice import choose, quality
from skysift.curation.quotas import Quota, read_quotas
from skysift.curation.sampling.pool import Chosen, Pool
from skysift.curation.stages import Subsample
from skysift.curation.tree import Tree
from skysift.metrics.balance import gini, normalised_entropy

if TYPE_CHECKING:
    from skysift.app.survey import Survey
    from skysift.store.artifact import Artifact

Rows = NDArray[np.int64]
Node = tuple[int, int]
"""Level, counted from 1, the finest; and number of a cluster."""


@dataclass(frozen=True)
class Step:
    """One cluster on a cutout's path.

    Attributes
    ----------
    level, cluster : int
    size, kept : int
        Cutouts that it holds, and that it gives.
    quota : int or None
        What was asked of it.
    siblings : int
        Clusters beside it, itself counted.
    """

    level: int
    cluster: int
    size: int
    kept: int
    quota: int | None
    siblings: int


@dataclass(frozen=True)
class Why:
    """Why a cutout is kept, or is not.

    Attributes
    ----------
    kept : bool
    steps : list of Step
        From the coarsest cluster to the finest.
    rank : int
        Place among the members of its finest cluster by distance from the centroid, 1 the nearest.
    distance : float
    weight : float
        What its quality scales its chance by.
    sentence : str
    """

    kept: bool
    steps: list[Step]
    rank: int
    distance: float
    weight: float
    sentence: str


class Plan:
    """A tree of clusters and what requests would draw from it; exactly what the stage `Subsample` draws.

    Parameters
    ----------
    survey : Survey
        Whose features the tree was made from.
    clusters : Artifact
        The tree.
    """

    def __init__(self, survey: Survey, clusters: Artifact) -> None:
        self.survey, self.clusters = survey, clusters
        self.tree = Tree.open(clusters.folder)
        self.paths = self.tree.path(np.asarray(self.tree.parents[0]))
        self.distances = np.load(clusters.path("distances.npy"))
        self.sizes = [np.bincount(self.paths[:, i], minlength=len(c)) for i, c in enumerate(self.tree.centroids)]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def depth(self) -> int:
        """Number of levels."""
        return self.tree.depth

    @cached_property
    def pool(self) -> Pool:
        """Everything that may be kept."""
        n = len(self)
        weights = quality(self.survey.catalogue, weigh_valid=True, artefact_column=None)
        return Pool(self.paths, self.distances, weights, np.ones(n, bool), np.empty((n, 0), np.float32))

    def request(self, target: int, quotas: Sequence[str] = (), *, leaf: str = "random", seed: int = 0) -> Subsample:
        """Return the stage that draws a subsample."""
        return Subsample.model_validate(
            {
                "clusters": self.clusters.id,
                "target_size": target,
                "quotas": tuple(quotas),
                "leaf": leaf,
                "seed": seed,
            }
        )

    def choose(self, request: Subsample) -> Chosen:
        """Return what a request keeps.

        Raises
        ------
        RequestError
            If it can't be had.
        """
        request.check_rows(len(self))
        return choose(request, self.pool)

    def kept(self, chosen: Chosen) -> list[Rows]:
        """Return how many each cluster gives, by level."""
        return [np.bincount(self.paths[chosen.rows, i], minlength=len(c)) for i, c in enumerate(self.tree.centroids)]

    def children(self, node: Node | None) -> list[Node]:
        """Return the clusters within a cluster (None: the whole set) that hold anything, the largest first."""
        level = self.depth if node is None else node[0] - 1
        if level < 1:
            return []
        sizes = self.sizes[level - 1]
        inside = sizes > 0
        if node is not None:
            inside &= np.asarray(self.tree.parents[level]) == node[1]
        found = np.flatnonzero(inside)
        return [(level, int(i)) for i in found[np.argsort(-sizes[found], kind="stable")]]

    def trail(self, node: Node | None) -> list[Node]:
        """Return the clusters that contain a cluster, the coarsest first, itself last."""
        found = list[Node]()
        while node is not None:
            found.insert(0, node)
            level, cluster = node
            node = (level + 1, int(self.tree.parents[level][cluster])) if level < self.depth else None
        return found

    def members(self, node: Node) -> Rows:
        """Return the rows in a cluster, the nearest to their finest centroid first."""
        level, cluster = node
        order, starts = self._by_level[level - 1]
        return order[starts[cluster] : starts[cluster + 1]]

    def exemplars(self, node: Node, count: int) -> list[int]:
        """Return typical members: the nearest of each of its largest finest clusters, then the next nearest."""
        rows = self.members(node)
        leaf = self.paths[rows, 0]
        _, first, inverse = np.unique(leaf, return_index=True, return_inverse=True)
        size = np.bincount(inverse)
        typical = rows[first[np.argsort(-size, kind="stable")]][:count]
        rest = rows[~np.isin(rows, typical)][: count - len(typical)]
        return [int(row) for row in (*typical, *rest)]

    def why(self, row: int, chosen: Chosen, request: Subsample) -> Why:
        """Say why a request keeps a cutout, or does not."""
        quotas: dict[Node, Quota] = {(q.level, q.cluster): q for q in read_quotas(request.quotas)}
        given = self.kept(chosen)
        steps = []
        for level in range(self.depth, 0, -1):
            node = (level, int(self.paths[row, level - 1]))
            parent = None if level == self.depth else (level + 1, int(self.paths[row, level]))
            asked = quotas.get(node)
            size, kept = int(self.sizes[level - 1][node[1]]), int(given[level - 1][node[1]])
            number = None if asked is None else asked.number
            steps.append(Step(level, node[1], size, kept, number, len(self.children(parent))))
        members = self.members((1, int(self.paths[row, 0])))
        rank = int(np.flatnonzero(members == row)[0]) + 1
        is_kept = bool(np.isin(row, chosen.rows))
        sentence = say(steps, rank, request.leaf, kept=is_kept)
        return Why(is_kept, steps, rank, float(self.distances[row]), float(self.pool.weights[row]), sentence)

    def balance(self, level: int, counts: Rows) -> tuple[float, float]:
        """Return Gini coefficient and normalised entropy of what the clusters of a level hold or give."""
        held = counts[self.sizes[level - 1] > 0]
        return gini(held), normalised_entropy(held)

    @cached_property
    def _by_level(self) -> list[tuple[Rows, Rows]]:
        """For each level the rows by cluster and distance, and where each cluster begins."""
        found = []
        for i, sizes in enumerate(self.sizes):
            order = np.lexsort((self.distances, self.paths[:, i])).astype(np.int64)
            found.append((order, np.concatenate([[0], np.cumsum(sizes)])))
        return found


def say(steps: Sequence[Step], rank: int, leaf: str, *, kept: bool) -> str:
    """Put the reason into one sentence: the first cluster on the path that decides, and the draw in the finest."""
    finest = steps[-1]
    name = f"cluster {finest.level}:{finest.cluster}"
    whole = next((s for s in steps if s.kept == s.size), None)
    none = next((s for s in steps if not s.kept), None)
    if kept and whole is not None:
        return f"Kept: cluster {whole.level}:{whole.cluster} gives all {whole.size:,} that it holds."
    if not kept and none is not None:
        cause = "has the quota 0" if none.quota == 0 else "gets no share of the target"
        return f"Left out: cluster {none.level}:{none.cluster} {cause}."
    share = "quota" if finest.quota is not None else "share"
    gives = f"{name} gives {finest.kept:,} of {finest.size:,} as its {share}"
    if leaf == "random":
        drawn = "and this one was drawn" if kept else "and this one was not drawn"
        return f"{'Kept' if kept else 'Left out'}: {gives}, at random by quality, {drawn}."
    order = rank if leaf == "closest" else finest.size - rank + 1
    side = "nearest to" if leaf == "closest" else "furthest from"
    return f"{'Kept' if kept else 'Left out'}: {gives}, the {side} its centroid; this one is number {order:,}."


def tidy(quotas: dict[Node, int]) -> tuple[str, ...]:
    """Return quotas as a request writes them."""
    return tuple(str(Quota(level, cluster, number)) for (level, cluster), number in sorted(quotas.items()))
