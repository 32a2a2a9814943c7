from __future__ import annotations

import numpy as np

from skysift.discovery.ranking import ensemble_of, normalised_ranks, places, rank_average, size_groups


def test_ranks_are_from_0_to_1_and_equal_values_share_theirs() -> None:
    np.testing.assert_allclose(normalised_ranks(np.array([10.0, -3, 5, 5, 7])), [1, 0, 0.375, 0.375, 0.75])
    np.testing.assert_array_equal(normalised_ranks(np.full(4, 2.0)), 0.5)
    np.testing.assert_array_equal(normalised_ranks(np.array([3.0])), 0.5)
    assert normalised_ranks(np.empty(0)).shape == (0,)


def test_cutouts_without_a_score_come_last() -> None:
    np.testing.assert_allclose(normalised_ranks(np.array([1.0, np.nan, 2, 3])), [0, 0, 0.5, 1])
    np.testing.assert_array_equal(normalised_ranks(np.full(3, np.nan)), 0)


def test_rank_average_is_the_mean_of_ranks() -> None:
    first, second = np.array([1.0, 2, 3]), np.array([100.0, 1, 1000])
    np.testing.assert_allclose(rank_average([first, second]), [0.25, 0.25, 1.0])


def test_sizes_are_ranked_apart_where_there_are_enough() -> None:
    sides = np.array([64] * 60 + [128] * 55 + list(range(200, 250)))
    windows = np.stack([np.zeros(165), np.zeros(165), sides, sides], axis=1).astype(np.int64)
    groups = size_groups(windows)
    assert [rows.tolist() for rows in groups] == [list(range(60)), list(range(60, 115)), list(range(115, 165))]
    few = size_groups(windows[:130])
    assert [len(rows) for rows in few] == [75, 55], "fifteen boxes join the commonest size"
    assert sorted(np.concatenate(few).tolist()) == list(range(130))
    assert [len(rows) for rows in size_groups(windows[115:125])] == [10]


def test_the_first_of_each_size_share_the_top_and_the_mean_decides() -> None:
    scores = {"a": np.array([0.0, 0.5, 1.0, 0.0, 1.0]), "b": np.array([0.0, 1.0, 0.5, 0.0, 1.0])}
    ensemble, mean = ensemble_of(scores, [np.array([0, 1, 2]), np.array([3, 4])])
    np.testing.assert_allclose(mean, [0, 0.75, 0.75, 0, 1])
    np.testing.assert_allclose(ensemble, [0, 0.75, 0.75, 0, 1])
    ids = np.array(["e", "d", "c", "b", "a"])
    assert places(ensemble, mean, ids).tolist() == [5, 3, 2, 4, 1]
