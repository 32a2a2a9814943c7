"""Agreement between people, against scikit-learn and Fleiss' own example."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from skysift.discovery.ledger import Ledger, Rating, agreement, cohen_kappa, fleiss_kappa
from skysift.errors import RequestError


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
@pytest.mark.parametrize("seed", range(3))
def test_cohen_equals_scikit_learn(weights: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 6, 80)
    second = np.clip(first + rng.integers(-1, 2, 80), 0, 5)
    expected = cohen_kappa_score(first, second, labels=range(6), weights=None if weights == "none" else weights)
    assert cohen_kappa(first.tolist(), second.tolist(), weights) == pytest.approx(expected, abs=1e-12)


def test_weights_count_the_difference_of_scores_where_some_were_never_given() -> None:
    # o: 2 of 4 differ by 5; e: shares (1/2, 1/2) both, half the pairs differ by 5
    assert cohen_kappa([0, 0, 5, 5], [0, 5, 5, 0], "quadratic") == pytest.approx(0.0)
    assert cohen_kappa([0, 3, 5], [0, 5, 5], "linear") == pytest.approx(1 - (2 / 3) / (1 / 9 * (0 + 5 * 2 + 3 + 4 + 5)))


def test_fleiss_own_example() -> None:
    """Fleiss 1971: ten things, fourteen raters, five values: kappa 0.21."""
    counts = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    table = np.array(counts, dtype=float)
    mean_agreement = ((table**2).sum(1) - 14).sum() / (10 * 14 * 13)
    chance = ((table.sum(0) / 140) ** 2).sum()
    assert mean_agreement == pytest.approx(0.378, abs=5e-4)
    assert chance == pytest.approx(0.213, abs=5e-4)
    assert fleiss_kappa(counts) == pytest.approx(0.20993, abs=5e-6)


def test_where_it_is_undefined() -> None:
    assert math.isnan(cohen_kappa([], []))
    assert math.isnan(cohen_kappa(["boring"] * 3, ["boring"] * 3))
    assert math.isnan(fleiss_kappa([]))
    assert math.isnan(fleiss_kappa([[3, 0], [2, 0]]))
    assert cohen_kappa(["a", "b"], ["a", "b"]) == fleiss_kappa([[2, 0], [0, 2]]) == 1
    with pytest.raises(ValueError, match="fewer than two"):
        fleiss_kappa([[1, 0]])
    with pytest.raises(ValueError, match="shorter"):
        cohen_kappa([1], [])


def test_of_a_ledger(tmp_path) -> None:
    said = {
        "ann": ["interesting", "boring", "artefact", "boring"],
        "bob": ["interesting", "boring", "boring", None],
        "cyd": ["interesting", None, "artefact", None],
    }
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.add_many(
            Rating(cutout_id=f"{i:016x}", user=user, judgement=judgement)
            for user, judgements in said.items()
            for i, judgement in enumerate(judgements)
            if judgement
        )
        ledger.add(Rating(cutout_id="0" * 16, user="cyd", comment="a comment is no judgement"))
        found = agreement(ledger.current())
        with pytest.raises(RequestError, match="no order"):
            agreement(ledger.current(), "judgement", "linear")
        assert agreement(ledger.current(), "score").pairs == ()
    pairs = {(pair.first, pair.second): pair for pair in found.pairs}
    assert {key: pair.shared for key, pair in pairs.items()} == {
        ("ann", "bob"): 3,
        ("ann", "cyd"): 2,
        ("bob", "cyd"): 2,
    }
    assert pairs["ann", "bob"].same == pytest.approx(2 / 3)
    assert pairs["ann", "bob"].kappa == pytest.approx(
        cohen_kappa_score(["interesting", "boring", "artefact"], ["interesting", "boring", "boring"])
    )
    assert found.cutouts == 3
    # values artefact, boring, interesting: P = (1 + 1 + 1/3) / 3, p = (2, 3, 3) / 8
    assert found.fleiss == pytest.approx((7 / 9 - 22 / 64) / (1 - 22 / 64))
