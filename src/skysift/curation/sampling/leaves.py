"""How a leaf cluster gives its share: at random, nearest its centroid first, or furthest first."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from skysift.curation.sampling.pool import Pool, Rows


class Leaf(Protocol):
    """Orders the rows of a leaf: first come, first kept."""

    name: str

    def order(self, pool: Pool, rows: Rows, rng: np.random.Generator) -> Rows:
        """Return `rows` in the order in which they are to be kept."""
        ...


class Random:
    """Without replacement, with probabilities in proportion to the weights (Efraimidis & Spirakis 2006)."""

    name = "random"

    def order(self, pool: Pool, rows: Rows, rng: np.random.Generator) -> Rows:
        """Return the rows in random order."""
        weights = pool.weights[rows]
        waits = rng.exponential(size=len(rows))
        with np.errstate(divide="ignore"):
            keys = np.where(weights > 0, waits / weights, np.inf)
        return rows[np.lexsort((waits, keys))]


class Closest:
    """Nearest the centroid first: the typical members."""

    name = "closest"

    def order(self, pool: Pool, rows: Rows, rng: np.random.Generator) -> Rows:  # noqa: ARG002
        """Return the rows by rising distance; ties by row."""
        return rows[np.argsort(pool.distances[rows], kind="stable")]


class Furthest:
    """Furthest from the centroid first: the odd members."""

    name = "furthest"

    def order(self, pool: Pool, rows: Rows, rng: np.random.Generator) -> Rows:  # noqa: ARG002
        """Return the rows by falling distance; ties by row."""
        return rows[np.argsort(-pool.distances[rows], kind="stable")]


def take(leaf: Leaf, pool: Pool, rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Return `count` of the rows; each whole time round is a repeat of all of them."""
    order = leaf.order(pool, rows, rng)
    rounds, rest = divmod(count, len(rows))
    return np.concatenate([np.tile(rows, rounds), order[:rest]])
