"""Islands, components and peaks against scenes made by hand, photutils and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from photutils.segmentation import detect_sources

from skysift.errors import RequestError
from skysift.sky import (
    count_components_peaks,
    find_islands,
    inspect_mosaic,
    locate_sources,
    open_mosaic,
    read_sources,
)
from skysift.sky.islands import _prominent_maxima, noise


def scene(*sources: tuple[float, float, float, float], shape=(60, 80)) -> np.ndarray:
    """Round Gaussians: x, y, peak, sigma."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return sum(p * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * s**2)) for a, b, p, s in sources) + np.zeros(shape)


def test_two_sources_by_hand():
    image = scene((20, 30, 10.0, 2.0), (60, 10, 20.0, 3.0))
    islands = find_islands(image, 1.0, background=0.0)
    assert len(islands) == 2
    order = np.argsort(islands.peak)
    assert_allclose(islands.peak[order], [10, 20], rtol=1e-6)
    assert islands.peak_x[order].tolist() == [20, 60]
    assert islands.peak_y[order].tolist() == [30, 10]
    assert_allclose(islands.snr, islands.peak)
    for number, (x, y, w, h) in enumerate(islands.boxes.tolist(), 1):
        rows, columns = np.nonzero(islands.labels == number)
        assert (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1) == (x, y, w, h)
        assert islands.pixels[number - 1] == len(rows)
        assert islands.total[number - 1] == pytest.approx(image[islands.labels == number].sum())
    assert_array_equal(islands.labels > 0, image > 5)


def test_labels_equal_photutils():
    image = np.random.default_rng(4).normal(size=(120, 90))
    image[:10, :20] = np.nan
    for connectivity in (4, 8):
        islands = find_islands(image, 1.0, threshold=1.5, background=0.0, n_pixels=4, connectivity=connectivity)
        truth = detect_sources(image, 1.5, 4, connectivity=connectivity, mask=np.isnan(image))
        assert_array_equal(islands.labels, truth.data)
        assert_array_equal(islands.pixels, truth.areas)


def test_noise_is_the_median_and_the_scaled_mad():
    image = np.random.default_rng(0).normal(3.0, 2.0, size=(200, 200))
    image[:50] = np.nan
    median, rms = noise(image)
    assert median == pytest.approx(3.0, abs=0.05)
    assert rms == pytest.approx(2.0, rel=0.02)
    assert np.isnan(noise(np.full((3, 3), np.nan))).all()
    image[100:110, 100:110] += 60
    assert len(find_islands(image)) == 1


def test_two_thresholds_and_sizes():
    image = scene((20, 30, 4.0, 2.0), (60, 10, 20.0, 3.0), (40, 50, 30.0, 0.3))
    assert len(find_islands(image, 1.0, threshold=3.0, background=0.0, n_pixels=1)) == 3
    assert len(find_islands(image, 1.0, threshold=3.0, background=0.0)) == 2
    kept = find_islands(image, 1.0, threshold=3.0, seed=5.0, background=0.0)
    assert kept.peak_x.tolist() == [60]
    assert kept.labels.max() == 1
    local = np.where(np.arange(80) > 50, 10.0, 1.0) + np.zeros((60, 80))
    assert find_islands(image, local, threshold=3.0, background=0.0).peak_x.tolist() == [20]


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan, np.inf])
def test_images_without_islands(value):
    islands = find_islands(np.full((9, 9), value))
    assert len(islands) == 0
    assert islands.boxes.shape == (0, 4)
    assert not islands.labels.any()
    assert count_components_peaks(np.full((1, 1), value)) == (0, 0)


def test_bad_requests():
    with pytest.raises(RequestError, match=r"shape \(3,\)"):
        find_islands(np.zeros(3))
    for options in ({"threshold": 0.0}, {"n_pixels": 0}):
        with pytest.raises(RequestError, match="must be above 0"):
            find_islands(np.zeros((3, 3)), **options)


@pytest.mark.parametrize(
    ("sources", "want"),
    [
        ([(40, 30, 20.0, 3.0)], (1, 1)),
        ([(35, 30, 20.0, 3.0), (46, 30, 15.0, 3.0)], (1, 2)),
        ([(32, 30, 20.0, 3.0), (40, 30, 15.0, 2.0), (48, 30, 20.0, 3.0)], (1, 3)),
        ([(20, 30, 20.0, 3.0), (60, 30, 15.0, 3.0)], (2, 2)),
        ([(20, 30, 20.0, 3.0), (55, 30, 15.0, 3.0), (66, 30, 15.0, 3.0)], (2, 3)),
        ([(15, 30, 20.0, 3.0), (40, 30, 12.0, 2.0), (65, 30, 20.0, 3.0)], (3, 3)),
        ([(40, 30, 20.0, 3.0), (43, 30, 10.0, 3.0)], (1, 1)),  # blended
        ([], (0, 0)),
    ],
)
def test_classes_of_components_and_peaks(sources, want):
    assert count_components_peaks(scene(*sources), 1.0, background=0.0) == want


def test_noise_on_a_plateau_is_no_peak():
    rng = np.random.default_rng(1)
    plateau = 20 * (scene((40, 30, 1.0, 12.0)) > 0.3) + rng.normal(0, 0.3, (60, 80))
    assert count_components_peaks(plateau, 1.0, background=0.0) == (1, 1)
    assert count_components_peaks(plateau, 1.0, background=0.0, prominence=0.5)[1] > 3


@given(st.integers(0, 10**6), st.floats(0.1, 3))
@settings(deadline=None, max_examples=30)
def test_prominence_equals_flooding(seed, prominence):
    """Against labelling the image anew at each maximum's level less the prominence."""
    from scipy import ndimage

    values = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(14, 17)), 1.0) * 6
    eight = np.ones((3, 3))
    tops = np.argwhere(values == ndimage.maximum_filter(values, 3))
    count = 0
    for y, x in tops:
        hill = ndimage.label(values > values[y, x] - prominence, eight)[0]
        count += values[hill == hill[y, x]].max() == values[y, x]
    assert _prominent_maxima(values, prominence) == count


@pytest.mark.realdata
def test_islands_hold_the_sources_of_another_finder(data_dir):
    """Aegean's threshold follows the local noise, ours here the map's: compare where both see a source."""
    info = inspect_mosaic(str(data_dir / "aegean" / "1904-66_SIN.fits"))
    with open_mosaic(info) as mosaic:
        image = mosaic.read(0, 192, 0, 192)
    islands = find_islands(image, threshold=5.0)
    listed = read_sources(str(data_dir / "aegean" / "1904_comp.fits"))
    found = locate_sources(listed, info)
    median, rms = noise(image)
    x, y = np.rint(found.x).astype(int), np.rint(found.y).astype(int)
    clear = [np.isfinite(image[b - 2 : b + 3, a - 2 : a + 3]).all() for a, b in zip(x, y, strict=True)]
    bright = clear & (listed.column("peak").to_numpy()[found.rows] > median + 8 * rms)
    assert bright.sum() == 25
    assert (islands.labels[y, x] > 0)[bright].all()
