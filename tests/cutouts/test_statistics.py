"""Statistics of cutouts against NumPy and astropy, to the last bit of float32."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from astropy.stats import mad_std
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skysift.cutouts import selection
from skysift.cutouts.selection import median_and_mad
from skysift.cutouts.statistics import measure_blocks, measure_images


def oracle(values: np.ndarray) -> tuple[float, float, float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, np.nan, np.nan, np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return finite.size / values.size, np.nanmedian(finite), mad_std(finite), np.nanmax(finite)


def grid_members(ny: int, nx: int, parts: int) -> np.ndarray:
    """Windows of parts x parts blocks at every position of a grid of ny x nx blocks."""
    y, x = np.mgrid[: ny - parts + 1, : nx - parts + 1]
    offset = np.arange(parts)
    rows = (y[..., None, None] + offset[:, None]) * nx + x[..., None, None] + offset
    return rows.reshape(y.size, parts * parts)


def scenes() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    noise = rng.standard_normal((64, 1024)).astype(np.float32)
    bright = noise.copy()
    bright[9] += 1e4 * rng.random(1024, dtype=np.float32)
    holes = noise.copy()
    holes[:6] = np.nan
    holes[20, 10:] = np.inf
    holes[21, :900] = -np.inf
    ramp = noise * np.geomspace(1e-3, 30, 64, dtype=np.float32)[:, None]
    sources = noise.copy()
    sources.ravel()[rng.integers(0, noise.size, 500)] = 1e6
    return {
        "noise": noise,
        "tiny": noise * np.float32(1e-38),
        "huge": noise * np.float32(1e37),
        "offset": noise * np.float32(1e-3) + np.float32(1000),
        "bright block": bright,
        "holes": holes,
        "noise rises": ramp,
        "point sources": sources,
        "few values": np.round(noise),
        "mostly zero": np.maximum(noise - 1, 0),
        "constant": np.full_like(noise, 0.1),
        "empty": np.full_like(noise, np.nan),
        "exponential": np.exp(5 * noise),
    }


@pytest.fixture(autouse=True)
def _always_bin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tests too shall go through the bins."""
    monkeypatch.setattr(selection, "_LITTLE_PIXELS", 0)


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("name", list(scenes()))
def test_windows_of_blocks_equal_numpy_and_astropy(name: str, parts: int) -> None:
    blocks = scenes()[name]
    members = grid_members(8, 8, parts)
    found = measure_blocks(blocks, members)
    expected = np.array([oracle(blocks[m]) for m in members], np.float32)
    np.testing.assert_array_equal(found.valid_fraction, expected[:, 0])
    np.testing.assert_array_equal(found.median, expected[:, 1])
    np.testing.assert_array_equal(found.rms, expected[:, 2])
    np.testing.assert_array_equal(found.peak, expected[:, 3])
    with np.errstate(all="ignore"):
        snr = (expected[:, 3] - expected[:, 1]) / expected[:, 2]
    np.testing.assert_array_equal(found.snr, np.where(expected[:, 2] > 0, snr, np.nan))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 200)),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True)
        | st.sampled_from([0.0, 1.0, -1.0, 1e-3])
        | st.floats(-1, 1, width=32),
    )
)
def test_any_pixels(images: np.ndarray) -> None:
    found = measure_images(images[:, None, :])
    for i, image in enumerate(images):
        finite = image[np.isfinite(image)]
        assert found.valid_fraction[i] == np.float32(finite.size / image.size)
        if finite.size:
            with np.errstate(over="ignore", invalid="ignore"):
                median = np.median(finite)
                rms = np.median(np.abs(finite - median)) * np.float32(1.482602218505602)
            np.testing.assert_array_equal(found.median[i], median)
            np.testing.assert_array_equal(found.rms[i], rms)
            assert found.peak[i] == finite.max()


def test_little_and_much_work_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = scenes()["holes"]
    members = grid_members(8, 8, 2)
    binned = median_and_mad(blocks, np.isfinite(blocks), members)
    monkeypatch.setattr(selection, "_LITTLE_PIXELS", 1 << 40)
    for a, b in zip(binned, median_and_mad(blocks, np.isfinite(blocks), members), strict=True):
        np.testing.assert_array_equal(a, b)


def test_images_of_different_sizes_keep_their_order() -> None:
    rng = np.random.default_rng(1)
    images = [rng.standard_normal(shape).astype(np.float32) for shape in [(5, 7), (30, 2), (5, 7), (1, 1), (64, 64)]]
    masks = [image > 0 for image in images]
    found = measure_images(images, masks)
    for i, image in enumerate(images):
        assert found.median[i] == np.median(image)
        assert found.peak[i] == image.max()
        assert found.mask_fraction is not None
        assert found.mask_fraction[i] == np.float32(masks[i].mean())
    assert np.isnan(found.snr[3])  # one pixel has no noise


def test_constant_window_has_no_signal_to_noise() -> None:
    found = measure_images(np.ones((1, 8, 8), np.float32))
    assert (found.median[0], found.rms[0], found.peak[0]) == (1, 0, 1)
    assert np.isnan(found.snr[0])


def test_mask_fraction_counts_the_masked_pixels_of_all_blocks() -> None:
    blocks = np.zeros((4, 10), np.float32)
    masks = np.zeros((4, 10), bool)
    masks[0, :5] = masks[3, :] = True
    found = measure_blocks(blocks, np.array([[0, 1], [0, 3]]), masks)
    np.testing.assert_array_equal(found.mask_fraction, np.float32([0.25, 0.75]))


def test_no_windows_and_no_pixels() -> None:
    assert len(measure_blocks(np.zeros((3, 4), np.float32), np.empty((0, 2), np.int64))) == 0
    median, mad = median_and_mad(np.empty((2, 0), np.float32), None, np.array([[0], [1]]))
    assert np.isnan(median).all()
    assert np.isnan(mad).all()
    assert len(measure_images([])) == 0
