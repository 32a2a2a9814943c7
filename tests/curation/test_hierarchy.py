from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from skysift.curation.hierarchy import HierarchicalKMeans, closest
from skysift.curation.kmeans import KMeans, assign
from skysift.curation.levels import check_levels
from skysift.curation.tree import Tree
from skysift.errors import RequestError, Stopped
from tests.curation.conftest import blobs


def same(one: Tree, two: Tree) -> bool:
    pairs = [*zip(one.centroids, two.centroids, strict=True), *zip(one.parents, two.parents, strict=True)]
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def test_levels_are_built_bottom_up() -> None:
    x = blobs(1200, 8, 12)
    tree = HierarchicalKMeans((60, 12, 3), resample_rounds=2, seed=1).fit(x).tree_
    assert [c.shape for c in tree.centroids] == [(60, 8), (12, 8), (3, 8)]
    assert [p.shape for p in tree.parents] == [(1200,), (60,), (12,)]
    below = x
    for centroids, parents in zip(tree.centroids, tree.parents, strict=True):
        np.testing.assert_array_equal(assign(below, centroids)[0], parents)
        below = centroids
    paths = tree.path(tree.parents[0])
    np.testing.assert_array_equal(paths[:, 1], tree.parents[1][tree.parents[0]])
    np.testing.assert_array_equal(paths[:, 2], tree.parents[2][tree.parents[1][tree.parents[0]]])
    assert [s.sum() for s in tree.sizes()] == [1200] * 3


def test_without_rounds_a_level_is_plain_k_means() -> None:
    x = blobs(800, 8, 12)
    tree = HierarchicalKMeans((20, 4), resample_rounds=0, seed=7).fit(x).tree_
    first = KMeans(20, seed=(7, 0, 0)).fit(x)
    assert first.centroids_.tobytes() == tree.centroids[0].tobytes()
    assert KMeans(4, seed=(7, 1, 0)).fit(first.centroids_).centroids_.tobytes() == tree.centroids[1].tobytes()


def test_a_round_refits_on_the_nearest_of_each_cluster() -> None:
    x = blobs(800, 8, 12)
    start = KMeans(20, seed=(7, 0, 0)).fit(x)
    labels, distances = assign(x, start.centroids_)
    chosen = np.sort(
        np.concatenate([np.flatnonzero(labels == j)[np.argsort(distances[labels == j])[:5]] for j in range(20)])
    )
    expected = KMeans(20, seed=(7, 0, 1)).fit(x[chosen])
    tree = HierarchicalKMeans((20,), resample_rounds=1, resample_points=(5,), seed=7).fit(x).tree_
    assert tree.centroids[0].tobytes() == expected.centroids_.tobytes()


def test_half_the_mean_size_is_taken_by_default() -> None:
    model = HierarchicalKMeans((60_000, 4_000, 300))
    assert [model.points_per_cluster(i, n) for i, n in enumerate((3_000_000, 60_000, 4_000))] == [25, 8, 7]
    assert HierarchicalKMeans((50,)).points_per_cluster(0, 60) == 1


def test_closest_takes_ties_by_row() -> None:
    labels = np.array([0, 1, 0, 1, 0, 2])
    squares = np.array([3, 1, 1, 1, 1, 9], np.float32)
    assert closest(labels, squares, 2).tolist() == [1, 2, 3, 4, 5]
    assert closest(labels, squares, 1).tolist() == [1, 2, 5]


def test_resampling_evens_out_the_clusters_of_a_dense_and_a_sparse_region() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, (5000, 4)), rng.normal(20, 4, (250, 4))]).astype(np.float32)

    def sparse(rounds: int) -> int:
        tree = HierarchicalKMeans((60,), resample_rounds=rounds, seed=0).fit(x).tree_
        return int((tree.centroids[0].mean(1) > 10).sum())

    assert sparse(10) > 1.2 * sparse(0)


def test_killed_in_any_round_it_carries_on_to_the_same_bytes(tmp_path: Path) -> None:
    x = blobs(600, 8, 12)
    whole = HierarchicalKMeans((30, 5), resample_rounds=2, seed=3).fit(x)
    for limit in (3, 12, 24, 10_000):
        calls = 0

        def check(limit: int = limit) -> None:
            nonlocal calls
            calls += 1
            if calls > limit:
                raise Stopped("enough")

        scratch = tmp_path / str(limit)
        scratch.mkdir()
        model = HierarchicalKMeans((30, 5), resample_rounds=2, seed=3, scratch=scratch, check=check)
        stopped = False
        try:
            model.fit(x)
        except Stopped:
            stopped = True
        again = HierarchicalKMeans((30, 5), resample_rounds=2, seed=3, scratch=scratch).fit(x)
        assert same(again.tree_, whole.tree_)
        assert again.inertias_ == whole.inertias_
        assert stopped == (limit < 10_000)


def test_finished_rounds_are_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = blobs(600, 8, 12)
    HierarchicalKMeans((30, 5), resample_rounds=2, scratch=tmp_path).fit(x)
    assert len(list(tmp_path.glob("level_*_round_*.npy"))) == 6
    monkeypatch.setattr(KMeans, "fit", lambda *_: pytest.fail("a finished round was fitted again"))
    HierarchicalKMeans((30, 5), resample_rounds=2, scratch=tmp_path).fit(x)


def test_many_resampled_points_lie_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = blobs(600, 8, 12)
    whole = HierarchicalKMeans((30, 5), resample_rounds=2, seed=3).fit(x)
    monkeypatch.setattr("skysift.curation.hierarchy.CACHED_BYTES", 1000)
    mapped = HierarchicalKMeans((30, 5), resample_rounds=2, seed=3, scratch=tmp_path).fit(x)
    assert (tmp_path / "resampled.npy").exists()
    assert same(mapped.tree_, whole.tree_)


def test_cosine_runs_through_all_levels() -> None:
    x = blobs(500, 8, 6)
    tree = HierarchicalKMeans((20, 4), metric="cosine", resample_rounds=2).fit(x).tree_
    for centroids in tree.centroids:
        np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1, atol=1e-5)


def test_constant_features_end() -> None:
    tree = HierarchicalKMeans((10, 2), resample_rounds=3).fit(np.ones((50, 4), np.float32)).tree_
    assert tree.sizes()[0][0] == 50


def test_a_tree_survives_the_disk(tmp_path: Path) -> None:
    tree = HierarchicalKMeans((20, 4), resample_rounds=1).fit(blobs(200, 4, 5)).tree_
    tree.save(tmp_path)
    again = Tree.open(tmp_path)
    assert again.depth == 2
    assert same(tree, again)


@pytest.mark.parametrize(
    ("levels", "points", "message"),
    [
        ((101,), None, "level 1 asks for 101 clusters of the 100 points; ask for at most 100"),
        ((50, 60), None, "level 2 asks for 60 clusters of the 50 clusters of level 1"),
        ((), None, "at least one number"),
        ((10, 5), (3,), "1 numbers for 2 levels"),
    ],
)
def test_impossible_levels_are_refused(levels: tuple[int, ...], points: tuple[int, ...] | None, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        check_levels(100, levels, points)
