"""Which images a step sees and which random numbers each gets, from (seed, epoch, cutout, view) and nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ORDER_STREAM = 0x0D
AUGMENT_STREAM = 0xA6


def epoch_order(count: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order (count,) in which an epoch sees the images."""
    stream = np.random.SeedSequence([seed, ORDER_STREAM, epoch])
    return np.random.Generator(np.random.PCG64(stream)).permutation(count).astype(np.int64)


def augment_seeds(indices: NDArray[np.int64], *, seed: int, epoch: int, view: int) -> NDArray[np.int64]:
    """Return the seeds of the augmentation of images.

    Parameters
    ----------
    indices : ndarray of int64, shape (B,)
        Rows in the catalogue.
    seed, epoch, view : int
        What else the random numbers depend on.

    Returns
    -------
    ndarray of int64, shape (B,)
        Non-negative; SplitMix64 (Steele et al. 2014) of the four numbers, one after the other.
    """
    state = np.zeros(len(indices), dtype=np.uint64)
    for word in (AUGMENT_STREAM, seed, epoch, view, indices.astype(np.uint64)):
        state = _splitmix64(state ^ np.asarray(word, dtype=np.uint64))
    return (state >> np.uint64(1)).astype(np.int64)


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Return the number of whole batches in an epoch; the images left over change from epoch to epoch."""
    return count // batch_size


def _splitmix64(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        mixed = state + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
