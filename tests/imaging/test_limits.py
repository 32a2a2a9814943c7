"""Sigma clipping and zscale against astropy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.stats import sigma_clip
from astropy.visualization import ZScaleInterval
from numpy.typing import NDArray

from skysift.imaging import SigmaClip
from skysift.imaging.clipping import Row
from skysift.imaging.pixels import Pixels, learn_by_row, learn_by_sorting
from tests.imaging.conftest import KINDS, radio_image


def astropy_clip(image: NDArray[np.float32], low: float, high: float, iterations: int) -> tuple[float, float]:
    values = image[np.isfinite(image)].astype(np.float64)
    _, a, b = sigma_clip(
        values, sigma_lower=low, sigma_upper=high, maxiters=iterations, masked=False, return_bounds=True
    )
    return float(a), float(b)


def compare(images: NDArray[np.float32], low: float, high: float, iterations: int = 5) -> None:
    clip = SigmaClip(low=low, high=high, iterations=iterations)
    for look in (learn_by_row, learn_by_sorting):
        pixels = look(torch.from_numpy(images), [clip])
        found = [pixels.extent, pixels.clipped[clip], pixels.zscale.limits(0.25), pixels.zscale.limits(0.40)]
        for row, image in enumerate(images):
            values = image[np.isfinite(image)].astype(np.float64)
            expected = [(values.min(), values.max()), astropy_clip(image, low, high, iterations)]
            expected += [ZScaleInterval(contrast=contrast).get_limits(values) for contrast in (0.25, 0.40)]
            ours = [[float(limit[row]) for limit in pair] for pair in found]
            np.testing.assert_allclose(ours, expected, rtol=1e-7, atol=1e-7 * np.abs(values).max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("low", "high"), [(5.0, 30.0), (2.0, 3.0), (3.0, 3.0)])
def test_equal_to_astropy(kind: str, low: float, high: float) -> None:
    compare(np.stack([radio_image(kind, seed) for seed in range(4)]), low, high)


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_iterations_end_where_astropys_do(iterations: int) -> None:
    compare(np.stack([radio_image("whole", seed) for seed in range(4)]), 1.5, 1.5, iterations)


def test_kinds_in_one_batch_do_not_disturb_each_other() -> None:
    compare(np.stack([radio_image(kind, 7) for kind in KINDS]), 5.0, 30.0)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 31, 33, 200])
def test_all_sizes(size: int) -> None:
    rng = np.random.default_rng(size)
    compare(rng.normal(size=(3, size, size)).astype(np.float32), 5.0, 30.0)


def test_ties_and_lopsided_images() -> None:
    rng = np.random.default_rng(8)
    counts = rng.poisson(3.0, (150, 150))
    mostly_zero = np.where(rng.random((150, 150)) < 0.8, 0, rng.normal(size=(150, 150)))
    steep = rng.pareto(0.7, (150, 150))
    far_from_zero = 1e4 + rng.normal(size=(150, 150))
    images = np.stack([counts, mostly_zero, steep, far_from_zero]).astype(np.float32)
    compare(images, 5.0, 30.0)
    compare(images, 2.0, 2.0, 5)


def test_many_bright_pixels() -> None:
    """The bounds move far inside of where a sample of the pixels says that few are."""
    rng = np.random.default_rng(9)
    noise = rng.normal(size=(300, 300))
    extended = noise + np.where(rng.random(noise.shape) < 0.06, 40.0, 0.0)
    faint_half = np.where(np.arange(300) < 140, 0.01 * noise, noise)
    dynamic = noise + np.where(rng.random(noise.shape) < 1e-3, 1e6 * rng.random(noise.shape), 0.0)
    images = np.stack([extended, -extended, faint_half, dynamic, -dynamic]).astype(np.float32)
    for low, high in ((5.0, 30.0), (3.0, 3.0), (1.5, 2.0)):
        compare(images, low, high)


@pytest.mark.parametrize("unit", [1e-26, 1e25])
def test_units_do_not_matter(unit: float) -> None:
    """Squares of pixels in W m-2 Hz-1 are no float32."""
    images = np.stack([radio_image("whole", seed) for seed in range(2)])
    compare(np.float32(unit) * images, 5.0, 30.0)


@pytest.mark.parametrize("look", [learn_by_row, learn_by_sorting])
def test_bounds_that_leave_nothing_are_the_last(look: Callable[..., Pixels]) -> None:
    clip = SigmaClip(low=0.1, high=0.1)
    image = torch.tensor([[[0.0, 0.0], [1.0, 1.0]]])
    low, high = (limit[0] for limit in look(image, [clip]).clipped[clip])
    _, *expected = sigma_clip(
        image.numpy(), sigma_lower=0.1, sigma_upper=0.1, maxiters=1, masked=False, return_bounds=True
    )
    assert (low, high) == pytest.approx(expected)


@pytest.mark.parametrize("number", [1, 2, 100, 4095, 4096, 5000, 40_000])
@pytest.mark.parametrize("levels", [3, 1000, 10**6])
def test_ranks_are_those_of_a_sort(number: int, levels: int) -> None:
    values = np.random.default_rng([number, levels]).integers(0, levels, number).astype(np.float32)
    expected = np.sort(values)
    for rank in {0, number // 10, number // 2, number - 1}:
        assert Row(values).at(rank) == expected[rank]


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["first", "aegean/1904-66_SIN.fits", "ami/AMI_SWIFT_554620.fits"])
def test_equal_to_astropy_on_observations(data_dir: Path, name: str) -> None:
    path = data_dir / name
    files = sorted(path.glob("*.fits.gz"))[:12] if path.is_dir() else [path]
    for file in files:
        data = np.squeeze(fits.getdata(file)).astype(np.float32)
        side = 128
        windows = [data[y : y + side, x : x + side] for y in (0, 120) for x in (0, 120)]
        kept = [w for w in windows if np.isfinite(w).any() and w.shape == (side, side)]
        compare(np.stack(kept), 5.0, 30.0)
