"""Order and seeds are functions of (seed, epoch, cutout, view)."""

from __future__ import annotations

import numpy as np
import pytest

from skysift.ssl import plan


def splitmix64(state: int) -> int:
    """The reference algorithm in Python integers."""
    mask = 2**64 - 1
    mixed = (state + 0x9E3779B97F4A7C15) & mask
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & mask
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
    return mixed ^ (mixed >> 31)


def test_seeds_equal_the_written_out_mix() -> None:
    rows = np.array([0, 1, 178_056, 3_000_000_000])
    seeds = plan.augment_seeds(rows, seed=7, epoch=3, view=1)
    for row, seed in zip(rows.tolist(), seeds.tolist(), strict=True):
        state = 0
        for word in (plan.AUGMENT_STREAM, 7, 3, 1, row):
            state = splitmix64(state ^ word)
        assert seed == state >> 1


def test_a_seed_depends_on_the_cutout_and_not_on_its_batch() -> None:
    rows = np.arange(1000)
    seeds = plan.augment_seeds(rows, seed=0, epoch=0, view=0)
    shuffled = np.random.Generator(np.random.PCG64(1)).permutation(rows)
    np.testing.assert_array_equal(plan.augment_seeds(shuffled, seed=0, epoch=0, view=0), seeds[shuffled])


def test_seeds_differ_between_cutouts_views_epochs_and_runs() -> None:
    rows = np.arange(5000)
    parts = [
        plan.augment_seeds(rows, seed=seed, epoch=epoch, view=view)
        for seed in (0, 1)
        for epoch in (0, 1)
        for view in (0, 1)
    ]
    seeds = np.concatenate(parts)
    assert len(np.unique(seeds)) == len(seeds)
    assert seeds.min() >= 0
    assert np.mean(seeds / 2.0**63) == pytest.approx(0.5, abs=0.01)


def test_order_is_a_permutation_that_changes_with_epoch_and_seed() -> None:
    orders = [plan.epoch_order(100, seed=seed, epoch=epoch) for seed, epoch in [(0, 0), (0, 0), (0, 1), (1, 0)]]
    np.testing.assert_array_equal(np.sort(orders[0]), np.arange(100))
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()
    assert (orders[0] != orders[3]).any()


def test_whole_batches_only() -> None:
    assert plan.steps_per_epoch(1000, 128) == 7
    assert plan.steps_per_epoch(127, 128) == 0
