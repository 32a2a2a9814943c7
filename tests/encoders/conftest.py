"""Small models that the libraries' own code makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from skysift.encoders._torchvision import ensure


@pytest.fixture(scope="session")
def hub_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Save a tiny model of transformers by the name of its kind; the same folder each time."""
    root = tmp_path_factory.mktemp("hub")

    def make(kind: str) -> Path:
        folder = root / kind
        if not folder.exists():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(3)
                _tiny(kind).save_pretrained(folder)
        return folder

    return make


def _tiny(kind: str) -> Any:
    ensure()
    import transformers as t

    from skysift.encoders.transformer import quiet

    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    image = {**small, "image_size": 32, "patch_size": 8}
    text = {**small, "vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    stages = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
    makers: dict[str, Callable[[], Any]] = {
        "vit": lambda: t.ViTForImageClassification(t.ViTConfig(**image)),
        "dinov2": lambda: t.Dinov2Model(t.Dinov2Config(**image)),
        "registers": lambda: t.Dinov2WithRegistersModel(t.Dinov2WithRegistersConfig(**image)),
        "mae": lambda: t.ViTMAEForPreTraining(
            t.ViTMAEConfig(
                **image,
                decoder_hidden_size=32,
                decoder_num_hidden_layers=1,
                decoder_num_attention_heads=2,
                decoder_intermediate_size=32,
            )
        ),
        "clip": lambda: t.CLIPModel(t.CLIPConfig(text_config=text, vision_config=image, projection_dim=16)),
        "siglip": lambda: t.SiglipModel(t.SiglipConfig(text_config=text, vision_config=image)),
        "convnext": lambda: t.ConvNextModel(t.ConvNextConfig(**stages)),
        "resnet": lambda: t.ResNetForImageClassification(t.ResNetConfig(**stages, embedding_size=8)),
        "bert": lambda: t.BertModel(t.BertConfig(**small, vocab_size=50)),
    }
    with quiet(t):
        return makers[kind]()
