"""Channels, min-max, resize: values, holes and options."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from astropy import visualization
from astropy.stats import sigma_clip
from numpy.typing import NDArray
from pydantic import ValidationError
from torch.nn.functional import interpolate

from skysift.errors import RequestError
from skysift.imaging import Asinh, Log, Power, Preprocess, Sinh, Sqrt, pipeline, preprocess
from skysift.imaging.batch import fill_batch
from skysift.imaging.options import PRESETS
from skysift.imaging.resize import Banded, resize
from tests.imaging.conftest import KINDS, radio_image


def reference_channels(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Riggi et al. 2024 as written, with astropy, image by image."""
    values = image.astype(np.float64)
    good = np.isfinite(values)
    channels = []
    _, low, high = sigma_clip(values[good], sigma_lower=5, sigma_upper=30, maxiters=5, masked=False, return_bounds=True)
    limits = [(low, high)] + [visualization.ZScaleInterval(contrast=c).get_limits(values[good]) for c in (0.25, 0.4)]
    for low, high in limits:
        clipped = np.clip(values[good], low, high)
        span = np.ptp(clipped)
        out = np.zeros_like(values)
        out[good] = (clipped - clipped.min()) / span if span > 0 else 0.0
        channels.append(out)
    return np.stack(channels)


@pytest.mark.parametrize("kind", KINDS)
def test_riggi2024_equals_the_written_out_reference(kind: str) -> None:
    images = np.stack([radio_image(kind, seed) for seed in range(3)])
    made, mask = preprocess(images, Preprocess.preset("riggi2024", size=64), return_mask=True)
    np.testing.assert_array_equal(mask[:, 0].numpy(), np.isfinite(images))
    for image, ours in zip(images, made, strict=True):
        np.testing.assert_allclose(ours.numpy(), reference_channels(image), atol=1e-6)


def test_resize_is_torchs_where_nothing_is_missing() -> None:
    images = np.stack([radio_image("whole", seed, 96) for seed in range(3)])
    made = preprocess(images, Preprocess.preset("riggi2024", size=64))
    channels = torch.from_numpy(np.stack([reference_channels(i) for i in images]))
    expected = interpolate(channels, (64, 64), mode="bilinear", antialias=True)
    np.testing.assert_allclose(made.numpy(), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "size"), [((256, 256), 224), ((64, 64), 224), ((97, 300), 64), ((1, 5), 7), ((700, 33), 33)]
)
def test_resize_by_bands_is_torchs(shape: tuple[int, int], size: int) -> None:
    image = torch.rand(3, *shape, generator=torch.Generator().manual_seed(1))
    scale = np.array([1.0, 2.0, 0.5], np.float32)
    banded, made = Banded(3, *shape, size), np.empty((3, size, size), np.float32)
    banded.source[:] = image
    banded.run(scale, made)
    expected = interpolate(image[None], (size, size), mode="bilinear", antialias=True)[0].numpy()
    np.testing.assert_allclose(made, expected * scale[:, None, None], atol=1e-6)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_an_image_by_itself_gives_the_same_as_among_others(preset: str) -> None:
    """Among them are images with few pixels left, of which zscale takes fewer samples."""
    images = np.stack([radio_image(kind, seed) for seed in range(3) for kind in KINDS])
    spec, seeds = Preprocess.preset(preset, size=40), torch.arange(len(images))
    together, masks = preprocess(images, spec, seeds=seeds, return_mask=True)
    for row in range(len(images)):
        alone, mask = preprocess(images[row : row + 1], spec, seeds=seeds[row : row + 1], return_mask=True)
        assert torch.equal(alone[0], together[row])
        assert torch.equal(mask[0], masks[row])


def test_as_many_images_as_wanted_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.stack([radio_image(kind, seed) for seed in range(3) for kind in KINDS])
    spec = Preprocess.preset("riggi2024", size=40)
    together = preprocess(images, spec)
    monkeypatch.setattr(pipeline, "PIXELS_AT_ONCE", 5 * images[0].size)
    torch.testing.assert_close(preprocess(images, spec), together, atol=0, rtol=0)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_way_of_a_gpu_gives_the_same(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.from_numpy(np.stack([radio_image(kind, seed) for seed in range(2) for kind in KINDS]))
    spec, seeds = Preprocess.preset(preset, size=40), torch.arange(len(images))
    image_by_image = preprocess(images, spec, seeds=seeds)
    monkeypatch.setattr(pipeline, "fill_rows", fill_batch)
    made = preprocess(images, spec, seeds=seeds)
    torch.testing.assert_close(made, image_by_image, atol=2e-6, rtol=0)


@pytest.mark.parametrize("size", [16, 40, 64, 100])
def test_missing_pixels_weigh_nothing_in_the_resize(size: int) -> None:
    valid = torch.ones(1, 1, 64, 64, dtype=torch.bool)
    valid[..., :20] = False
    valid[..., 40:44, 40:44] = False
    flat = torch.where(valid, 0.7, 0.0)
    out, kept = resize(flat, valid, size)
    assert kept.any()
    assert not kept.all()
    torch.testing.assert_close(out[kept], torch.full_like(out[kept], 0.7))
    assert (out[~kept] == 0).all()


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("channels", [1, 3])
def test_every_preset_on_every_kind(preset: str, channels: int) -> None:
    images = np.stack([radio_image(kind, 2) for kind in KINDS] + [np.full((64, 64), np.nan, np.float32)])
    made, mask = preprocess(images, Preprocess.preset(preset, size=48, channels=channels), return_mask=True)
    assert made.shape == (7, channels, 48, 48)
    assert made.dtype == torch.float32
    assert torch.isfinite(made).all()
    if preset != "imagenet":
        assert made.min() >= 0
        assert made.max() <= 1 + 1e-6
        assert (made * ~mask == 0).all()
    assert not mask[-1].any()


@pytest.mark.parametrize(
    ("transform", "stretch"),
    [
        (Power(power=2), visualization.PowerStretch(2)),
        (Sinh(a=1 / 3), visualization.SinhStretch(1 / 3)),
        (Log(a=1000), visualization.LogStretch(1000)),
        (Sqrt(), visualization.SqrtStretch()),
        (Asinh(a=0.1), visualization.AsinhStretch(0.1)),
    ],
)
def test_stretches_are_astropys(transform: object, stretch: object) -> None:
    image = radio_image("whole", 3)
    spec = Preprocess(channels=1, transforms=(transform,), size=64)  # type: ignore[arg-type]
    normal = (image - image.min()) / np.ptp(image)
    np.testing.assert_allclose(preprocess(image[None], spec)[0, 0].numpy(), stretch(normal), atol=1e-6)  # type: ignore[operator]


def test_images_of_any_sizes_in_one_call() -> None:
    images = [radio_image("border", n, size) for n, size in enumerate((30, 64, 30, 41, 200))]
    spec = Preprocess.preset("riggi2024", size=32)
    together = preprocess(images, spec)
    for image, made in zip(images, together, strict=True):
        torch.testing.assert_close(made, preprocess(image[None], spec)[0], rtol=0, atol=0)
    assert preprocess([], spec).shape == (0, 3, 32, 32)


def test_choice_of_stretch_depends_on_the_seed_alone() -> None:
    images = np.stack([radio_image("whole", 5)] * 40)
    spec = Preprocess.preset("mixed", size=64)
    seeds = torch.arange(40)
    made = preprocess(images, spec, seeds=seeds)
    torch.testing.assert_close(preprocess(images[7:9], spec, seeds=seeds[7:9]), made[7:9], rtol=0, atol=0)
    first, last = ({made[i, c].numpy().tobytes() for i in range(40)} for c in (0, 2))
    assert (len(first), len(last)) == (2, 3)
    torch.testing.assert_close(preprocess(images[:1], spec)[0, 1], made[0, 1])


def test_images_of_mostly_one_value_are_not_blank() -> None:
    image = np.zeros((64, 64), np.float32)
    image[30:34, 28:36] = np.linspace(0.2, 1.0, 32, dtype=np.float32).reshape(4, 8)
    made = preprocess(np.stack([image, -image]), Preprocess.preset("riggi2024", size=64))
    for channel in made[0]:
        np.testing.assert_allclose(channel.numpy(), image, atol=1e-6)
    for channel in made[1]:
        np.testing.assert_allclose(channel.numpy(), 1 - image, atol=1e-6)


def test_zero_is_invalid() -> None:
    image = radio_image("whole", 4)
    holes = image.copy()
    holes[:20] = 0
    blank = image.copy()
    blank[:20] = np.nan
    spec = Preprocess.preset("riggi2024", size=64)
    reproduced = preprocess(holes[None], spec.model_copy(update={"zero_is_invalid": True}))
    torch.testing.assert_close(reproduced, preprocess(blank[None], spec), rtol=0, atol=0)
    assert not torch.equal(reproduced, preprocess(holes[None], spec))


def test_fill_with_the_median() -> None:
    image = radio_image("border", 4)
    made, mask = preprocess(image[None], Preprocess.preset("minmax", size=64, fill="median"), return_mask=True)
    valid = made[0, 0][mask[0, 0]].numpy()
    assert made[0, 0][~mask[0, 0]].unique().numpy() == pytest.approx(np.median(valid), abs=1e-6)


@pytest.mark.parametrize("preset", ["asinh", "riggi2024", "minmax"])
def test_fill_with_the_median_after_a_resize(preset: str) -> None:
    image = radio_image("border", 4)
    images = torch.from_numpy(np.stack([image, radio_image("whole", 4)]))
    spec = Preprocess.preset(preset, size=40, fill="median")
    made, mask = preprocess(images, spec, return_mask=True)
    valid = torch.from_numpy(np.isfinite(image))
    channels = preprocess(images[:1], spec.model_copy(update={"size": 64}))[0]
    for channel, filled in zip(channels, made[0], strict=True):
        middle = float(np.median(channel[valid].numpy()))
        assert filled[~mask[0, 0]].unique().numpy() == pytest.approx(middle, abs=1e-6)
    assert mask[1].all()


def test_infinite_values_are_no_data() -> None:
    image = radio_image("whole", 6)
    image[5, 5], image[6, 6] = np.inf, -np.inf
    blank = image.copy()
    blank[5, 5] = blank[6, 6] = np.nan
    spec = Preprocess.preset("riggi2024", size=64)
    torch.testing.assert_close(preprocess(image[None], spec), preprocess(blank[None], spec), rtol=0, atol=0)


def test_imagenet_normalises() -> None:
    plain = preprocess(radio_image("whole", 1)[None], Preprocess.preset("minmax", size=64))
    web = preprocess(radio_image("whole", 1)[None], Preprocess.preset("imagenet", size=64))
    expected = (plain[0, 1] - 0.456) / 0.224
    torch.testing.assert_close(web[0, 1], expected)


def test_options_survive_json() -> None:
    for name in PRESETS:
        spec = Preprocess.preset(name, size=99)
        assert Preprocess.model_validate_json(spec.model_dump_json()) == spec


def test_bad_options() -> None:
    with pytest.raises(RequestError, match="no preprocessing 'rigi'"):
        Preprocess.preset("rigi")
    with pytest.raises(ValidationError):
        Preprocess.preset("minmax", sice=3)
    with pytest.raises(ValidationError):
        Preprocess.preset("minmax", size=0)
