"""What a rule chooses from, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """Cutouts that may be kept, and where they stand in the tree.

    Attributes
    ----------
    paths : array (N, L) int32
        Cluster of each cutout at each level, finest first.
    distances : array (N,) float32
        Distance from the centroid of its level-1 cluster.
    weights : array (N,) float64
        Quality, >= 0; scales a node's share.
    allowed : array (N,) bool
        False for near-duplicates that were left out.
    features : array (N, D) float32
        May be a memory map.
    repeats : bool
        Whether a cutout may be kept more than once.
    """

    paths: NDArray[np.int32]
    distances: NDArray[np.float32]
    weights: NDArray[np.float64]
    allowed: NDArray[np.bool_]
    features: NDArray[np.float32]
    repeats: bool = False

    @property
    def rows(self) -> Rows:
        """Rows that may be kept, ascending."""
        return np.flatnonzero(self.allowed)


@dataclass(frozen=True)
class Chosen:
    """Rows to keep, ascending, and the share of the target that the leaf of each was given.

    Attributes
    ----------
    rows : array (M,) int64
    quota : array (M,) int64
        How many the leaf cluster (or, where a rule knows no clusters, the whole set) was to give.
    held : array (M,) int64
        How many it held.
    reason : str
        The rule, in words.
    """

    rows: Rows
    quota: NDArray[np.int64]
    held: NDArray[np.int64]
    reason: str


class Rule(Protocol):
    """Chooses rows of a pool."""

    def select(self, pool: Pool, target: int, rng: np.random.Generator) -> Chosen:
        """Return `target` rows of the pool; the caller has checked that there are as many."""
        ...


def ordered(rows: Rows, quota: NDArray[np.int64], held: NDArray[np.int64], reason: str) -> Chosen:
    """Put what was chosen in the order of the catalogue."""
    order = np.argsort(rows, kind="stable")
    return Chosen(rows[order], quota[order], held[order], reason)
