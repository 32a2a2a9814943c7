"""Snapshot noise and gain errors: what the uv points leave in an image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import fft

from skysift.sky.simulate import SurveyConfig, simulate_mosaic
from skysift.sky.simulate.beam import Beam
from skysift.sky.simulate.interferometer import residual, snapshots
from skysift.sky.simulate.noise import noise_field, padded

BEAM = Beam(3.0, 3.0, 0.0)


def random(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def test_snapshots_sample_a_scaled_array() -> None:
    sampling = snapshots(random(1), 3, BEAM)
    assert sampling.uv.shape == (3, 27 * 26 // 2, 2)
    assert sampling.weight.sum() == pytest.approx(1)
    longest = np.hypot(sampling.uv[..., 0], sampling.uv[..., 1]).max() * BEAM.major
    assert 0.8 < longest < 1.6  # cycles per beam
    wider = snapshots(random(1), 3, Beam(6.0, 6.0, 0.0))
    np.testing.assert_allclose(wider.uv * 2, sampling.uv)


def test_noise_has_the_dirty_beam_as_its_correlation() -> None:
    shape = (600, 600)
    full = padded(shape, BEAM)
    power = snapshots(random(5), 1, BEAM).power(full, BEAM)
    dirty = fft.irfft2(power, s=full)
    dirty /= dirty[0, 0]
    fields = [noise_field(random(seed), shape, BEAM, power=power).astype(float) for seed in range(4)]
    assert np.std(fields) == pytest.approx(1, abs=0.02)
    for dy, dx in ((0, 1), (1, 0), (2, 1), (0, 6), (7, 3), (12, 0)):
        found = np.mean([(f[dy:, dx:] * f[: 600 - dy, : 600 - dx]).mean() for f in fields]) / np.mean(np.square(fields))
        assert found == pytest.approx(dirty[dy, dx], abs=0.02)
    assert np.abs(dirty[20:200, 20:200]).max() > 0.05  # sidelobes, which a smooth beam has none of


def test_gain_errors_scatter_a_point_over_its_sidelobes() -> None:
    sampling = snapshots(random(2), 1, BEAM)
    shape = (216, 216)
    y, x = np.mgrid[:200, :200]
    image = np.exp(-4 * np.log(2) * ((x - 100) ** 2 + (y - 90) ** 2) / 9).astype(np.float32)
    wrong = residual(image, sampling.errors(random(3), shape, 0.03), BEAM, shape)
    # by hand: the mean over baselines of what the gains do to a point of 1 Jy, at the point itself
    drawn = random(3).standard_normal((2, 1, 27))
    gain = (1 + 0.03 * (drawn[0] + 1j * drawn[1]))[0]
    expected = np.mean((gain[sampling.first] * gain[sampling.second].conj() - 1).real)
    assert wrong[90, 100] == pytest.approx(expected, abs=2e-3)
    away = np.hypot(x - 100, y - 90) > 10
    assert 5e-4 < wrong[away].std() < 1e-2  # 3 % / sqrt(27) and less
    assert not residual(image, sampling.errors(random(3), shape, 0.0), BEAM, shape).any()
    doubled = residual(2 * image, sampling.errors(random(3), shape, 0.03), BEAM, shape)
    np.testing.assert_allclose(doubled, 2 * wrong, atol=1e-6)


def test_gain_errors_follow_the_source() -> None:
    sampling = snapshots(random(2), 2, BEAM)
    shape = (216, 216)
    errors = sampling.errors(random(3), shape, 0.05)
    image = np.zeros((200, 200), dtype=np.float32)
    y, x = np.mgrid[:200, :200]
    image += np.exp(-4 * np.log(2) * ((x - 100) ** 2 + (y - 100) ** 2) / 9).astype(np.float32)
    first, second = residual(image, errors, BEAM, shape), residual(np.roll(image, (7, -9), (0, 1)), errors, BEAM, shape)
    np.testing.assert_allclose(np.roll(first, (7, -9), (0, 1))[60:140, 60:140], second[60:140, 60:140], atol=2e-6)


def test_a_mosaic_with_snapshots_is_deterministic_and_keeps_its_masks() -> None:
    config = SurveyConfig.preset("tiny", seed=4, noise="snapshots", gain_error=0.02)
    first, second = simulate_mosaic(config, 0), simulate_mosaic(config, 0)
    np.testing.assert_array_equal(first.image, second.image)
    plain = simulate_mosaic(SurveyConfig.preset("tiny", seed=4), 0)
    np.testing.assert_array_equal(first.mask, plain.mask)
    assert np.nanstd(first.image / first.rms) > 0.9
