"""Augmentation: oracles for each step, independence of each sample, no emission where there is no data."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import ndimage

from skysift.encoders._torchvision import ensure
from skysift.errors import RequestError
from skysift.imaging import Augment, augment, augmentation, two_views
from skysift.imaging.augment_options import PRESETS
from skysift.imaging.colour import jitter, turn_hue
from skysift.imaging.draws import uniforms
from skysift.imaging.filters import blur, threshold
from skysift.imaging.geometry import crop_resize, dihedral

B, S = 12, 24


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(B, 3, S, S, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def whole() -> torch.Tensor:
    return torch.ones(B, 1, S, S, dtype=torch.bool)


def test_draws_are_splitmix64() -> None:
    def reference(seed: int, n: int) -> list[float]:
        mask = (1 << 64) - 1

        def mix(x: int) -> int:
            x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
            x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
            return x ^ (x >> 31)

        start = mix(seed & mask)
        return [(mix((start + (i + 1) * 0x9E3779B97F4A7C15) & mask) >> 40) / 2**24 for i in range(n)]

    seeds = [0, 1, -1, 2**62, -(2**63), 123456789]
    np.testing.assert_array_equal(uniforms(torch.tensor(seeds), 5).numpy(), [reference(s, 5) for s in seeds])


def test_draws_are_uniform_and_independent() -> None:
    u = uniforms(torch.arange(100_000), 4).double().numpy()
    assert np.abs(u.mean(0) - 0.5).max() < 0.005
    assert np.abs(u.var(0) - 1 / 12).max() < 0.001
    assert np.abs(np.corrcoef(u.T) - np.eye(4)).max() < 0.02
    assert np.abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < 0.02


def test_colours_are_torchvisions(images: torch.Tensor, whole: torch.Tensor) -> None:
    ensure()
    from torchvision.transforms import functional as F

    factor = torch.linspace(0.5, 1.5, B)
    for name, reference, tolerance in (
        ("brightness", F.adjust_brightness, 1e-6),
        ("contrast", F.adjust_contrast, 2e-4),  # torchvision's weights of the colours add up to 0.9999
        ("saturation", F.adjust_saturation, 2e-4),
    ):
        ours = jitter(images, whole, **{name: factor})
        for i in range(B):
            torch.testing.assert_close(ours[i], reference(images[i], float(factor[i])), atol=tolerance, rtol=0)
    turn = torch.linspace(-0.5, 0.5, B)
    ours = turn_hue(images, turn)
    for i in range(B):
        torch.testing.assert_close(ours[i], F.adjust_hue(images[i], float(turn[i])), atol=2e-6, rtol=0)


def test_contrast_and_saturation_as_written_out(images: torch.Tensor, whole: torch.Tensor) -> None:
    factor = torch.linspace(0.3, 1.8, B)
    pixels, f = images.double().numpy(), factor.double().numpy()[:, None, None, None]
    grey = np.einsum("bchw,c->bhw", pixels, [0.299, 0.587, 0.114])[:, None]
    for name, about in (("contrast", grey.mean((2, 3), keepdims=True)), ("saturation", grey)):
        expected = np.clip(f * pixels + (1 - f) * about, 0, 1)
        np.testing.assert_allclose(jitter(images, whole, **{name: factor}).numpy(), expected, atol=1e-6)


def test_grey_images_keep_their_grey_when_the_hue_turns() -> None:
    grey = torch.rand(2, 1, 5, 5).expand(2, 3, 5, 5)
    torch.testing.assert_close(turn_hue(grey, torch.tensor([0.2, -0.3])), grey)


def test_contrast_is_about_the_mean_of_valid_pixels() -> None:
    image = torch.zeros(1, 1, 4, 4)
    image[..., :2] = 0.4
    valid = image > 0
    torch.testing.assert_close(jitter(image, valid, contrast=torch.tensor([1.7])), image)


def test_blur_is_scipys(images: torch.Tensor, whole: torch.Tensor) -> None:
    whole[1::2, :, :5] = False
    sigma = torch.linspace(0.4, 3, B)
    ours = blur(images, whole, sigma)
    for made, image, seen, width in zip(ours.numpy(), images.numpy(), whole.numpy(), sigma.tolist(), strict=True):

        def smooth(x: np.ndarray, width: float = width) -> np.ndarray:
            return ndimage.gaussian_filter(
                x.astype(np.float64), width, axes=(1, 2), mode="mirror", radius=math.floor(3 * width + 1e-6)
            )

        expected = np.where(seen, smooth(image * seen) / np.maximum(smooth(seen), 1e-9), 0)
        np.testing.assert_allclose(made, expected, atol=1e-6)


def test_blur_has_its_own_width_in_each_image(images: torch.Tensor, whole: torch.Tensor) -> None:
    sigma = torch.linspace(1, 3, B)
    together = blur(images, whole, sigma)
    alone = blur(images[4:5], whole[4:5], sigma[4:5])
    torch.testing.assert_close(together[4:5], alone, atol=1e-6, rtol=0)


def test_threshold_is_numpys_percentile(images: torch.Tensor, whole: torch.Tensor) -> None:
    whole[:, :, :5] = False
    share = torch.rand(B, 3, generator=torch.Generator().manual_seed(1))
    ours = threshold(images, whole, share)
    for i in range(B):
        for c in range(3):
            level = np.percentile(images[i, c][whole[i, 0]].numpy().astype(np.float64), 100 * float(share[i, c]))
            expected = np.where(images[i, c].numpy() < level, 0, images[i, c].numpy())
            np.testing.assert_array_equal(ours[i, c].numpy(), expected)


def test_flips_and_turns_are_exact(images: torch.Tensor, whole: torch.Tensor) -> None:
    horizontal = torch.tensor([i % 2 == 1 for i in range(B)])
    vertical = torch.tensor([i % 3 == 1 for i in range(B)])
    quarter = torch.tensor([i % 4 for i in range(B)])
    whole[..., :7, :3] = False
    ours, seen = dihedral(images, whole, horizontal, vertical, quarter)
    for i in range(B):
        image, mask = images[i].numpy(), whole[i].numpy()
        for flag, axis in ((horizontal[i], 2), (vertical[i], 1)):
            if flag:
                image, mask = np.flip(image, axis), np.flip(mask, axis)
        np.testing.assert_array_equal(ours[i].numpy(), np.rot90(image, int(quarter[i]), (1, 2)))
        np.testing.assert_array_equal(seen[i].numpy(), np.rot90(mask, int(quarter[i]), (1, 2)))


def test_crop_of_everything_changes_nothing(images: torch.Tensor, whole: torch.Tensor) -> None:
    u = torch.rand(B)
    ours, _ = crop_resize(images, whole, torch.ones(B), u, u)
    torch.testing.assert_close(ours, images, atol=2e-6, rtol=0)


def test_crop_takes_the_part_it_says(whole: torch.Tensor) -> None:
    ramp = torch.arange(S, dtype=torch.float32).expand(B, 3, S, S).contiguous()
    side = torch.full((B,), 0.5)
    left, _ = crop_resize(ramp, whole, side, torch.zeros(B), torch.zeros(B))
    right, _ = crop_resize(ramp, whole, side, torch.ones(B), torch.zeros(B))
    expected = (torch.arange(S) + 0.5) * 0.5 - 0.5
    torch.testing.assert_close(left[0, 0, 5], expected.clamp_min(0), atol=1e-5, rtol=0)
    torch.testing.assert_close(right[0, 0, 5], (expected + S / 2).clamp_max(S - 1), atol=1e-5, rtol=0)


def test_quarter_turns_by_angle_are_those_by_moving_pixels(images: torch.Tensor, whole: torch.Tensor) -> None:
    one, half = torch.ones(B), torch.full((B,), 0.5)
    for quarter in range(4):
        ours, kept = crop_resize(images, whole, one, half, half, one * quarter * torch.pi / 2)
        torch.testing.assert_close(ours, images.rot90(quarter, (2, 3)), atol=1e-4, rtol=0)
        assert kept.all()


def test_a_turned_crop_has_no_data_beyond_the_image() -> None:
    """The corners of a square turned by 45 degrees: outside are 3 - 2 sqrt 2 = 17 % of it."""
    flat, whole = torch.ones(1, 3, 256, 256), torch.ones(1, 1, 256, 256, dtype=torch.bool)
    one, half = torch.ones(1), torch.full((1,), 0.5)
    made, kept = crop_resize(flat, whole, one, half, half, one * torch.pi / 4)
    outside = 3 - 2 * 2**0.5
    assert abs(1 - kept.float().mean().item() - outside) < 4e-3
    torch.testing.assert_close(made, kept.float().expand_as(made), atol=1e-6, rtol=0)
    assert crop_resize(flat, whole, half, half, half, one * torch.pi / 4)[1].all()


def test_gamma_raises_to_a_power_within_its_range(images: torch.Tensor, whole: torch.Tensor) -> None:
    spec = Augment(gamma=(0.5, 2.0))
    made = augment(images, whole, spec, torch.arange(B))
    power = made[:, 0, 3, 4].log() / images[:, 0, 3, 4].log()
    torch.testing.assert_close(made, images.pow(power[:, None, None, None]), atol=1e-5, rtol=1e-4)
    assert power.min() > 0.5
    assert power.max() < 2
    assert power.std() > 0.1


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("channels", [1, 3])
def test_each_sample_depends_on_its_own_seed_alone(preset: str, channels: int) -> None:
    images = torch.rand(40, channels, S, S, generator=torch.Generator().manual_seed(5))
    valid = torch.ones(40, 1, S, S, dtype=torch.bool)
    valid[::3, :, :6] = False
    images = images * valid
    seeds = torch.arange(40) * 977
    spec = Augment.preset(preset)
    before = images.clone()
    made = augment(images, valid, spec, seeds)
    torch.testing.assert_close(images, before, rtol=0, atol=0)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(2))[:17]
    again = augment(images[order], valid[order], spec, seeds[order])
    torch.testing.assert_close(again, made[order], atol=1e-6, rtol=0)
    if preset == "none":
        torch.testing.assert_close(made, images, rtol=0, atol=0)
    else:
        assert not torch.equal(made, augment(images, valid, spec, seeds + 1))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(-(2**63), 2**63 - 1), rows=st.integers(0, S), columns=st.integers(0, S))
def test_no_emission_is_invented_where_there_is_no_data(seed: int, rows: int, columns: int) -> None:
    valid = torch.ones(1, 1, S, S, dtype=torch.bool)
    valid[..., :rows, :] = False
    valid[..., :columns] = False
    images = torch.full((1, 3, S, S), 0.5) * valid
    spec = Augment.preset("hulk", hue=0.0, saturation=0.0, jitter_probability=0.0, threshold_probability=0.0)
    made = augment(images, valid, spec, torch.tensor([seed]))
    lit = (made > 0).sum()
    torch.testing.assert_close(made[made > 0], torch.full((int(lit),), 0.5), atol=1e-6, rtol=0)
    if not valid.any():
        assert lit == 0
    jittered = augment(images, valid, Augment.preset("hulk"), torch.tensor([seed]))
    assert jittered.min() >= 0
    assert jittered.max() <= 1
    assert torch.isfinite(jittered).all()


def test_steps_happen_as_often_as_they_should() -> None:
    number = 4000
    images = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(1)).expand(number, 1, 9, 9).contiguous()
    valid = torch.ones(number, 1, 9, 9, dtype=torch.bool)
    seeds = torch.arange(number)

    def changed(**options: object) -> float:
        made = augment(images, valid, Augment(**options), seeds)  # type: ignore[arg-type]
        return float((made != images).flatten(1).any(1).double().mean())

    assert changed(flip_horizontal=0.33, flip_vertical=0.33) == pytest.approx(0.66, abs=0.03)
    assert changed(rotate_probability=0.5) == pytest.approx(0.5, abs=0.03)
    assert changed(blur_probability=0.1) == pytest.approx(0.1, abs=0.02)
    assert changed(threshold_probability=0.5) == pytest.approx(0.5, abs=0.03)
    assert changed(jitter_probability=0.8, brightness=0.8) == pytest.approx(0.8, abs=0.03)


def test_pieces_change_nothing(images: torch.Tensor, whole: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    together = augment(images, whole, Augment.preset("hulk"), torch.arange(B))
    monkeypatch.setattr(augmentation, "CACHED_VALUES", 5 * images[0].numel())
    in_pieces = augment(images, whole, Augment.preset("hulk"), torch.arange(B))
    assert torch.equal(in_pieces, together)
    assert augment(images[:0], whole[:0], Augment.preset("hulk"), torch.arange(0)).shape == (0, 3, S, S)


def test_two_views_differ(images: torch.Tensor, whole: torch.Tensor) -> None:
    one, two = two_views(images, whole, Augment.preset("banner"), torch.arange(B))
    assert not any(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_bad_options() -> None:
    with pytest.raises(RequestError, match="no augmentation 'hulc'"):
        Augment.preset("hulc")
    for bad in ({"crop": (0.0, 1.0)}, {"blur_sigma": (3.0, 1.0)}, {"threshold_percentile": (60, 40)}):
        with pytest.raises(ValidationError):
            Augment.preset("hulk", **bad)
    with pytest.raises(ValidationError, match="exclude each other"):
        Augment(flip_horizontal=0.6, flip_vertical=0.6)
