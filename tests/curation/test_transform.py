from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skysift.curation.transform import Transform, prepared
from skysift.errors import RequestError


def data() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal((500, 6)) @ rng.standard_normal((6, 6)) * [1, 10, 100, 1, 1, 1] + 50).astype(np.float32)


def test_standardise_is_that_of_scikit_learn() -> None:
    transform = Transform.fit(data(), "standardise")
    assert transform is not None
    np.testing.assert_allclose(transform(data()), StandardScaler().fit_transform(data().astype(float)), atol=1e-4)


def test_whiten_is_that_of_scikit_learn() -> None:
    transform = Transform.fit(data(), "whiten", 3)
    assert transform is not None
    ours, theirs = transform(data()), PCA(3, whiten=True).fit_transform(data().astype(float))
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs) * np.sqrt(500 / 499), atol=2e-3)
    np.testing.assert_allclose(np.cov(ours.T, bias=True), np.eye(3), atol=1e-3)


def test_constant_directions_are_left_out() -> None:
    x = np.concatenate([data(), np.full((500, 2), 7, np.float32)], axis=1)
    standard, white = Transform.fit(x, "standardise"), Transform.fit(x, "whiten")
    assert standard is not None
    assert white is not None
    assert (standard(x)[:, 6:] == 0).all()
    assert white.dim == 6
    constant = Transform.fit(np.ones((9, 3), np.float32), "whiten")
    assert constant is not None
    assert (constant(np.ones((9, 3), np.float32)) == 0).all()


def test_prepared_features_come_from_the_disk(tmp_path: Path) -> None:
    x = data()
    assert prepared(x, None, tmp_path / "x.npy") is x
    transform = Transform.fit(x, "standardise")
    assert transform is not None
    result = prepared(x.astype(np.float16), transform, tmp_path / "x.npy")
    assert isinstance(result, np.memmap)
    np.testing.assert_array_equal(result, transform(x.astype(np.float16)))
    transform.save(tmp_path)
    again = Transform.open(tmp_path)
    assert again is not None
    np.testing.assert_array_equal(again.matrix, transform.matrix)
    assert Transform.open(tmp_path / "none") is None


def test_bad_input_is_refused() -> None:
    with pytest.raises(RequestError, match="at most 6"):
        Transform.fit(data(), "whiten", 7)
    x = data()
    x[3, 2] = np.nan
    with pytest.raises(RequestError, match="NaN"):
        Transform.fit(x, "standardise")
