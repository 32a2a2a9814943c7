from __future__ import annotations

import numpy as np

from skysift.curation.points import Points
from skysift.curation.seeding import parallel, plus_plus
from tests.curation.conftest import blobs


def test_plus_plus_has_the_distribution_of_one_at_a_time() -> None:
    x = np.array([[0.0], [1.0], [3.0], [7.0]], np.float32)
    points = Points(x)
    rng = np.random.default_rng(0)
    trials = 800
    seen: dict[tuple[int, ...], int] = {}
    for _ in range(trials):
        triple = tuple(plus_plus(points, 3, rng).tolist())
        seen[triple] = seen.get(triple, 0) + 1
    squares = (x - x.T) ** 2
    for i in range(4):
        for j in range(4):
            for k in range(4):
                if len({i, j, k}) < 3:
                    continue
                second = squares[i, j] / squares[i].sum()
                both = np.minimum(squares[i], squares[j])
                expected = 0.25 * second * both[k] / both.sum() * trials
                assert abs(seen.get((i, j, k), 0) - expected) < 5 * np.sqrt(expected + 1)


def test_blocks_of_candidates_have_that_distribution_too() -> None:
    """The mean potential after many centres equals that of drawing one at a time."""
    x = blobs(600, 4, 30, spread=0.5)
    points = Points(x)

    def one_at_a_time(rng: np.random.Generator) -> float:
        nearest = ((x - x[rng.integers(len(x))]) ** 2).sum(1)
        for _ in range(59):
            new = rng.choice(len(x), p=nearest / nearest.sum())
            nearest = np.minimum(nearest, ((x - x[new]) ** 2).sum(1))
        return float(nearest.sum())

    def ours(rng: np.random.Generator) -> float:
        chosen = x[plus_plus(points, 60, rng).numpy()]
        return float(((x[:, None] - chosen) ** 2).sum(2).min(1).sum())

    a = np.array([one_at_a_time(np.random.default_rng(s)) for s in range(40)])
    b = np.array([ours(np.random.default_rng(s)) for s in range(40)])
    error = np.hypot(a.std(), b.std()) / np.sqrt(40)
    assert abs(a.mean() - b.mean()) < 4 * error


def test_weights_count() -> None:
    points = Points(np.arange(6, dtype=np.float32)[:, None])
    weights = np.array([0, 0, 1, 1, 0, 1.0])
    for seed in range(20):
        chosen = plus_plus(points, 3, np.random.default_rng(seed), weights)
        assert set(chosen.tolist()) == {2, 3, 5}


def test_rows_are_distinct_even_where_points_coincide() -> None:
    points = Points(np.repeat(np.eye(2, dtype=np.float32), 20, axis=0))
    for choose in (plus_plus, parallel):
        chosen = choose(points, 10, np.random.default_rng(0)).tolist()
        assert len(set(chosen)) == 10
        assert len({c // 20 for c in chosen}) == 2


def test_parallel_is_nearly_as_good_as_plus_plus() -> None:
    x = blobs(3000, 16, 40, spread=0.5)
    points = Points(x)

    def potential(choose: object) -> float:
        return float(
            np.mean(
                [
                    ((x[:, None] - x[choose(points, 40, np.random.default_rng(s)).numpy()]) ** 2).sum(2).min(1).sum()  # type: ignore[operator]
                    for s in range(3)
                ]
            )
        )

    assert potential(parallel) < 1.3 * potential(plus_plus)
