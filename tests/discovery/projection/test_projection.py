"""Places on a plane against scikit-learn, and new cutouts beside those that they resemble."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.decomposition import PCA

from skysift.cutouts.catalogue import Catalogue
from skysift.discovery.projection import PrincipalComponents, Project, Projection
from skysift.discovery.projection.components import unit_rows
from skysift.discovery.projection.projection import sample_rows
from skysift.errors import RequestError, SkysiftError
from skysift.store.stage import Stage
from skysift.store.store import Store
from tests.discovery.made import catalogue_of

GROUPS = 4


def groups(n: int, dim: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of four groups far apart, and the group of each row."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((GROUPS, dim)) * 8
    kind = np.arange(n) % GROUPS
    return (centres[kind] + rng.standard_normal((n, dim))).astype(np.float32), kind


class Made(Stage):
    """Features of groups."""

    kind: ClassVar[str] = "features"
    n: int = 200

    def run(self, context: Any) -> dict[str, Any]:
        x, _ = groups(self.n)
        np.save(context.folder / "features.npy", x)
        description = {"dim": x.shape[1], "rows": self.n, "dtype": "float32", "encoder": "made"}
        (context.folder / "features.json").write_text(json.dumps(description))
        catalogue_of(self.n).write(context.folder)
        return {"rows": self.n}


def test_components_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """In chunks, with the signs fixed by the largest coefficient."""
    monkeypatch.setattr("skysift.discovery.projection.components.ROWS", 37)
    x, _ = groups(150)
    oracle = PCA(5, svd_solver="full").fit(x.astype(np.float64))
    ours = PrincipalComponents.fit(x, 5)
    signs = np.sign(oracle.components_[np.arange(5), np.abs(oracle.components_).argmax(1)])
    np.testing.assert_allclose(ours.axes.T, oracle.components_ * signs[:, None], atol=1e-8)
    np.testing.assert_allclose(ours.shares, oracle.explained_variance_ratio_, rtol=1e-9)
    np.testing.assert_allclose(ours(x), oracle.transform(x.astype(np.float64)) * signs, atol=1e-8)


def test_unit_rows() -> None:
    np.testing.assert_allclose(unit_rows(np.array([[3, 4], [0, 0]])), [[0.6, 0.8], [0, 0]])
    x, _ = groups(60)
    np.testing.assert_allclose(
        PrincipalComponents.fit(x, 3, unit=True).axes, PrincipalComponents.fit(unit_rows(x), 3).axes, atol=1e-12
    )


def test_sample() -> None:
    assert sample_rows(5, 10, 0).tolist() == [0, 1, 2, 3, 4]
    rows = sample_rows(1000, 100, 1)
    assert len(set(rows.tolist())) == 100
    assert (np.diff(rows) > 0).all()
    assert not np.array_equal(rows, sample_rows(1000, 100, 2))


def test_pca_artifact(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    features = store.run(Made())
    made = store.run(Project(features=features.id, method="pca"))
    places = np.load(made.path("projection.npy"))
    x, _ = groups(200)
    assert places.dtype == np.float32
    np.testing.assert_allclose(places, PrincipalComponents.fit(x, 2)(x), atol=1e-5)
    np.testing.assert_array_equal(Projection.open(made).transform(x[5:8]), places[5:8])
    assert Catalogue.open(made).column("cutout_id").tolist() == Catalogue.open(features).column("cutout_id").tolist()


@pytest.mark.slow  # numba compiles UMAP
def test_umap_artifact(tmp_path: Path) -> None:
    """Groups stay apart; new cutouts go to their own group; bytes are equal; a sample is enough."""
    x, kind = groups(200)
    new, new_kind = groups(40, seed=7)
    digests = []
    for name in ("a", "b"):
        store = Store(tmp_path / name)
        features = store.run(Made())
        made = store.run(Project(features=features.id, neighbours=8))
        digests.append({n: f for n, f in made.manifest["files"].items() if n != "catalogue.parquet"})
    assert digests[0] == digests[1]
    sampled = store.run(Project(features=features.id, neighbours=8, fit_rows=80))
    assert sampled.counts == {"rows": 200, "fitted": 80}
    other = store.run(Project(features=features.id, neighbours=8, seed=1))
    assert other.manifest["files"]["projection.npy"] != made.manifest["files"]["projection.npy"]
    for artifact in (made, sampled):
        places = np.load(artifact.path("projection.npy"))
        centres = np.stack([places[kind == k].mean(0) for k in range(GROUPS)])
        apart = min(np.linalg.norm(a - b) for i, a in enumerate(centres) for b in centres[:i])
        spread = max(np.linalg.norm(places[kind == k] - centres[k], axis=1).max() for k in range(GROUPS))
        assert spread < apart / 2
        placed = Projection.open(artifact).transform(new)
        assert np.linalg.norm(placed - centres[new_kind], axis=1).max() < spread
        nearest = np.linalg.norm(x[:, None] - new, axis=2).argmin(0)
        beside = np.linalg.norm(placed - places[nearest], axis=1)
        assert np.median(beside) < 0.15 * apart
        # alone as in company
        np.testing.assert_allclose(Projection.open(artifact).transform(new[3:4])[0], placed[3], atol=1e-5)


@pytest.mark.slow
def test_equal_points_and_cosine() -> None:
    """Rows that differ by their length alone are one for the cosine; features all alike don't fail."""
    x, _ = groups(60)
    stage = Project(features="0" * 32, metric="cosine", neighbours=5)
    projection = Projection.fit(x, stage)
    np.testing.assert_allclose(projection.transform(x[:4] * 7), projection.transform(x[:4]), atol=1e-3)
    alike = Projection.fit(np.ones((30, 4), np.float32), Project(features="0" * 32, neighbours=5))
    assert np.isfinite(alike.transform(np.ones((2, 4), np.float32))).all()


def test_bad_requests(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    few = store.run(Made(n=12))
    with pytest.raises(RequestError, match="give at least 16"):
        store.run(Project(features=few.id))
    with pytest.raises(ValidationError, match="raise fit_rows"):
        Project(features="0" * 32, neighbours=20, fit_rows=20)
    projection = Projection.fit(groups(50)[0], Project(features="0" * 32, method="pca"))
    with pytest.raises(RequestError, match="with the encoder"):
        projection.transform(np.zeros((3, 5), np.float32))
    with pytest.raises(RequestError, match="NaN"):
        projection.transform(np.full((3, 12), np.nan, np.float32))
    with pytest.raises(RequestError, match="skysift project"):
        Projection.open(few)
    (tmp_path / "projection.json").write_text("{")
    with pytest.raises(SkysiftError, match="damaged"):
        Projection.open(tmp_path)
