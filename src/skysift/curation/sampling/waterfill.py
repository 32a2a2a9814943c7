"""Water-filling: shares of a target that are equal up to what each node holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def water_fill(
    sizes: ArrayLike,
    target: int,
    rng: np.random.Generator,
    *,
    quality: ArrayLike | None = None,
    least: ArrayLike | None = None,
) -> NDArray[np.int64]:
    """Share `target` among nodes: find the cap x with sum(min(x, size)) = target, the remainder at random.

    Parameters
    ----------
    sizes : array_like (k,) int
        What each node holds; no node gets more.
    target : int
        At most sum(sizes).
    rng : numpy.random.Generator
        Decides which of the nodes below their size get one more when the cap is no whole number.
    quality : array_like (k,), optional
        Factor >= 0 on each node's cap. A node of quality 0 gets something only once all others are full.
    least : array_like (k,) int, optional
        What each node gets at least, at most its size; their sum is at most `target`.

    Returns
    -------
    array (k,) int64
        Shares; their sum is `target`.

    Raises
    ------
    ValueError
        If the target is negative or exceeds the sum of sizes, or `least` can't be had.

    Notes
    -----
    Vo et al. 2024 (arXiv:2405.15613), section 3.3. With weights the cap of node i is quality_i x.
    """
    held = np.asarray(sizes, dtype=np.int64)
    if held.ndim != 1 or (held < 0).any():
        raise ValueError("sizes must be one row of numbers that are not negative")
    if not 0 <= target <= held.sum():
        raise ValueError(f"a target of {target} cannot be shared among nodes that hold {held.sum()}")
    factor = np.ones(len(held)) if quality is None else np.asarray(quality, dtype=np.float64)
    if factor.shape != held.shape or not np.isfinite(factor).all() or (factor < 0).any():
        raise ValueError("quality must give one finite factor >= 0 a node")
    if least is not None:
        return _fill_from(np.asarray(least, dtype=np.int64), held, target, factor, rng)
    shares = np.zeros(len(held), dtype=np.int64)
    left = target
    for group in (factor > 0, factor == 0):
        index = np.flatnonzero(group & (held > 0))
        amount = min(left, int(held[index].sum()))
        if amount:
            caps = np.where(factor[index] > 0, factor[index], 1.0)
            shares[index] = _fill(held[index], amount, caps, rng)
            left -= amount
    return shares


def _fill_from(
    least: NDArray[np.int64],
    held: NDArray[np.int64],
    target: int,
    factor: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Give the nodes that an even share leaves below their least just that, and share the rest among the others."""
    if least.shape != held.shape or (least < 0).any() or (least > held).any() or least.sum() > target:
        raise ValueError("least must give each node a number from 0 to its size, and their sum be at most the target")
    shares, free = least.copy(), np.ones(len(held), dtype=bool)
    while True:
        rest = target - int(least[~free].sum())
        even = water_fill(held[free], rest, rng, quality=factor[free])
        low = even < least[free]
        if not low.any():
            shares[free] = even
            return shares
        # a node at its least takes more than its even share, so those of the others only fall from here on
        free[np.flatnonzero(free)[low]] = False


def _fill(
    held: NDArray[np.int64], target: int, factor: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Share among nodes with positive factors; `target` is at least 1 and at most the sum of `held`."""
    level = held / factor
    order = np.argsort(level, kind="stable")
    full = np.concatenate([[0], np.cumsum(held[order])])[:-1]
    open_factor = np.cumsum(factor[order][::-1])[::-1]
    # nodes in `order` before position p are full at the cap where node p becomes full
    reached = full + level[order] * open_factor
    p = min(int(np.searchsorted(reached, target, side="left")), len(held) - 1)
    cap = (target - full[p]) / open_factor[p]
    shares: NDArray[np.int64] = np.minimum(np.floor(cap * factor * (1 + 1e-12)).astype(np.int64), held)
    while (short := target - int(shares.sum())) != 0:
        if short < 0:
            loser = rng.permutation(np.flatnonzero(shares > 0))[:-short]
            shares[loser] -= 1
            continue
        room = np.flatnonzero(shares < held)
        shares[rng.permutation(room)[:short]] += 1
    return shares
