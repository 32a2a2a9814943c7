"""Augmentation as a GPU does it: the same images, without a wait or a shape that depends on data."""

from __future__ import annotations

import shutil

import pytest
import torch

from skysift.imaging import Augment, augment, augment_device, augmentation
from skysift.imaging.augment_options import PRESETS
from skysift.imaging.draws import Draws
from skysift.imaging.filters import blur, threshold
from skysift.imaging.geometry import crop_resize, dihedral, orientation

B, S = 40, 32


def batch(channels: int = 3, seed: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(B, channels, S, S, generator=generator)
    valid = torch.ones(B, 1, S, S, dtype=torch.bool)
    valid[::3, :, :6] = False
    valid[1::5, :, :, 20:] = False
    valid[7] = False
    return images * valid, valid, torch.arange(B) * 977


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("channels", [1, 3])
def test_the_device_makes_what_the_processor_makes(preset: str, channels: int) -> None:
    images, valid, seeds = batch(channels)
    spec = Augment.preset(preset)
    ours = augment_device.augment_piece(images, valid, Draws.of(spec, seeds))
    torch.testing.assert_close(ours, augment(images, valid, spec, seeds), atol=2e-6, rtol=0)


def test_crop_and_turn_is_a_crop_and_then_a_turn() -> None:
    images, valid, _ = batch()
    side, across, down = torch.rand(3, B, generator=torch.Generator().manual_seed(1))
    turns = torch.arange(B) % 2 == 1, torch.arange(B) % 3 == 1, torch.arange(B) % 4
    expected = dihedral(*crop_resize(images, valid, side, across, down), *turns)
    made = augment_device.crop_and_turn(images, valid, (side, across, down), orientation(*turns))
    turned = augment_device.turn_only(images, valid, orientation(*turns))
    for ours, theirs in zip((*made, *turned), (*expected, *dihedral(images, valid, *turns)), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("size", [5, 32])
def test_blur_by_matrices_is_the_convolution(size: int) -> None:
    images, valid, _ = batch()
    images, valid = images[..., :size, :size], valid[..., :size, :size]
    sigma = torch.linspace(0.1, 3, B)
    ours = augment_device.blur(images, valid, sigma, largest=3.0)
    torch.testing.assert_close(ours, blur(images, valid, sigma), atol=1e-6, rtol=0)


def test_percentiles_by_counting_are_those_by_sorting() -> None:
    images, valid, _ = batch()
    images = (images * 20).round() / 20 * valid  # many equal values
    share = torch.rand(B, 3, generator=torch.Generator().manual_seed(1))
    share[0], share[1] = 0.0, 1.0
    level = augment_device.percentile(images, valid, share)
    assert torch.equal(torch.where(images < level, 0.0, images), threshold(images, valid, share))


def test_values_of_a_rank_are_exact_for_any_float() -> None:
    generator = torch.Generator().manual_seed(2)
    rows = torch.randn(60, 50, generator=generator) * torch.logspace(-30, 30, 60)[:, None]
    rows[:, :3], rows[:, 3], rows[:, 4] = 0.0, torch.inf, -torch.inf
    rank = torch.randint(0, 50, (60,), generator=generator)
    expected = rows.sort(1).values.gather(1, rank[:, None])[:, 0]
    assert torch.equal(augment_device.value_of_rank(rows, rank), expected)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_nothing_on_a_gpu_waits_or_depends_on_data(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors without values: whatever wants to know one, as a branch or a selection does, fails."""
    monkeypatch.setattr("skysift.imaging.augmentation.DEVICE_VALUES", 16 * 3 * S * S)
    images, valid, seeds = (tensor.to("meta") for tensor in batch())
    made = augment(images, valid, Augment.preset(preset), seeds)
    assert made.shape == images.shape
    assert made.device.type == "meta"
    with pytest.raises(RuntimeError, match="meta"):
        augmentation._augment_piece(images, valid, Draws.of(Augment.preset("hulk"), seeds))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
def test_compiled_it_is_one_graph_with_the_same_result() -> None:
    images, valid, seeds = batch()
    spec = Augment.preset("hulk")
    draws = Draws.of(spec, seeds)
    compiled = torch.compile(augment_device.augment_piece, fullgraph=True, dynamic=False)
    expected = augment_device.augment_piece(images, valid, draws)
    torch.testing.assert_close(compiled(images, valid, draws), expected, atol=1e-5, rtol=0)
