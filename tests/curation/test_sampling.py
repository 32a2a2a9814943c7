from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skysift.curation.points import Points
from skysift.curation.sampling import Closest, Facility, Flat, Furthest, Hierarchical, Pool, Random, Uniform
from skysift.curation.sampling.facility import furthest_first
from skysift.curation.sampling.pool import Rule

RULES = [Hierarchical(), Hierarchical(Closest()), Hierarchical(Furthest()), Flat(), Uniform(), Facility()]


def pool(
    n: int = 600,
    *,
    seed: int = 0,
    weights: np.ndarray | None = None,
    allowed: np.ndarray | None = None,
    repeats: bool = False,
) -> Pool:
    """Level 1 has 12 clusters of falling size, level 2 four of three each."""
    rng = np.random.default_rng(seed)
    share = 0.6 ** np.arange(12)
    leaf = np.sort(rng.choice(12, n, p=share / share.sum())).astype(np.int32)
    features = rng.standard_normal((n, 5)).astype(np.float32) + leaf[:, None]
    return Pool(
        paths=np.stack([leaf, leaf // 3], axis=1),
        distances=rng.random(n).astype(np.float32),
        weights=np.ones(n) if weights is None else weights,
        allowed=np.ones(n, bool) if allowed is None else allowed,
        features=features,
        repeats=repeats,
    )


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: type(r).__name__)
@given(target=st.integers(1, 500), seed=st.integers(0, 3))
@settings(max_examples=12, deadline=None)
def test_every_rule_keeps_the_target_without_repeats(rule: Rule, target: int, seed: int) -> None:
    allowed = rng(5).random(600) > 0.15
    found = rule.select(pool(allowed=allowed), min(target, int(allowed.sum())), rng(seed))
    assert len(found.rows) == min(target, int(allowed.sum()))
    assert (np.diff(found.rows) > 0).all()
    assert allowed[found.rows].all()
    again = rule.select(pool(allowed=allowed), len(found.rows), rng(seed))
    np.testing.assert_array_equal(found.rows, again.rows)


def test_shares_are_even_from_the_top_down() -> None:
    data = pool(6000)
    found = Hierarchical().select(data, 400, rng())
    top = np.bincount(data.paths[found.rows, 1], minlength=4)
    sizes = np.bincount(data.paths[:, 1], minlength=4)
    full = sizes <= top
    assert top[~full].max() - top[~full].min() <= 1
    for node in np.flatnonzero(~full):
        leaves = np.bincount(data.paths[found.rows, 0], minlength=12)[3 * node : 3 * node + 3]
        held = np.bincount(data.paths[:, 0], minlength=12)[3 * node : 3 * node + 3]
        open_ = leaves < held
        assert (
            leaves[open_].max(initial=0) - leaves[open_].min(initial=10**6 if not open_.any() else leaves[open_].max())
            <= 1
        )
    np.testing.assert_array_equal(found.held, np.bincount(data.paths[:, 0])[data.paths[found.rows, 0]])


def test_flat_is_even_over_the_finest_clusters() -> None:
    data = pool(6000)
    found = Flat().select(data, 300, rng())
    kept, held = np.bincount(data.paths[found.rows, 0], minlength=12), np.bincount(data.paths[:, 0], minlength=12)
    open_ = kept < held
    assert kept[open_].max() - kept[open_].min() <= 1


@pytest.mark.parametrize(("leaf", "sign"), [(Closest(), 1), (Furthest(), -1)])
def test_leaves_take_the_nearest_or_the_furthest(leaf: object, sign: int) -> None:
    data = pool(2000)
    found = Flat(leaf).select(data, 100, rng())  # type: ignore[arg-type]
    for j in range(12):
        members = np.flatnonzero(data.paths[:, 0] == j)
        kept = np.intersect1d(members, found.rows)
        expected = members[np.argsort(sign * data.distances[members], kind="stable")][: len(kept)]
        np.testing.assert_array_equal(kept, np.sort(expected))


def test_random_leaves_follow_the_weights() -> None:
    weights = np.where(np.arange(1000) < 500, 1.0, 3.0)
    data = pool(1000, weights=weights)
    counts = np.zeros(1000)
    for seed in range(200):
        counts[Random().order(data, np.arange(1000), rng(seed))[:20]] += 1
    assert counts[500:].sum() / counts[:500].sum() == pytest.approx(3, rel=0.15)


def test_weights_scale_the_share_of_a_node() -> None:
    data = pool(6000)
    weights = np.where(data.paths[:, 1] == 0, 0.5, 1.0)
    found = Hierarchical().select(pool(6000, weights=weights), 200, rng())
    kept = np.bincount(data.paths[found.rows, 1], minlength=4)
    held = np.bincount(data.paths[:, 1], minlength=4)
    assert kept[1] < held[1]
    assert kept[0] == pytest.approx(kept[1] / 2, abs=1)


def test_weight_zero_comes_last() -> None:
    weights = np.where(np.arange(600) < 300, 0.0, 1.0)
    for rule in (Hierarchical(), Flat(), Uniform()):
        found = rule.select(pool(weights=weights), 300, rng())
        if isinstance(rule, Uniform):
            np.testing.assert_array_equal(found.rows, np.arange(300, 600))
        assert len(found.rows) == 300


def test_repeats_fill_small_clusters_evenly() -> None:
    data = pool(6000, repeats=True)
    found = Flat().select(data, 2400, rng())
    np.testing.assert_array_equal(np.bincount(data.paths[found.rows, 0], minlength=12), np.full(12, 200))
    assert len(np.unique(found.rows)) < 2400
    for rule in (Uniform(), Facility()):
        counts = np.bincount(rule.select(pool(50, repeats=True), 120, rng()).rows, minlength=50)
        assert counts.min() == 2
        assert counts.max() == 3


def test_batches_choose_what_one_at_a_time_chooses() -> None:
    for dim in (2, 40):
        x = np.random.default_rng(1).standard_normal((1500, dim)).astype(np.float32)
        weights = np.random.default_rng(2).uniform(0.5, 1, 1500)
        points = Points(x)
        found = furthest_first(points, 400, rng(3), weights)
        assert found[0] == int(rng(3).integers(1500))
        assert len(set(found.tolist())) == 400
        nearest = np.full(1500, np.inf)
        for last, row in itertools.pairwise(found):
            nearest = np.minimum(nearest, ((x - x[last]).astype(np.float64) ** 2).sum(1))
            score = nearest * weights
            assert score[row] >= score.max() * (1 - 1e-3)  # distances by float32 products


def test_facility_ends_on_points_that_coincide() -> None:
    points = Points(np.ones((30, 3), np.float32))
    assert len(set(furthest_first(points, 30, rng()).tolist())) == 30


def test_uniform_is_uniform() -> None:
    counts = np.zeros(600)
    for seed in range(400):
        counts[Uniform().select(pool(), 60, rng(seed)).rows] += 1
    assert counts.mean() == 40
    assert counts.std() == pytest.approx(np.sqrt(400 * 0.1 * 0.9), rel=0.15)
