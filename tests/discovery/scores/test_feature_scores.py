from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest as Forest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from skysift.discovery.scores import KNN, LOF, IsolationForest
from skysift.discovery.scores import base as base_module
from skysift.discovery.scores.base import reference_rows
from skysift.errors import RequestError

X = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
X[17] += 9


def test_isolation_forest_is_scikit_learns() -> None:
    wanted = -Forest(n_estimators=50, max_samples=60, random_state=3).fit(X).score_samples(X)
    found = IsolationForest(trees=50, max_samples=0.2, seed=3).of_features(X)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert found.argmax() == 17
    assert ((found > 0) & (found <= 1)).all()


@pytest.mark.parametrize("of", ["mean", "kth"])
def test_knn_is_the_exact_distance_to_others(of: str) -> None:
    distance = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(X).kneighbors()[0]
    wanted = distance.mean(1) if of == "mean" else distance[:, -1]
    found = KNN(5, of).of_features(X)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert found.argmax() == 17


def test_knn_far_from_the_origin_loses_no_digits() -> None:
    wanted = NearestNeighbors(n_neighbors=3).fit(X.astype(np.float64)).kneighbors()[0].mean(1)
    np.testing.assert_allclose(KNN(3).of_features(X + np.float32(500)), wanted, rtol=1e-3)


def test_equal_cutouts_have_neighbours_at_distance_0() -> None:
    x = np.repeat(X[:40], 4, axis=0)
    np.testing.assert_array_equal(KNN(3).of_features(x), 0)


def test_lof_is_scikit_learns() -> None:
    wanted = -LocalOutlierFactor(n_neighbors=12).fit(X).negative_outlier_factor_
    found = LOF(12).of_features(X)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert found.argmax() == 17


def test_above_the_limit_neighbours_come_from_a_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    limited = lambda rows, seed: base_module.reference_rows(rows, seed, 100)  # noqa: E731
    monkeypatch.setattr("skysift.discovery.scores.knn.reference_rows", limited)
    monkeypatch.setattr("skysift.discovery.scores.lof.reference_rows", limited)
    rows = reference_rows(300, 0, 100)
    assert len(set(rows)) == 100
    assert (np.diff(rows) > 0).all()
    distance = np.linalg.norm(X[:, None] - X[rows], axis=2).astype(np.float64)
    distance[rows, np.arange(100)] = np.inf
    np.testing.assert_allclose(KNN(4).of_features(X), np.sort(distance, axis=1)[:, :4].mean(1), rtol=1e-5)
    model = LocalOutlierFactor(n_neighbors=10, novelty=True).fit(X[rows])
    rest = np.setdiff1d(np.arange(300), rows)
    found = LOF(10).of_features(X)
    np.testing.assert_allclose(found[rest], -model.score_samples(X[rest]), rtol=1e-5)
    np.testing.assert_allclose(found[rows], -model.negative_outlier_factor_, rtol=1e-5)


@pytest.mark.parametrize(("score", "text"), [(KNN(5), "--neighbours"), (LOF(5), "--lof-neighbours")])
def test_fewer_cutouts_than_neighbours_are_refused(score: KNN | LOF, text: str) -> None:
    with pytest.raises(RequestError, match=text):
        score.of_features(X[:5])
    assert len(score.of_features(X[:6])) == 6


def test_a_forest_of_one_cutout_is_refused() -> None:
    with pytest.raises(RequestError, match="at least two cutouts"):
        IsolationForest().of_features(X[:1])


@pytest.mark.parametrize("score", [KNN(), LOF(), IsolationForest(20)])
def test_constant_features_give_everyone_the_same(score: KNN | LOF | IsolationForest) -> None:
    found = score.of_features(np.full((60, 4), 3.0, np.float32))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, found[0], rtol=1e-9)


@pytest.mark.parametrize("score", [KNN(), LOF(), IsolationForest(20)])
def test_every_row_is_counted_once(score: KNN | LOF | IsolationForest) -> None:
    seen: list[int] = []
    score.of_features(X, seen.append)
    assert sum(seen) == len(X)
