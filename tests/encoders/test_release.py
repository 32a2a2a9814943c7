"""What is written of an encoder for people without skysift."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from skysift.encoders import Encoder, build_backbone, load_encoder
from skysift.encoders.release import (
    Provenance,
    preprocessing_in_words,
    release_card,
    write_onnx,
    write_release,
    write_weights,
)
from skysift.errors import SkysiftError
from skysift.imaging import Preprocess
from tests.encoders.others import features_of_others, usage


def images_of(encoder: Encoder) -> torch.Tensor:
    shape = (3, encoder.channels, encoder.image_size, encoder.image_size)
    return torch.rand(shape, generator=torch.Generator().manual_seed(4))


def vit() -> Encoder:
    module = build_backbone("test_vit", seed=2, channels=1, image_size=64).eval()
    spec = Preprocess.preset("minmax", size=64, channels=1)
    return Encoder.of_backbone(module, "test_vit", spec, mean=(0.2,), std=(0.5,), origin={"weights": "checkpoint 12"})


def test_ours_reads_what_timm_reads(tmp_path: Path) -> None:
    encoder = vit()
    write_weights(encoder, tmp_path)
    again = load_encoder(f"timm:{tmp_path}", preprocess="minmax")
    assert (again.channels, again.image_size, again.description.mean) == (1, 64, (0.2,))
    with torch.no_grad():
        assert torch.allclose(again.encode(images_of(encoder)), encoder.encode(images_of(encoder)), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_the_example_of_the_card_normalises(tmp_path: Path) -> None:
    encoder = vit()
    write_release(encoder, tmp_path, Provenance("A"), onnx=False)
    code = usage((tmp_path / "README.md").read_text())
    assert "std = torch.tensor([0.5])" in code
    with torch.no_grad():
        wanted = encoder.encode(images_of(encoder))
    assert torch.allclose(features_of_others(tmp_path, images_of(encoder), code, tmp_path), wanted, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vit", "dinov2", "clip"])
def test_transformers_loads_its_models(kind: str, hub_folder: Callable[[str], Path], tmp_path: Path) -> None:
    encoder = load_encoder(f"hf:{hub_folder(kind)}")
    write_release(encoder, tmp_path, Provenance("A"), onnx=False)
    with torch.no_grad():
        wanted = encoder.encode(images_of(encoder))
    code = usage((tmp_path / "README.md").read_text())
    assert "AutoModel.from_pretrained" in code
    assert torch.allclose(features_of_others(tmp_path, images_of(encoder), code, tmp_path), wanted, rtol=0, atol=1e-5)
    again = load_encoder(f"hf:{tmp_path}")
    assert again.description.mean == pytest.approx(encoder.description.mean)


@pytest.mark.slow
def test_a_file_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    encoder = vit()
    assert write_onnx(encoder, tmp_path) < 1e-5
    monkeypatch.setattr("skysift.encoders.release.onnx.compare", lambda *_: 2e-4)
    monkeypatch.setattr("skysift.encoders.release.onnx._strip", lambda _: None)
    with pytest.raises(SkysiftError, match=r"test_vit as ONNX differs from torch by 2\.0e-04, over 0\.0001"):
        write_onnx(encoder, tmp_path)


def test_preprocessing_in_words() -> None:
    words = " ".join(preprocessing_in_words(Preprocess.preset("riggi2024", size=224)))
    assert "Channel 1: values are clamped to 5 standard deviations below and 30 above the median" in words
    assert "Channel 3: values are clamped to zscale's limits at contrast 0.4 (" in words
    assert "resized to 224 x 224 pixels" in words
    one = " ".join(preprocessing_in_words(Preprocess.preset("asinh", channels=1, zero_is_invalid=True)))
    assert "The one channel: values x, scaled to [0, 1], become asinh(x / 0.1) / asinh(1 / 0.1)." in one
    assert one.startswith("NaN and infinite pixels and exact zeros are no data")
    assert "x^2, sinh(x / 0.3333) / sinh(1 / 0.3333)" in " ".join(preprocessing_in_words(Preprocess.preset("mixed")))


def test_a_card_of_an_encoder_of_which_nothing_is_known() -> None:
    card = release_card(
        vit(), Provenance("A | B", licences=[("somebody's", "cc-by-4.0")]), ["import timm", "f = 1"], None
    )
    for text in (
        "What the training set was like is not known",
        "How the weights were trained is not known.",
        "No evaluation of this model is known.",
        "There is no ONNX file with it.",
        "No licence was chosen for these weights.",
        "| somebody's | cc-by-4.0 |",
    ):
        assert text in card
    assert "license:" not in card
