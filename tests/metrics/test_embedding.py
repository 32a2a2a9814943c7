"""Embedding scores, against direct formulas and lightly."""

import numpy as np
import pytest
import torch

from skysift.metrics import alignment, embedding, embedding_std, rankme, uniformity, vendi_score

FUNCTIONS = [rankme, vendi_score, embedding_std, uniformity]


@pytest.fixture
def rows():
    rng = np.random.default_rng(3)
    return rng.normal(size=(300, 24)) @ np.diag(np.geomspace(5, 0.05, 24)) + 0.3


@pytest.mark.parametrize("transposed", [False, True])
def test_rankme_equals_the_svd(rows, transposed):
    z = rows.T if transposed else rows
    singular = np.linalg.svd(z, compute_uv=False)
    p = singular / singular.sum() + 1e-7
    assert rankme(z) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-6)


def test_rankme_ends():
    assert rankme(np.eye(8)) == pytest.approx(8, rel=1e-4)
    assert rankme(np.ones((50, 8))) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("n", [12, 300])
def test_vendi_equals_the_kernel(rows, n):
    z = rows[:n]
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(unit @ unit.T / n)
    values = values[values > 1e-14]
    assert vendi_score(z) == pytest.approx(np.exp(-(values * np.log(values)).sum()), rel=1e-9)


def test_vendi_counts_different_rows():
    assert vendi_score(np.repeat(np.eye(5), 7, axis=0)) == pytest.approx(5)
    assert vendi_score(np.ones((9, 4))) == pytest.approx(1)


@pytest.mark.filterwarnings("ignore")
def test_embedding_std_equals_lightly(rows):
    from skysift.encoders import _torchvision

    _torchvision.ensure()
    from lightly.utils.debug import std_of_l2_normalized

    z = torch.tensor(rows, dtype=torch.float64)
    assert embedding_std(z) == pytest.approx(float(std_of_l2_normalized(z)), rel=1e-12)
    assert embedding_std(np.ones((10, 4))) == pytest.approx(0, abs=1e-15)


def test_embedding_std_equals_numpy(rows):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert embedding_std(rows) == pytest.approx(unit.std(axis=0, ddof=1).mean(), rel=1e-12)


def test_alignment_and_uniformity_as_published(rows):
    x = torch.nn.functional.normalize(torch.tensor(rows), dim=1)
    y = torch.nn.functional.normalize(torch.tensor(rows[::-1].copy()), dim=1)
    for alpha in (1.0, 2.0):
        expected = (x - y).norm(dim=1).pow(alpha).mean().item()
        assert alignment(rows, rows[::-1], alpha=alpha) == pytest.approx(expected, rel=1e-12)
    expected = torch.pdist(x).pow(2).mul(-2).exp().mean().log().item()
    assert uniformity(rows) == pytest.approx(expected, rel=1e-10)
    assert uniformity(np.ones((5, 3))) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_chunks_and_kinds_of_array_change_nothing(rows, function, monkeypatch, tmp_path):
    expected = function(rows)
    np.save(tmp_path / "rows.npy", rows)
    monkeypatch.setattr(embedding, "CHUNK_ROWS", 37)
    monkeypatch.setattr(embedding, "PAIR_ROWS", 41)
    assert function(np.load(tmp_path / "rows.npy", mmap_mode="r")) == pytest.approx(expected, rel=1e-10)
    assert function(torch.tensor(rows, requires_grad=True)) == pytest.approx(expected, rel=1e-10)
    assert function(torch.tensor(rows).bfloat16()) == pytest.approx(expected, rel=2e-2)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_bad_embeddings(function):
    for bad in (np.zeros((0, 3)), np.zeros(3)):
        with pytest.raises(ValueError, match="non-empty array"):
            function(bad)
    with pytest.raises(ValueError, match="not finite"):
        function(np.array([[1.0, np.nan], [0.0, 1.0]]))


def test_degenerate_embeddings():
    with pytest.raises(ValueError, match="all embeddings are zero"):
        rankme(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="all embeddings are zero"):
        vendi_score(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="at least two"):
        embedding_std(np.ones((1, 3)))
    with pytest.raises(ValueError, match="at least two"):
        uniformity(np.ones((1, 3)))
    with pytest.raises(ValueError, match="different shapes"):
        alignment(np.ones((4, 3)), np.ones((5, 3)))
