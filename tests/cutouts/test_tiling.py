"""Grids of windows against windows cut out and measured one by one."""

from __future__ import annotations

import numpy as np
import pytest

from skysift.cutouts.statistics import measure_images
from skysift.cutouts.tiling import measure_grid
from skysift.sky.windows import sliding_windows


@pytest.mark.parametrize("shape", [(300, 300), (256, 512), (131, 700), (128, 128)])
@pytest.mark.parametrize(("size", "overlap"), [(128, 0.5), (64, 0.75), (64, 0.25), (48, 0.0), (40, 0.9), (33, 0.5)])
def test_grid_equals_single_windows(shape: tuple[int, int], size: int, overlap: float) -> None:
    rng = np.random.default_rng([*shape, size])
    image = rng.standard_normal(shape).astype(np.float32)
    image[:60, :90] = np.nan
    image[100:140] *= 40
    mask = rng.random(shape) < 0.1
    windows = sliding_windows(shape, size, overlap)
    xs, ys = (np.unique(windows[:, i]).astype(np.int64) for i in (0, 1))
    found = measure_grid(image, xs, ys, size, mask)
    crops = [(slice(y, y + size), slice(x, x + size)) for x, y, _, _ in windows.tolist()]
    expected = measure_images([image[c] for c in crops], [mask[c] for c in crops])
    for name in ("valid_fraction", "median", "rms", "peak", "snr", "mask_fraction"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    for i in (0, len(crops) // 2, len(crops) - 1):
        finite = image[crops[i]][np.isfinite(image[crops[i]])]
        np.testing.assert_array_equal(found.median[i], np.median(finite) if finite.size else np.nan)
        assert found.mask_fraction is not None
        assert found.mask_fraction[i] == np.float32(mask[crops[i]].mean(dtype=np.float64))


def test_tiles_of_a_large_grid_fit_together() -> None:
    image = np.random.default_rng(0).standard_normal((1600, 2300)).astype(np.float32)
    windows = sliding_windows(image.shape, 32, 0.5)
    xs, ys = (np.unique(windows[:, i]).astype(np.int64) for i in (0, 1))
    found = measure_grid(image, xs, ys, 32)
    peaks = [image[y : y + 32, x : x + 32].max() for x, y, _, _ in windows.tolist()]
    np.testing.assert_array_equal(found.peak, np.float32(peaks))
