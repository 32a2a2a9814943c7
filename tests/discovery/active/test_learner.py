"""The learner, on points whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from skysift.discovery.active import ACQUISITIONS, Learner
from skysift.discovery.active.acquisition import alpha_of, astronomaly, expected_improvement
from skysift.discovery.active.space import nearest_distance, principal_space
from skysift.errors import RequestError


@pytest.fixture(scope="module")
def clumps() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, static scores and clumps 0 (dull), 1 (loved), 2 (broken) of 300 cutouts."""
    rng = np.random.default_rng(3)
    clump = np.repeat([0, 1, 2], [200, 50, 50])
    centres = rng.normal(size=(3, 12)) * 3
    return centres[clump] + rng.normal(size=(300, 12)), rng.random(300), clump


def test_without_ratings_the_order_is_static(clumps) -> None:
    features, scores, _ = clumps
    learner = Learner(features, scores)
    for kind in ACQUISITIONS:
        assert learner.order(kind).tolist() == np.argsort(-scores, kind="stable").tolist()
    with pytest.raises(RequestError, match="Nothing was scored"):
        learner.predicted()


@pytest.mark.parametrize("kind", ACQUISITIONS)
def test_what_is_liked_comes_first_and_artefacts_last(clumps, kind) -> None:
    features, scores, clump = clumps
    taught = [0, 1, 2, 3, 200, 201, 202]
    # the formula of Lochner & Bassett multiplies by the static score, which is equal here: opinion alone decides
    scores = np.ones(300) if kind == "astronomaly" else scores
    learner = Learner(features, scores).fit(taught, [0, 0, 0, 0, 5, 5, 5], artefact_rows=[250, 251, 252])
    order = learner.order(kind, 0.0)
    assert (clump[order[:30]] == 1).mean() >= 0.9
    assert sorted(order[-10:].tolist()) == sorted([*taught, 250, 251, 252])
    broken = learner.artefact_probability()
    assert broken[clump == 2].mean() > 4 * broken[clump != 2].mean()
    again = Learner(features, scores).fit(taught[::-1], [5, 5, 5, 0, 0, 0, 0], artefact_rows=[252, 250, 251])
    assert again.order(kind, 0.0).tolist() == order.tolist()


def test_liked_cutouts_come_before_dull_ones_that_are_a_little_more_unusual(clumps) -> None:
    features, scores, _ = clumps
    learner = Learner(features, scores).fit([0, 1, 2, 3, 200, 201, 202], [0, 0, 0, 0, 5, 5, 5])
    place = np.argsort(learner.order("astronomaly", 0.0))
    share = learner.raw[None, 203:250] / learner.raw[4:200, None]
    close = (share > 0.9) & (share < 1)
    sooner = place[None, 203:250] < place[4:200, None]
    assert close.sum() > 100
    assert sooner[close].all()


def test_the_formula_of_lochner_and_bassett() -> None:
    raw, predicted, distance = np.array([0.8, 0.8, 0.2]), np.array([0.0, 5.0, 2.5]), np.array([0.0, 0.0, 3.0])
    expected = [0.8 * 0.1, 0.8 * 0.95, 0.2 * np.tanh(np.exp(2 * 3.0) - 1 + np.arctanh(0.525))]
    np.testing.assert_allclose(astronomaly(raw, predicted, distance, alpha=2.0), expected, rtol=1e-12)
    assert alpha_of(0) == 0
    assert alpha_of(0.5) == pytest.approx(1)
    assert np.isfinite(astronomaly(raw, predicted, distance, alpha=alpha_of(1))).all()


def test_expected_improvement_is_the_mean_of_what_exceeds_the_target() -> None:
    draws = np.random.default_rng(0).normal(1.0, 2.0, 400_000)
    found = expected_improvement(np.array([1.0, 3.0]), np.array([2.0, 0.0]), target=2.0)
    assert found[0] == pytest.approx(np.clip(draws - 2.0, 0, None).mean(), rel=0.01)
    assert found[1] == 1.0


def test_the_space_keeps_distances_and_neighbours_are_the_nearest(clumps) -> None:
    features, _, _ = clumps
    space = principal_space(features, 12, 0).astype(float)
    scaled = (features - features.mean(0)) / features.std(0)
    full = np.linalg.norm(scaled[:5, None] - scaled[None], axis=-1) / np.sqrt(12)
    np.testing.assert_allclose(np.linalg.norm(space[:5, None] - space[None], axis=-1), full, atol=1e-4)
    found = nearest_distance(space.astype(np.float32), np.array([0, 1, 2]))
    np.testing.assert_allclose(found, full[:3].min(0), atol=1e-3)


@pytest.mark.parametrize(
    ("rows", "scores", "broken", "message"),
    [
        ([0, 0], [1, 2], [], "rated twice"),
        ([0], [6], [], "outside 0 to 5"),
        ([300], [1], [], "there are 300 rows"),
        ([0, 1], [1], [], "give one for each"),
        ([0], [1], [-1], "there are 300 rows"),
    ],
)
def test_ratings_that_make_no_sense_are_refused(clumps, rows, scores, broken, message) -> None:
    learner = Learner(clumps[0], clumps[1])
    with pytest.raises(RequestError, match=message):
        learner.fit(rows, scores, broken)


def test_bad_requests(clumps) -> None:
    features, scores, _ = clumps
    learner = Learner(features, scores)
    with pytest.raises(RequestError, match=r"explore is 1\.5"):
        learner.acquisition(explore=1.5)
    with pytest.raises(RequestError, match="no acquisition 'best'"):
        learner.acquisition("best")
    with pytest.raises(RequestError, match="as many finite scores"):
        Learner(features, scores[:-1])
    with pytest.raises(RequestError, match="not finite"):
        Learner(np.full((4, 2), np.nan), np.ones(4))
