from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skysift.curation.sampling.waterfill import water_fill

SIZES = st.lists(st.integers(0, 400), min_size=1, max_size=40)
QUALITY = st.floats(0, 3, allow_nan=False).map(lambda q: 0.0 if q < 0.01 else q)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(SIZES, st.floats(0, 1), st.integers(0, 3))
def test_shares_sum_to_the_target_and_lie_at_the_cap(sizes: list[int], part: float, seed: int) -> None:
    target = round(part * sum(sizes))
    shares = water_fill(sizes, target, rng(seed))
    held = np.array(sizes)
    assert shares.sum() == target
    assert (shares >= 0).all()
    assert (shares <= held).all()
    below = shares[shares < held]
    if len(below):
        assert below.max() - below.min() <= 1
        assert shares.max() <= below.min() + 1
        # the cap x: what is full holds at most x (+ 1 where the remainder fell)
        assert shares[shares == held].max(initial=0) <= below.min() + 1


@given(SIZES.filter(lambda s: sum(s) > 0), st.floats(0, 0.99), st.integers(0, 3))
def test_a_larger_target_takes_from_nobody(sizes: list[int], part: float, seed: int) -> None:
    target = int(part * sum(sizes))
    less, more = water_fill(sizes, target, rng(seed)), water_fill(sizes, target + 1, rng(seed))
    # at most the one of the remainder moves
    assert (more - less).min() >= -1
    caps = [np.sort(np.minimum(sizes, s.max())).sum() for s in (less, more)]
    assert caps[0] <= caps[1]


@given(st.lists(st.tuples(st.integers(0, 300), QUALITY), min_size=1, max_size=30), st.floats(0, 1))
def test_quality_scales_the_cap(nodes: list[tuple[int, float]], part: float) -> None:
    held, quality = np.array([n[0] for n in nodes]), np.array([n[1] for n in nodes])
    target = round(part * held.sum())
    shares = water_fill(held, target, rng(), quality=quality)
    assert shares.sum() == target
    assert (shares <= held).all()
    good = quality > 0
    if shares[~good].sum():
        assert (shares[good] == held[good]).all()
    open_ = good & (shares < held)
    if open_.sum() > 1:
        # caps of open nodes agree to within the rounding of two nodes
        low, high = ((shares[open_] - 1) / quality[open_]).max(), ((shares[open_] + 1) / quality[open_]).min()
        assert low <= high * (1 + 1e-9)


def test_known_shares() -> None:
    assert water_fill([10, 2, 5, 100], 20, rng()).tolist()[1] == 2
    assert sorted(water_fill([10, 2, 5, 100], 19, rng()).tolist()) == [2, 5, 6, 6]
    assert water_fill([3, 3, 3], 9, rng()).tolist() == [3, 3, 3]
    assert water_fill([100, 100], 30, rng(), quality=[1.0, 0.5]).tolist() == [20, 10]
    assert water_fill([5, 5], 0, rng()).tolist() == [0, 0]


def test_the_remainder_is_random_and_seeded() -> None:
    outcomes = {tuple(water_fill([9] * 5, 7, rng(seed)).tolist()) for seed in range(50)}
    assert len(outcomes) == 10
    assert water_fill([9] * 5, 7, rng(3)).tolist() == water_fill([9] * 5, 7, rng(3)).tolist()


@pytest.mark.parametrize(
    ("sizes", "target", "quality"),
    [([1, 2], 4, None), ([1, 2], -1, None), ([-1, 2], 1, None), ([1, 2], 1, [1.0]), ([1, 2], 1, [1.0, np.nan])],
)
def test_impossible_requests_are_refused(sizes: list[int], target: int, quality: list[float] | None) -> None:
    with pytest.raises(ValueError):
        water_fill(sizes, target, rng(), quality=quality)
