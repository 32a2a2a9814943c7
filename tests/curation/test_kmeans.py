from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans as Reference

from skysift.curation.kmeans import KMeans, assign
from skysift.curation.nearest import Searcher
from skysift.curation.points import Points
from skysift.errors import RequestError
from tests.curation.conftest import blobs


def starts(x: np.ndarray, k: int, seed: int = 1) -> np.ndarray:
    return x[np.random.default_rng(seed).choice(len(x), k, replace=False)].copy()


@pytest.mark.parametrize("iterations", [1, 5, 20])
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_scikit_learn_agrees_from_the_same_start(iterations: int, offset: float) -> None:
    x = blobs(3000, 24, 40, spread=3.0) + np.float32(offset)
    init = starts(x, 30)
    reference = Reference(30, init=init, n_init=1, max_iter=iterations, tol=0, algorithm="lloyd").fit(x)
    ours = KMeans(30, init=init, max_iterations=iterations, tolerance=0).fit(x)
    assert ours.inertia_ == pytest.approx(reference.inertia_, rel=1e-5)
    assert np.mean(ours.labels_ == reference.labels_) > 0.999
    np.testing.assert_allclose(ours.centroids_, reference.cluster_centers_, atol=2e-2)


def test_faiss_agrees_from_the_same_start() -> None:
    faiss = pytest.importorskip("faiss")
    x = blobs(4000, 32, 60, spread=3.0)
    init = starts(x, 50)
    reference = faiss.Kmeans(32, 50, niter=20, max_points_per_centroid=10**6, min_points_per_centroid=1)
    reference.train(x, init_centroids=init)
    ours = KMeans(50, init=init, max_iterations=20, tolerance=0).fit(x)
    assert ours.history_[ours.iterations_ - 1] == pytest.approx(reference.obj[ours.iterations_ - 1], rel=1e-4)


@pytest.mark.parametrize("fast", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_search_is_exact_whatever_the_first_precision(fast: torch.dtype, scale: float) -> None:
    x = blobs(5000, 48, 20, spread=2.0) * np.float32(scale) + np.float32(5 * scale)
    points = Points(x)
    points.fast, points._copy = fast, None
    centroids = points.rows(torch.arange(0, 5000, 4)[:1100])
    found = Searcher(points, centroids)()
    rows = points.rows(torch.arange(5000)).double().numpy()
    true = cdist(rows, centroids.double().numpy())
    np.testing.assert_array_equal(found.labels.numpy(), true.argmin(1))
    ordered = np.sort(true, axis=1)
    slack = 1e-6 * scale
    assert (found.upper.numpy() >= ordered[:, 0] - slack).all()
    assert (found.lower.numpy() <= ordered[:, 1] * (1 + 1e-6) + slack).all()


def test_bounds_are_tight_enough_to_skip_points() -> None:
    x = blobs(20000, 32, 50, spread=0.5)
    searched: list[int] = []
    original = Searcher.__call__

    def counted(self: Searcher, index: torch.Tensor | None = None) -> object:
        searched.append(self.points.n if index is None else len(index))
        return original(self, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Searcher, "__call__", counted)
        KMeans(50, init=starts(x, 50), max_iterations=12, tolerance=0).fit(x)
    assert min(searched[1:-1]) < 0.2 * len(x)


def test_momentum_reaches_no_worse_inertia_in_fewer_iterations() -> None:
    x = blobs(8000, 32, 10, spread=4.0)
    init = starts(x, 100)
    plain = KMeans(100, init=init, max_iterations=40, tolerance=0).fit(x)
    quick = KMeans(100, init=init, max_iterations=40, tolerance=5e-4).fit(x)
    assert quick.converged_
    assert quick.iterations_ < 30
    assert quick.inertia_ < 1.002 * plain.inertia_


def test_inertia_never_rises_without_momentum() -> None:
    x = blobs(3000, 16, 30, spread=3.0)
    history = np.array(KMeans(40, seed=3, max_iterations=30, tolerance=0).fit(x).history_)
    assert (np.diff(history) <= 1e-9 * history[0]).all()


def test_inertia_is_the_sum_of_squared_distances() -> None:
    x = blobs(2000, 16, 10) + np.float32(1000)
    model = KMeans(10, seed=2).fit(x)
    direct = ((x.astype(np.float64) - model.centroids_[model.labels_]) ** 2).sum()
    assert model.inertia_ == pytest.approx(direct, rel=1e-4)
    np.testing.assert_array_equal(model.predict(x), model.labels_)


@pytest.mark.parametrize("init", ["k-means++", "k-means||"])
def test_one_and_two_threads_give_the_same_bytes(init: str) -> None:
    x = blobs(3000, 64, 40, spread=3.0)
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(KMeans(40, init=init, seed=5, max_iterations=10).fit(x))  # type: ignore[arg-type]
    assert results[0].centroids_.tobytes() == results[1].centroids_.tobytes()
    assert results[0].labels_.tobytes() == results[1].labels_.tobytes()


def test_another_seed_gives_other_clusters() -> None:
    x = blobs(2000, 16, 30, spread=3.0)
    first, again, other = (KMeans(30, seed=s).fit(x).centroids_ for s in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("init", ["k-means++", "k-means||"])
def test_separate_blobs_are_found(init: str) -> None:
    x = blobs(4000, 24, 12, spread=0.1)
    model = KMeans(12, init=init, seed=0).fit(x)  # type: ignore[arg-type]
    assert model.inertia_ == pytest.approx(4000 * 24 * 0.01, rel=0.05)


def test_cosine_is_euclidean_on_unit_vectors() -> None:
    x = blobs(2000, 16, 8) * np.random.default_rng(0).uniform(0.1, 10, (2000, 1)).astype(np.float32)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    init = starts(unit, 8)
    model = KMeans(8, metric="cosine", init=init, max_iterations=30, tolerance=0).fit(x)
    np.testing.assert_allclose(np.linalg.norm(model.centroids_, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(model.labels_, (unit @ model.centroids_.T).argmax(1))
    for j in range(8):
        mean = unit[model.labels_ == j].mean(0)
        np.testing.assert_allclose(model.centroids_[j], mean / np.linalg.norm(mean), atol=1e-4)


def test_empty_clusters_take_far_points() -> None:
    x = blobs(500, 8, 5, spread=0.5)
    far = np.full((3, 8), 1e3, np.float32)
    init = np.concatenate([x[:5], far])
    model = KMeans(8, init=init, max_iterations=20, tolerance=0).fit(x)
    assert np.bincount(model.labels_, minlength=8).min() > 0
    again = KMeans(8, init=init, max_iterations=20, tolerance=0).fit(x)
    assert model.centroids_.tobytes() == again.centroids_.tobytes()


def test_constant_features_make_one_cluster_and_end() -> None:
    x = np.full((100, 4), 2.5, np.float32)
    model = KMeans(5, seed=0).fit(x)
    assert model.inertia_ == 0
    assert set(model.labels_) == {0}
    np.testing.assert_array_equal(model.centroids_, np.full((5, 4), 2.5))


def test_duplicates_fall_into_the_first_of_equal_centroids() -> None:
    x = np.repeat(np.eye(3, 6, dtype=np.float32), 50, axis=0)
    model = KMeans(5, seed=1).fit(x)
    assert model.inertia_ == pytest.approx(0, abs=1e-9)
    assert len(set(model.labels_)) == 3


def test_as_many_clusters_as_points() -> None:
    x = blobs(40, 8, 4)
    model = KMeans(40, seed=0).fit(x)
    assert model.inertia_ == pytest.approx(0, abs=1e-6)
    assert len(set(model.labels_)) == 40


def test_a_memory_map_gives_the_same(tmp_path: object) -> None:
    x = blobs(3000, 16, 10)
    np.save(f"{tmp_path}/x.npy", x)
    mapped = np.load(f"{tmp_path}/x.npy", mmap_mode="r")
    assert KMeans(10).fit(mapped).centroids_.tobytes() == KMeans(10).fit(x).centroids_.tobytes()


def test_assign_gives_distances() -> None:
    x = blobs(500, 8, 5)
    centroids = starts(x, 20)
    labels, distances = assign(x, centroids)
    true = cdist(x.astype(np.float64), centroids)
    np.testing.assert_array_equal(labels, true.argmin(1))
    np.testing.assert_allclose(distances, true.min(1), atol=1e-4)


@pytest.mark.parametrize(
    ("x", "k", "message"),
    [
        (np.ones((5, 3), np.float32), 6, "6 clusters cannot be made of 5 points"),
        (np.ones((5, 3), np.float32), 0, "at least 1"),
        (np.array([[0, 1], [np.nan, 2], [0, 0]], np.float32), 2, "NaN or infinite values, first in row 1"),
        (np.array([[0, 1], [1, 2], [np.inf, 0]], np.float32), 2, "first in row 2"),
        (np.ones((5, 0), np.float32), 2, "not shape"),
    ],
)
def test_bad_input_is_refused(x: np.ndarray, k: int, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        KMeans(k).fit(x)


def test_initial_centroids_must_fit() -> None:
    with pytest.raises(RequestError, match="do not fit 3 clusters"):
        KMeans(3, init=np.ones((2, 4), np.float32)).fit(np.ones((9, 4), np.float32))
    with pytest.raises(RequestError, match="do not fit centroids of 5"):
        assign(np.ones((9, 4), np.float32), np.ones((2, 5), np.float32))


@pytest.mark.slow
def test_large_inertia_is_within_1e_4_of_faiss() -> None:
    faiss = pytest.importorskip("faiss")
    torch.set_num_threads(2)
    faiss.omp_set_num_threads(2)
    x = np.random.default_rng(0).standard_normal((20_000, 512), dtype=np.float32)
    init = starts(x, 200)
    reference = faiss.Kmeans(512, 200, niter=20, max_points_per_centroid=10**6, min_points_per_centroid=1)
    reference.train(x, init_centroids=init)
    plain = KMeans(200, init=init, max_iterations=20, tolerance=0).fit(x)
    assert plain.history_[-1] == pytest.approx(reference.obj[-1], rel=1e-4)
    quick = KMeans(200, init=init).fit(x)
    assert quick.inertia_ < 1.001 * reference.obj[-1]
