"""Folders that timm writes: the same features as timm gives for the same picture, for every family of web encoders."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from skysift.encoders import load_encoder, save_encoder
from skysift.encoders.backbones import drawing, timm_library
from skysift.errors import RequestError, SkysiftError
from skysift.features.specification import encoder_fields

SMALL = {"embed_dim": 48, "depth": 2, "num_heads": 3}
FAMILIES: dict[str, tuple[str, dict[str, Any], int, str, int]] = {
    # name -> timm's architecture, what makes it small, side, pooled by, tokens before the patches
    "resnet": ("resnet18", {}, 64, "mean", 0),
    "convnext": ("convnext_tiny", {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}, 64, "mean", 0),
    "dinov2": ("vit_small_patch14_dinov2", {**SMALL, "img_size": 56}, 56, "class", 1),
    "dinov2-registers": ("vit_small_patch14_reg4_dinov2", {**SMALL, "img_size": 56}, 56, "class", 5),
    "dinov3": ("vit_small_patch16_dinov3", {**SMALL, "img_size": 64}, 64, "library", 5),
    "siglip": ("vit_base_patch16_siglip_224", {**SMALL, "img_size": 64}, 64, "attention", 0),
    "clip": ("vit_base_patch16_clip_224", {**SMALL, "img_size": 64}, 64, "class", 1),
}


def save(name: str, folder: Path, **more: Any) -> Any:
    """Save a model with random weights as timm saves it, its head included."""
    timm = timm_library()
    architecture, arguments, _, _, _ = FAMILIES[name]
    with drawing(11):
        model = timm.create_model(architecture, num_classes=7, **{**arguments, **more}).eval()
    timm.models.save_for_hf(model, folder, safe_serialization=True)
    return model


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("spec", ["timm", "hf"])
def test_features_are_timms_own(family: str, spec: str, tmp_path: Path) -> None:
    timm = timm_library()
    architecture, _, side, pooled_by, prefix = FAMILIES[family]
    model = save(family, tmp_path)
    encoder = load_encoder(f"{spec}:{tmp_path}")
    assert encoder.description.backbone == architecture
    assert encoder.image_size == (224 if family in ("resnet", "convnext") else side)
    native = timm.models.get_pretrained_cfg(architecture)
    assert encoder.description.mean == native.mean
    assert encoder.description.std == native.std
    encoder = load_encoder(f"{spec}:{tmp_path}", image_size=side)

    picture = np.random.default_rng(3).integers(0, 256, (side, side, 3)).astype(np.uint8)
    config = {**timm.data.resolve_model_data_config(model), "input_size": (3, side, side), "crop_pct": 1.0}
    theirs = timm.data.create_transform(**config, is_training=False)(Image.fromarray(picture))[None]
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        tokens = model.forward_features(theirs)
        expected = model.forward_head(tokens, pre_logits=True)
        pooled, dense = encoder.encode(x), encoder.encode_dense(x)
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-5)
    assert encoder.dim == expected.shape[1]
    if tokens.ndim == 4:
        torch.testing.assert_close(dense, tokens, atol=1e-5, rtol=1e-5)
        return
    grid = round((tokens.shape[1] - prefix) ** 0.5)
    assert tokens.shape[1] == prefix + grid * grid
    patches = tokens[0, prefix:].reshape(grid, grid, -1).permute(2, 0, 1)  # no class token, no registers
    torch.testing.assert_close(dense[0], patches, atol=1e-5, rtol=1e-5)
    if pooled_by == "class":
        torch.testing.assert_close(pooled, tokens[:, 0], atol=1e-5, rtol=1e-5)
    if pooled_by == "attention":
        with torch.no_grad():
            torch.testing.assert_close(pooled, model.attn_pool(tokens), atol=1e-5, rtol=1e-5)


def test_what_a_folder_says_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Channels, size, normalisation and the arguments that rebuild it, through a checkpoint of ours too."""
    caplog.set_level(logging.ERROR)
    save("dinov2", tmp_path / "timm", in_chans=1, init_values=1e-3)
    config = json.loads((tmp_path / "timm" / "config.json").read_text())
    config["pretrained_cfg"] |= {"mean": [0.25], "std": [0.125], "license": "cc-by-4.0"}
    (tmp_path / "timm" / "config.json").write_text(json.dumps(config))
    encoder = load_encoder(f"timm:{tmp_path / 'timm'}")
    assert (encoder.channels, encoder.image_size) == (1, 56)
    assert (encoder.description.mean, encoder.description.std) == ((0.25,), (0.125,))
    assert encoder.description.arguments["embed_dim"] == 48
    assert encoder.description.origin == {"weights": "a local file", "licence": "cc-by-4.0"}
    save_encoder(encoder, tmp_path / "ours")
    assert load_encoder(str(tmp_path / "ours")).digest() == encoder.digest()
    again = load_encoder("timm:vit_small_patch14_dinov2", weights_from=tmp_path / "timm")
    assert again.digest() == encoder.digest()
    random = load_encoder(f"timm:{tmp_path / 'timm'}", weights="random", seed=1)
    assert random.dim == 48
    assert random.digest() != encoder.digest()
    wide = load_encoder(f"timm:{tmp_path / 'timm'}", channels=3, image_size=84)
    assert wide.module.patch_embed.proj.weight.shape[1] == 3
    assert wide.encode_dense(torch.rand(1, 3, 84, 84)).shape == (1, 48, 6, 6)


def test_a_configuration_can_not_name_files_or_code(tmp_path: Path) -> None:
    save("resnet", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    evil = tmp_path / "evil.pth"
    evil.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    config["model_args"] = {"checkpoint_path": str(evil), "pretrained": True, "pretrained_cfg": {"file": str(evil)}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    encoder = load_encoder(f"timm:{tmp_path}")
    assert encoder.description.arguments == {}
    assert encoder.dim == 512


def test_folders_that_do_not_fit(tmp_path: Path) -> None:
    save("resnet", tmp_path)
    with pytest.raises(RequestError, match=r"holds a resnet18, not a resnet50; ask for timm:resnet18"):
        load_encoder("timm:resnet50", weights_from=tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(SkysiftError, match=r"no model\.safetensors or pytorch_model\.bin beside config\.json"):
        load_encoder(f"timm:{tmp_path}")
    (tmp_path / "config.json").write_text('{"architecture": "resnet18", "pretrained_cfg": 3}')
    with pytest.raises(SkysiftError, match="is no configuration of timm"):
        load_encoder(f"timm:{tmp_path}")
    (tmp_path / "config.json").write_text('{"architecture": "resnot18"}')
    with pytest.raises(RequestError, match="no backbone 'resnot18'"):
        load_encoder(f"timm:{tmp_path}")


def test_a_folder_named_in_a_request_of_features(tmp_path: Path) -> None:
    """The stage keeps the folder as a source, by content, and loads it through the one local form."""
    save("resnet", tmp_path)
    fields = encoder_fields({"encoder": f"timm:{tmp_path}"})
    assert fields == {"encoder": "hf:local", "weights_from": str(tmp_path)}
    local = load_encoder(f"hf:{fields['weights_from']}")
    assert local.digest() == load_encoder(f"timm:{tmp_path}").digest()
