"""Encoders written and read again, strictly; cards."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from skysift.encoders import load_checkpoint, load_encoder, model_card, save_encoder
from skysift.encoders.backbones import build_backbone
from skysift.encoders.encoder import Encoder
from skysift.errors import RequestError, SkysiftError
from skysift.imaging import Preprocess


def tiny(seed: int = 0) -> Encoder:
    preprocess = Preprocess.preset("riggi2024", size=48, channels=3)
    module = build_backbone("test_resnet", seed=seed).eval()
    return Encoder.of_backbone(module, "test_resnet", preprocess, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0))


def test_written_and_read_again(tmp_path: Path) -> None:
    encoder = tiny()
    save_encoder(encoder, tmp_path / "a")
    again = load_checkpoint(tmp_path / "a")
    assert again.description == encoder.description
    assert again.digest() == encoder.digest()
    assert not again.module.training
    x = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(again.encode(x), encoder.encode(x))
    assert (again.dim, again.channels, again.image_size) == (96, 3, 48)


def test_equal_encoders_give_equal_bytes(tmp_path: Path) -> None:
    save_encoder(tiny(), tmp_path / "a")
    save_encoder(tiny().to("cpu"), tmp_path / "b")  # laid out channels-last
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == ["card.md", "encoder.json", "encoder.safetensors"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_an_hf_encoder_needs_no_hub_once_it_is_ours(hub_folder: Callable[[str], Path], tmp_path: Path) -> None:
    for kind in ("clip", "vit", "resnet"):
        encoder = load_encoder(f"hf:{hub_folder(kind)}", image_size=32)
        save_encoder(encoder, tmp_path / kind)
        again = load_encoder(str(tmp_path / kind))
        x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            assert torch.equal(again.encode(x), encoder.encode(x))
            assert torch.equal(again.encode_dense(x), encoder.encode_dense(x))
        assert "transformers_version" not in (tmp_path / kind / "encoder.json").read_text()


def test_the_same_backbone_untrained(tmp_path: Path) -> None:
    save_encoder(tiny(seed=5), tmp_path)
    random = load_encoder(str(tmp_path), weights="random", seed=7)
    assert random.digest() == tiny(seed=7).digest()
    assert random.preprocess == tiny().preprocess


def test_gradients_flow_through_encode() -> None:
    encoder = tiny()
    x = torch.rand(1, 3, 48, 48, requires_grad=True)
    encoder.encode(x).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_missing_unknown_and_misshapen_weights_are_refused(tmp_path: Path) -> None:
    save_encoder(tiny(), tmp_path)
    weights = tmp_path / "encoder.safetensors"
    state = load_file(weights)
    first = next(iter(state))
    save_file({k: v for k, v in state.items() if k != first}, weights)
    with pytest.raises(SkysiftError, match=f"1 weights don't fit.*{first} is missing"):
        load_checkpoint(tmp_path)
    save_file({**state, "extra": torch.zeros(1)}, weights)
    with pytest.raises(SkysiftError, match="extra is unknown"):
        load_checkpoint(tmp_path)
    save_file({**state, first: torch.zeros(3)}, weights)
    with pytest.raises(SkysiftError, match=r"is \(3,\), not"):
        load_checkpoint(tmp_path)


def test_damaged_files(tmp_path: Path) -> None:
    save_encoder(tiny(), tmp_path)
    weights = tmp_path / "encoder.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(SkysiftError, match="damaged"):
        load_checkpoint(tmp_path)
    weights.unlink()
    with pytest.raises(SkysiftError, match="weights are missing"):
        load_checkpoint(tmp_path)
    (tmp_path / "encoder.json").write_text('{"format": 1, "backbone": ')
    with pytest.raises(SkysiftError, match="not an encoder's description"):
        load_checkpoint(tmp_path)
    (tmp_path / "encoder.json").unlink()
    with pytest.raises(RequestError, match=r"no encoder\.json in this folder"):
        load_checkpoint(tmp_path)


def test_description_of_a_later_format_is_refused(tmp_path: Path) -> None:
    save_encoder(tiny(), tmp_path)
    path = tmp_path / "encoder.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(SkysiftError, match="not an encoder's description"):
        load_checkpoint(tmp_path)


def test_card_says_what_it_is() -> None:
    card = model_card(tiny(), {"Trained on": "2,000 cutouts | SimCLR"})
    assert "| Backbone | test_resnet (timm) |" in card
    assert "| Input | 3 x 48 x 48 |" in card
    assert "| Features | 96 |" in card
    assert "| Trained on | 2,000 cutouts \\| SimCLR |" in card
    assert tiny().digest() in card


def test_backbones_that_can_not_be_built() -> None:
    with pytest.raises(RequestError, match="timm can't build test_vit"):
        build_backbone("test_vit", arguments={"patch_size": 0})
    with pytest.raises(RequestError, match="has no backbone"):
        build_backbone("resnet")
