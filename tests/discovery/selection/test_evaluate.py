"""Recall, precision and contamination against thresholds, written out once more."""

from __future__ import annotations

import numpy as np
import pytest

from skysift.discovery.selection.evaluate import at_crossing, crossing, curve, histogram_edges


def written_out(scores, kind):
    """One (threshold, selected, recall, precision, contamination) a threshold, by counting."""
    found = []
    for threshold in sorted(set(scores), reverse=True):
        chosen = [k for s, k in zip(scores, kind, strict=True) if s >= threshold]
        hits, dull = chosen.count(1), chosen.count(0)
        found.append((threshold, len(chosen), hits / list(kind).count(1), hits / len(chosen), dull / len(chosen)))
    return found


def test_a_curve_by_hand():
    #        score  kind: 1 interesting, 0 ordinary, 2 neither
    pairs = [(0.9, 1), (0.8, 2), (0.7, 1), (0.7, 0), (0.5, 1), (0.2, 0), (0.1, 1)]
    found = curve(*(np.array(column) for column in zip(*pairs, strict=True)))
    assert found.threshold.tolist() == [0.9, 0.8, 0.7, 0.5, 0.2, 0.1]
    assert found.selected.tolist() == [1, 2, 4, 5, 6, 7]
    assert found.recall.tolist() == [0.25, 0.25, 0.5, 0.75, 0.75, 1.0]
    assert found.precision.tolist() == [1.0, 0.5, 0.5, 0.6, 0.5, 4 / 7]
    assert found.contamination.tolist() == [0.0, 0.0, 0.25, 0.2, 2 / 6, 2 / 7]
    assert at_crossing(found) == 2


@pytest.mark.parametrize("decimals", [1, 6])
def test_a_curve_is_what_counting_gives(decimals):
    rng = np.random.default_rng(decimals)
    scores, kind = rng.random(200).round(decimals), rng.choice(3, 200, p=[0.6, 0.25, 0.15])
    found = curve(scores, kind)
    expected = np.array(written_out(scores.tolist(), kind.tolist()))
    got = np.column_stack([found.threshold, found.selected, found.recall, found.precision, found.contamination])
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_weights_are_repetitions():
    rng = np.random.default_rng(0)
    scores, kind, times = rng.random(80).round(1), rng.choice(3, 80), rng.integers(0, 4, 80)
    weighed, repeated = (
        curve(scores, kind, times.astype(float)),
        curve(np.repeat(scores, times), np.repeat(kind, times)),
    )
    for name in ("threshold", "selected", "recall", "precision", "contamination"):
        np.testing.assert_allclose(getattr(weighed, name), getattr(repeated, name), rtol=1e-12)


def test_without_anything_interesting_there_is_no_curve():
    assert not len(curve(np.arange(3.0), np.array([0, 2, 0])).threshold)


def test_at_the_crossing_as_many_are_selected_as_are_interesting():
    rng = np.random.default_rng(3)
    kind = rng.choice(3, 500, p=[0.6, 0.25, 0.15])
    scores = rng.random(500) + 0.4 * (kind == 1)
    found = crossing(scores, kind, np.arange(500), seed=0)
    order = np.argsort(-scores)[: (kind == 1).sum()]
    assert found.selected == len(order)
    assert found.recall == found.precision == pytest.approx((kind[order] == 1).mean())
    assert found.contamination == pytest.approx((kind[order] == 0).mean())
    assert found.threshold == scores[order[-1]]


def test_the_crossing_is_not_where_nothing_is_found():
    # recall and precision are equal, at 0, until the first interesting one comes
    found = crossing(np.array([5.0, 4, 3, 2, 1]), np.array([0, 0, 1, 0, 1]), np.arange(5), seed=0)
    assert (found.recall, found.precision, found.threshold) == (0.5, pytest.approx(1 / 3), 3.0)


def test_errors_shrink_with_the_number_and_grow_with_groups():
    rng = np.random.default_rng(4)

    def error(n, repeats):
        kind = rng.choice(3, n, p=[0.6, 0.25, 0.15])
        scores = rng.random(n) + 0.4 * (kind == 1)
        found = crossing(np.repeat(scores, repeats), np.repeat(kind, repeats), np.repeat(np.arange(n), repeats), seed=0)
        return found.precision_error, found.precision

    few, many = error(200, 1)[0], error(3200, 1)[0]
    assert few / many == pytest.approx(4, rel=0.35)
    # copies of the same cutouts teach nothing: the error of groups is not that of as many independent cutouts
    assert error(200, 16)[0] > 0.5 * few
    binomial = np.sqrt(0.5 * 0.5 / (0.25 * 3200))
    assert 0.5 * binomial < many < 2 * binomial


def test_a_perfect_ranking():
    kind = np.array([1, 1, 0, 2, 0, 0])
    found = crossing(np.arange(6)[::-1].astype(float), kind, np.arange(6), seed=0)
    assert (found.recall, found.precision, found.contamination, found.average_precision) == (1, 1, 0, 1)


def test_edges_hold_everything_also_where_all_is_equal():
    assert histogram_edges(np.array([0.2, 0.8]))[[0, -1]].tolist() == [0.2, 0.8]
    assert len(histogram_edges(np.full(4, 0.5))) == 31
