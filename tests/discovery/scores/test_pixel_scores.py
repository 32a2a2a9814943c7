from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from skysift.discovery.scores import Complexity, Extent, IslandCount, MapError, PixelStd, Reconstruction
from skysift.encoders import Encoder, build_backbone, save_encoder
from skysift.errors import RequestError
from skysift.imaging import Preprocess
from skysift.sky.islands import noise
from skysift.ssl.methods.mae import MAE


def field(*spots: tuple[int, int], seed: int = 0, side: int = 48) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    image = np.random.default_rng(seed).normal(size=(side, side))
    for cx, cy in spots:
        image += 60 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 8)
    return image.astype(np.float32)


BLANK = np.full((48, 48), np.nan, np.float32)


def test_pixel_std_is_minus_the_scatter_of_what_there_is() -> None:
    image = field(seed=1)
    holed = image.copy()
    holed[:10] = np.nan
    found = PixelStd().of_pixels([image, holed, BLANK])
    np.testing.assert_allclose(found[:2], [-image.std(dtype=np.float64), -image[10:].std(dtype=np.float64)], rtol=1e-9)
    assert np.isnan(found[2])


def test_islands_are_counted() -> None:
    images = [field(), field((12, 12)), field((8, 8), (36, 10), (24, 38)), BLANK]
    found = IslandCount().of_pixels(images)
    assert found[:3].tolist() == [0, 1, 3]
    assert np.isnan(found[3])
    assert IslandCount(threshold=80.0).of_pixels(images[:3]).tolist() == [0, 0, 0]


def test_extent_is_the_effective_area_of_the_most_extended_island() -> None:
    y, x = np.mgrid[:48, :48]
    ring = field() + (20 * np.exp(-((np.hypot(x - 24, y - 24) - 12) ** 2) / 8)).astype(np.float32)
    found = Extent().of_pixels([field(), field((24, 24)), ring, BLANK])
    assert found[0] == 0
    assert 20 < found[1] < 27, "2 pi sigma^2 = 25 pixels for a Gaussian of 2 pixels"
    assert found[2] > 10 * found[1]
    assert np.isnan(found[3])
    bright = field((24, 24)) + 9 * (field((24, 24)) - field())
    assert Extent().of_pixels([bright])[0] < 1.15 * found[1], "brightness does not count"


def test_complexity_is_the_length_of_the_coarse_file() -> None:
    from scipy.ndimage import gaussian_filter

    image = field((8, 8), (36, 10), (24, 38))
    median, rms = (np.float32(value) for value in noise(image))
    coarse = gaussian_filter((image.astype(np.float64) - float(median)) / float(rms), 2.0, mode="nearest")
    coarse = np.clip(np.round(coarse.reshape(12, 4, 12, 4).mean((1, 3))), 0, 255).astype(np.uint8)
    found = Complexity().of_pixels([image, field(), BLANK])
    assert found[0] == len(gzip.compress(coarse.tobytes(), 9, mtime=0))
    assert found[0] > found[1]
    assert np.isnan(found[2])


def test_the_map_finds_what_resembles_nothing_however_it_is_turned() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:12, :12]
    bar = (np.abs(y - 5.5) < 1.5).astype(np.float32)
    ways = [np.rot90(s, k) for s in (bar * (x > 2), bar * (x < 9)) for k in range(4)]
    images = np.stack([ways[i % 8] + 0.05 * rng.normal(size=(12, 12)) for i in range(80)])
    ring = (np.abs(np.hypot(x - 5.5, y - 5.5) - 4) < 1).astype(np.float32)
    images = np.concatenate([images, ring[None]]).reshape(81, -1).astype(np.float32)
    seen: list[int] = []
    score = MapError(side=2, epochs=6)
    found = score.of_images(images, seen.append)
    assert found.argmax() == 80
    assert found[80] > 1.5 * np.sort(found)[-2]
    assert sum(seen) == 81
    np.testing.assert_array_equal(found, score.of_images(images))
    with pytest.raises(RequestError, match="at least two cutouts"):
        score.of_images(images[:1])


@pytest.fixture(scope="module")
def mae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained masked autoencoder as a training leaves it."""
    folder = tmp_path_factory.mktemp("mae")
    method = MAE(decoder_dim=32, decoder_depth=1, decoder_heads=2)
    shape = {"embed_dim": 32, "depth": 2, "num_heads": 2, "patch_size": 8, "dynamic_img_size": False}
    backbone = build_backbone("vit_tiny_patch16_224", channels=1, image_size=32, arguments=shape, seed=1)
    method.prepare(backbone, fresh=True)
    preprocess = Preprocess.preset("riggi2024", size=32, channels=1)
    encoder = Encoder.of_backbone(backbone.eval(), "vit_tiny_patch16_224", preprocess, arguments=shape)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        heads = method.build(backbone, encoder.dim)
    save_encoder(encoder, folder)
    save_file({name: value.contiguous() for name, value in heads.state_dict().items()}, folder / "head.safetensors")
    (folder / "training.json").write_text(json.dumps({"options": {"method": method.model_dump(mode="json")}}))
    return folder


def test_reconstruction_is_the_loss_of_training_image_by_image(mae: Path) -> None:
    """One image at a time, the score is the mean of the training's loss over the masks."""
    from skysift.discovery.scores.reconstruction import MASKS, _load
    from skysift.imaging import preprocess
    from skysift.ssl.methods.mae import Mask, decode, encode, reconstruction

    images = [field((12, 12)), field((8, 8), (36, 10), (24, 38), seed=2), BLANK]
    found = Reconstruction(str(mae), seed=5).of_pixels(images)
    encoder, heads, _ = _load(str(mae))
    for number in range(2):
        batch, losses, weights = preprocess(images[number][None], encoder.preprocess), [], []
        generator = torch.Generator().manual_seed(5)
        for _ in range(MASKS):
            order = torch.randperm(16, generator=generator)[None]
            mask = Mask(torch.cat([torch.zeros(1, 1, dtype=torch.int64), order[:, :4] + 1], 1), order[:, 4:] + 1)
            with torch.no_grad():
                painted = decode(heads, encode(encoder.module, batch, mask.seen), mask)
            losses.append(float(reconstruction(painted, batch, order[:, 4:], normalise=True)))
            weights.append(12)
        assert found[number] == pytest.approx(np.average(losses, weights=weights), rel=1e-4)
    assert np.isnan(found[2])
    one = Reconstruction(str(mae), seed=5).of_pixels(images[1:2])
    np.testing.assert_allclose(one[0], found[1], rtol=1e-4)


def test_models_without_a_decoder_are_refused(mae: Path, tmp_path: Path) -> None:
    Reconstruction(str(mae)).check()
    with pytest.raises(RequestError, match=r"has no decoder, for it was not trained here.*--method mae"):
        Reconstruction(str(tmp_path)).check()
    (tmp_path / "training.json").write_text(json.dumps({"options": {"method": {"name": "simclr"}}}))
    with pytest.raises(RequestError, match="was trained by simclr"):
        Reconstruction(str(tmp_path)).check()
