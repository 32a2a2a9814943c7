from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from skysift.curation.quotas import Quota, read_quotas
from skysift.curation.sampling import Hierarchical, Pool
from skysift.curation.sampling.bounds import Bounds
from skysift.curation.sampling.waterfill import water_fill
from skysift.curation.stages import Cluster, Subsample
from skysift.errors import RequestError
from skysift.store.store import Store
from tests.curation.conftest import MadeFeatures

LEAVES = np.array([100, 50, 30, 20, 10, 6, 4])
PARENTS = np.array([0, 0, 1, 1, 1, 2, 2])


def pool(**options: Any) -> Pool:
    """Seven clusters of 100 to 4 cutouts, in three: 150, 60 and 10."""
    leaf = np.repeat(np.arange(7), LEAVES).astype(np.int32)
    n = len(leaf)
    values: dict[str, Any] = {
        "paths": np.stack([leaf, PARENTS[leaf].astype(np.int32)], axis=1),
        "distances": np.random.default_rng(0).random(n).astype(np.float32),
        "weights": np.ones(n),
        "allowed": np.ones(n, bool),
        "features": np.zeros((n, 2), np.float32),
    }
    return Pool(**(values | options))


def kept(target: int, *quotas: str, data: Pool | None = None) -> tuple[list[int], list[int]]:
    data = data or pool()
    found = Hierarchical(quotas=read_quotas(quotas)).select(data, target, np.random.default_rng(3))
    assert len(found.rows) == target
    fine, top = data.paths[found.rows].T
    return np.bincount(fine, minlength=7).tolist(), np.bincount(top, minlength=3).tolist()


def test_quotas_replace_even_shares() -> None:
    assert kept(60)[1] == [25, 25, 10]
    fine, top = kept(60, "2:0=40")
    assert top == [40, 10, 10]
    assert fine[:2] == [20, 20]
    assert fine[5:] == [6, 4]
    fine, top = kept(60, "1:2=28")
    assert (fine[2], top) == (28, [22, 28, 10])  # more than the even 25 of its parent, which gives it and nothing else
    assert fine[3:5] == [0, 0]
    fine, top = kept(60, "1:2=0", "2:2=0")
    assert top == [30, 30, 0]
    assert fine[2:5] == [0, 20, 10]


def test_a_quota_of_a_cluster_and_one_within_it() -> None:
    fine, top = kept(60, "2:1=20", "1:4=10")
    assert top[1] == 20
    assert fine[2:5] == [5, 5, 10]


def test_duplicates_lower_what_a_cluster_can_give() -> None:
    data = pool()
    allowed = np.ones(len(data.paths), bool)
    allowed[data.paths[:, 0] == 4] = False
    with pytest.raises(RequestError, match="level 1 has no cutouts in a cluster 4"):
        kept(20, "1:4=1", data=pool(allowed=allowed))


@pytest.mark.parametrize(
    ("target", "quotas", "message"),
    [
        (10, ["1:9=1"], "level 1 has no cutouts in a cluster 9"),
        (10, ["3:0=1"], "the tree has 2 levels"),
        (10, ["2:2=11"], "the cluster can give 10"),
        (10, ["1:5=0", "2:2=5"], "the cluster can give 4"),
        (30, ["1:0=20", "2:0=10"], "the quotas within the cluster ask for 20"),
        (10, ["2:0=11"], "quotas ask for 11 cutouts and the target size is 10"),
        (100, ["2:0=10"], "quotas leave 80 cutouts for a target size of 100"),
    ],
)
def test_quotas_that_cannot_be_had(target: int, quotas: list[str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        kept(target, *quotas)


def test_repeats_let_a_quota_exceed_a_cluster() -> None:
    data = pool(repeats=True)
    found = Hierarchical(quotas=read_quotas(["1:6=10"])).select(data, 30, np.random.default_rng(0))
    rows, counts = np.unique(found.rows[data.paths[found.rows, 0] == 6], return_counts=True)
    assert len(rows) == 4
    assert sorted(counts) == [2, 2, 3, 3]


def test_no_quota_draws_what_was_drawn_before() -> None:
    data = pool()
    bounds = Bounds.of(data, ())
    assert [level.sum() for level in bounds.least] == [0, 0]
    assert [level.tolist() for level in bounds.most] == [LEAVES.tolist(), [150, 60, 10]]
    for seed in range(5):
        even = water_fill([150, 60, 10], 61, np.random.default_rng(seed))
        same = water_fill([150, 60, 10], 61, np.random.default_rng(seed), least=[0, 0, 0])
        np.testing.assert_array_equal(even, same)


@given(
    nodes=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=8),
    part=st.floats(0, 1),
    seed=st.integers(0, 5),
)
@settings(max_examples=200, deadline=None)
def test_filling_from_a_least_is_the_clipped_cap(nodes: list[tuple[int, int]], part: float, seed: int) -> None:
    held = np.array([max(n) for n in nodes])
    least = np.array([min(n) for n in nodes])
    target = int(least.sum() + part * (held - least).sum())
    shares = water_fill(held, target, np.random.default_rng(seed), least=least)
    assert shares.sum() == target
    # oracle: the largest whole cap x with sum(clip(x, least, held)) <= target; the remainder is one each
    caps = np.array([np.clip(x, least, held) for x in range(32)])
    x = int(np.flatnonzero(caps.sum(axis=1) <= target)[-1])
    assert ((shares - caps[x] >= 0) & (shares - caps[x] <= 1)).all()


@pytest.mark.parametrize("least", [[3, 0], [-1, 0], [2, 2], [1]])
def test_a_least_that_cannot_be_had(least: list[int]) -> None:
    with pytest.raises(ValueError, match="least"):
        water_fill([2, 5], 3, np.random.default_rng(0), least=least)


def test_quotas_are_read_and_ordered() -> None:
    assert read_quotas(["2:7=40", " 1:12=0"]) == (Quota(1, 12, 0), Quota(2, 7, 40))
    zero = "0" * 32
    one = Subsample(clusters=zero, target_size=9, quotas=("2:07=40", "1:12=0"))
    assert one.quotas == ("1:12=0", "2:7=40")
    assert one == Subsample(clusters=zero, target_size=9, quotas=("1:12=0", "2:7=40"))


@pytest.mark.parametrize("text", ["7=40", "0:7=40", "2:7", "2:7=-1", "2:7=1.5", "2:7=4;rm", ""])
def test_what_is_no_quota_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="LEVEL:CLUSTER=NUMBER"):
        Subsample(clusters="0" * 32, target_size=9, quotas=(text,))


def test_two_quotas_for_one_cluster_and_a_rule_without_tree() -> None:
    with pytest.raises(ValidationError, match="two quotas are for cluster 7 of level 2"):
        Subsample(clusters="0" * 32, target_size=9, quotas=("2:7=1", "2:7=2"))
    with pytest.raises(ValidationError, match="quotas belong to rule: hierarchical, not flat"):
        Subsample(clusters="0" * 32, target_size=9, quotas=("2:7=1",), rule="flat")


def test_a_subsample_with_quotas(tmp_path: Any) -> None:
    store = Store(tmp_path)
    features = store.run(MadeFeatures())
    clusters = store.run(Cluster(features=features.id, levels=(12, 4), resample_rounds=1))
    plain = store.run(Subsample(clusters=clusters.id, target_size=45))
    made = store.run(Subsample(clusters=clusters.id, target_size=45, quotas=("2:1=3", "2:0=7")))
    assert made.id != plain.id
    table = pq.read_table(made.path("selection.parquet"))
    top = np.array([path[-1] for path in table.column("path").to_pylist()])
    assert (top == 1).sum() == 3
    assert (top == 0).sum() == 7
    assert made.rows == 45
    assert "with quotas" in table.column("reason")[0].as_py()
