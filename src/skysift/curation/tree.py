"""The tree of clusters: centroids and parents at every level, on disk and in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from skysift.store.digest import write_json

Matrix = NDArray[np.float32]
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Tree:
    """A hierarchy of clusters, finest level first.

    Attributes
    ----------
    centroids : list of array (k_l, D) float32
        In the space of the features that were clustered (after `Transform`).
    parents : list of array int32
        `parents[0]` (N,): cluster of each point at level 1. `parents[l]` (k_l,): cluster at level l + 1 of each
        cluster of level l.
    """

    centroids: list[Matrix]
    parents: list[Labels]

    @property
    def depth(self) -> int:
        """Number of levels."""
        return len(self.centroids)

    def path(self, leaf: Labels) -> Labels:
        """Return the clusters (N, depth) that contain points of the level-1 clusters `leaf` (N,), finest first."""
        steps = [leaf.astype(np.int32)]
        for parents in self.parents[1:]:
            steps.append(parents[steps[-1]])
        return np.stack(steps, axis=1)

    def sizes(self) -> list[NDArray[np.int64]]:
        """Return the number of points in each cluster, by level."""
        paths = self.path(self.parents[0])
        return [np.bincount(paths[:, level], minlength=len(c)) for level, c in enumerate(self.centroids)]

    def save(self, folder: Path, extra: dict[str, object] | None = None) -> None:
        """Write `level_{l}_centroids.npy`, `level_{l}_assign.npy` and `clusters.json`, levels counted from 1."""
        for level, (centroids, parents) in enumerate(zip(self.centroids, self.parents, strict=True), start=1):
            np.save(folder / f"level_{level}_centroids.npy", centroids)
            np.save(folder / f"level_{level}_assign.npy", parents)
        sizes = [[int(n) for n in level] for level in self.sizes()]
        write_json(
            folder / "clusters.json", {"levels": [len(c) for c in self.centroids], "sizes": sizes, **(extra or {})}
        )

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the tree of a clusters artifact's folder; the arrays are memory-mapped."""
        centroids, parents = [], []
        level = 1
        while (path := folder / f"level_{level}_centroids.npy").exists():
            centroids.append(np.load(path, mmap_mode="r"))
            parents.append(np.load(folder / f"level_{level}_assign.npy", mmap_mode="r"))
            level += 1
        return cls(centroids, parents)
