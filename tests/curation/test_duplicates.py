from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skysift.curation.duplicates import cosine_duplicates, pixel_overlaps, ranking, sky_overlaps, thin


def brute(windows: np.ndarray, image: np.ndarray, fraction: float) -> dict[tuple[int, int], float]:
    found = {}
    for i in range(len(windows)):
        for j in range(i + 1, len(windows)):
            if image[i] != image[j]:
                continue
            a, b = windows[i], windows[j]
            across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
            up = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
            share = max(across, 0) * max(up, 0) / min(a[2] * a[3], b[2] * b[3])
            if share > fraction + 1e-9:
                found[i, j] = share
    return found


@given(st.integers(0, 100), st.sampled_from([0.0, 0.25, 0.5, 0.75]))
@settings(max_examples=25, deadline=None)
def test_overlaps_are_those_of_brute_force(seed: int, fraction: float) -> None:
    rng = np.random.default_rng(seed)
    windows = np.concatenate([rng.integers(-20, 200, (60, 2)), rng.choice([16, 32, 64], (60, 2))], axis=1).astype(
        np.int64
    )
    image = rng.integers(0, 3, 60)
    first, second, share = pixel_overlaps(windows, image, fraction)
    expected = brute(windows, image, fraction)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == set(expected)
    np.testing.assert_allclose(share, [expected[p] for p in zip(first.tolist(), second.tolist(), strict=True)])


def test_half_overlapping_windows_share_no_more_than_half() -> None:
    grid = np.stack(np.meshgrid(np.arange(0, 320, 32), np.arange(0, 320, 32)), axis=-1).reshape(-1, 2)
    windows = np.concatenate([grid, np.full_like(grid, 64)], axis=1)
    image = np.zeros(len(windows), np.int64)
    assert len(pixel_overlaps(windows, image, 0.5)[0]) == 0
    assert len(pixel_overlaps(windows, image, 0.49)[0]) == 2 * 9 * 10


@pytest.mark.parametrize("ra", [10.0, 359.999, 0.0])
@pytest.mark.parametrize("dec", [0.0, -60.0])
def test_sky_overlap_of_two_surveys(ra: float, dec: float) -> None:
    side = 0.05
    shift = 0.25 * side / np.cos(np.radians(dec))
    lon = np.array([ra, (ra + shift) % 360, ra, np.nan])
    lat = np.array([dec, dec, dec + 0.5 * side, dec])
    size = np.full((4, 2), side)
    image = np.array([0, 1, 2, 3])
    first, second, share = sky_overlaps(lon, lat, size, image, 0.3)
    found = {(i, j): s for i, j, s in zip(first.tolist(), second.tolist(), share, strict=True)}
    assert set(found) == {(0, 1), (0, 2), (1, 2)}
    assert found[0, 1] == pytest.approx(0.75, rel=1e-3)
    assert found[0, 2] == pytest.approx(0.5, rel=1e-3)
    assert found[1, 2] == pytest.approx(0.375, rel=1e-3)
    assert len(sky_overlaps(lon, lat, size, np.zeros(4, np.int64), 0.3)[0]) == 0


def test_of_a_pair_the_stronger_stays() -> None:
    chain = (np.array([0, 1, 2]), np.array([1, 2, 3]), np.array([0.9, 0.8, 0.7]))
    removed = thin(chain, np.array([5.0, 9.0, 6.0, 4.0]))
    assert removed.rows.tolist() == [0, 2]
    assert removed.kept.tolist() == [1, 1]
    assert removed.likeness.tolist() == [0.9, 0.8]
    assert thin(chain, np.full(4, np.nan)).rows.tolist() == [1, 3]


def test_ranking_puts_unknown_last_and_ties_by_row() -> None:
    assert ranking(np.array([1.0, np.nan, 3.0, 3.0])).tolist() == [2, 3, 0, 1]


@given(st.integers(0, 200))
@settings(max_examples=30, deadline=None)
def test_after_thinning_no_pair_is_left_and_nothing_falls_without_cause(seed: int) -> None:
    rng = np.random.default_rng(seed)
    windows = np.concatenate([rng.integers(0, 200, (80, 2)), np.full((80, 2), 48)], axis=1).astype(np.int64)
    snr = rng.integers(0, 10, 80).astype(float)
    pairs = pixel_overlaps(windows, np.zeros(80, np.int64), 0.4)
    removed = thin(pairs, snr)
    out = np.zeros(80, bool)
    out[removed.rows] = True
    first, second, _ = pairs
    assert not (~out[first] & ~out[second]).any()
    assert not out[removed.kept].any()
    assert (snr[removed.kept] >= snr[removed.rows]).all()
    order = rng.permutation(len(first))
    shuffled = thin((second[order], first[order], pairs[2][order]), snr)
    np.testing.assert_array_equal(shuffled.rows, removed.rows)
    np.testing.assert_array_equal(shuffled.kept, removed.kept)


def test_cosine_duplicates_are_sought_inside_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    base = rng.standard_normal((40, 16)).astype(np.float32)
    x = np.concatenate([base, base[:10] * 3 + 1e-4, base[:5]])
    leaf = np.r_[np.arange(40) % 4, np.arange(10) % 4, np.full(5, 9)].astype(np.int32)
    snr = np.r_[np.full(40, 5.0), np.full(5, 9.0), np.full(5, 1.0), np.full(5, 99.0)]
    expected = ({40 + i: i for i in range(5, 10)} | {i: 40 + i for i in range(5)}).items()
    for block in (1024, 3):
        monkeypatch.setattr("skysift.curation.duplicates.BLOCK", block)
        removed = cosine_duplicates(x, leaf, np.arange(55), snr, 0.999)
        assert dict(zip(removed.rows.tolist(), removed.kept.tolist(), strict=True)).items() == expected
        assert (removed.likeness > 0.999).all()


def test_zero_features_resemble_nothing() -> None:
    x = np.zeros((5, 3), np.float32)
    assert len(cosine_duplicates(x, np.zeros(5, np.int32), np.arange(5), np.ones(5), 0.5).rows) == 0
