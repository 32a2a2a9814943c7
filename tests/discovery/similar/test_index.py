"""The search against faiss's flat index, and against sums written out."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from skysift.discovery.similar import Index
from skysift.discovery.similar.inverted import InvertedFile
from skysift.discovery.similar.scan import inverse_lengths, largest, products
from skysift.errors import RequestError, SkysiftError


def vectors(n: int, dim: int = 24, seed: int = 0) -> np.ndarray:
    """Overlapping groups, the same for every seed, of different lengths."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((40, dim))
    around = centres[rng.integers(0, 40, n)] + 0.5 * rng.standard_normal((n, dim))
    return (around * rng.uniform(0.2, 5, (n, 1))).astype(np.float32)


def flat(x: np.ndarray, queries: np.ndarray, k: int, *, cosine: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows and similarities by faiss."""
    x, queries = x.astype(np.float32).copy(), queries.copy()
    if cosine:
        faiss.normalize_L2(x)
        faiss.normalize_L2(queries)
    index = faiss.IndexFlatIP(x.shape[1])
    index.add(x)
    similarity, rows = index.search(queries, k)
    return rows, similarity


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("metric", ["cosine", "inner"])
def test_finds_what_faiss_finds(dtype: str, metric: str, tmp_path: Path) -> None:
    """Through a memory map, across several blocks of float16 and for one as for many queries."""
    np.save(tmp_path / "x.npy", vectors(3000).astype(dtype))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    queries = vectors(7, seed=1)
    index = Index.of(x, metric=metric)
    rows, similarity = index.query(queries, 20)
    expected_rows, expected = flat(x, queries, 20, cosine=metric == "cosine")
    assert rows.dtype == np.int64
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(similarity, expected, rtol=2e-5, atol=2e-6)
    for number, query in enumerate(queries):
        alone, _ = index.query(query, 20)
        np.testing.assert_array_equal(alone, rows[number])


def test_groups_of_queries_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    x = vectors(300)
    whole = Index.of(x).query(x[:50], 5)
    monkeypatch.setattr("skysift.discovery.similar.index.MOST_SCORES", 900)
    parts = Index.of(x).query(x[:50], 5)
    np.testing.assert_array_equal(whole[0], parts[0])


def test_equals_come_in_the_order_of_rows() -> None:
    x = np.zeros((60, 4), np.float32)
    x[::3, 0], x[1::3, 1] = 2.0, 1.0
    rows, similarity = Index.of(x).query([3, 0, 0, 0], 22)
    assert rows.tolist() == [*range(0, 60, 3), 1, 2]
    assert similarity.tolist() == [1.0] * 20 + [0.0] * 2  # rows of zeros are like nothing, not NaN
    assert Index.of(x).query([3, 0, 0, 0], 10)[0].tolist() == list(range(0, 30, 3))


def test_pieces_by_hand() -> None:
    x = np.array([[3, 4], [0, 0], [-1, 0]], np.float32)
    np.testing.assert_allclose(inverse_lengths(x), [0.2, 0, 1])
    np.testing.assert_array_equal(products(x, np.array([[1, 2], [1, 0]], np.float32)), [[11, 0, -1], [3, 0, -1]])
    assert largest(np.array([1, 5, 2, 5, 0], np.float32), 3).tolist() == [1, 3, 2]
    assert largest(np.array([1, 5], np.float32), 2).tolist() == [1, 0]


def test_more_than_there_are() -> None:
    rows, similarity = Index.of(vectors(5)).query(vectors(1)[0], 50)
    assert sorted(rows.tolist()) == list(range(5))
    assert (np.diff(similarity) <= 0).all()


@pytest.mark.parametrize(
    ("query", "k", "words"),
    [
        (np.zeros(7), 5, "same encoder"),
        (np.full(24, np.nan), 5, "NaN"),
        (np.zeros(24), 0, "at least 1"),
        (np.zeros((2, 2, 24)), 5, "same encoder"),
    ],
)
def test_bad_queries(query: np.ndarray, k: int, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        Index.of(vectors(30)).query(query, k)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (np.zeros((0, 5), np.float32), "N, D > 0"),
        (np.zeros((3, 5)), "float64"),
        (np.zeros(5, np.float32), "float32 or float16"),
        (np.array([[0, 1], [np.inf, 0]], np.float32), "row 1"),
    ],
)
def test_bad_tables(table: np.ndarray, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        Index.of(table)


def test_inverted_file_finds_nearly_all_in_a_few_lists() -> None:
    """8 of 64 lists; recall of the exact ten."""
    x, queries = vectors(20000), vectors(100, seed=3)
    exact, _ = Index.of(x).query(queries, 10)
    inverted = InvertedFile.train(x, inverse_lengths(x), lists=64, probes=8, seed=5)
    index = Index.of(x, inverted=inverted)
    found, similarity = index.query(queries, 10)
    assert not index.exact
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, exact, strict=True)])
    assert recall > 0.97
    # similarities are those of the features themselves, not of the rounded ones
    unit = x[found[0]] / np.linalg.norm(x[found[0]], axis=1, keepdims=True)
    np.testing.assert_allclose(similarity[0], unit @ queries[0] / np.linalg.norm(queries[0]), atol=2e-6)


def test_inverted_file_never_gives_too_few() -> None:
    x = vectors(500)
    index = Index.of(x, inverted=InvertedFile.train(x, inverse_lengths(x), lists=50, probes=1))
    rows, _ = index.query(x[0], 400)
    assert len(set(rows.tolist())) == 400


def test_inverted_file_is_reproducible(tmp_path: Path) -> None:
    x = vectors(3000)
    for name in ("a", "b"):
        InvertedFile.train(x, inverse_lengths(x), lists=20, seed=2).save(tmp_path / name)
    InvertedFile.train(x, inverse_lengths(x), lists=20, seed=3).save(tmp_path / "c")
    same, again, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert same == again
    assert same != other
    opened = Index.of(x, inverted=InvertedFile.open(tmp_path / "a"))
    made = Index.of(x, inverted=InvertedFile.train(x, inverse_lengths(x), lists=20, seed=2))
    np.testing.assert_array_equal(opened.query(x[:5], 8)[0], made.query(x[:5], 8)[0])


def test_which_search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("skysift.discovery.similar.index.EXACT_ROWS", 400)
    assert Index.of(vectors(400)).exact
    assert not Index.of(vectors(401)).exact
    assert Index.of(vectors(401), method="exact").exact
    (tmp_path / "bad").write_bytes(b"no index")
    with pytest.raises(SkysiftError, match="verify"):
        InvertedFile.open(tmp_path / "bad")
