"""Small models that the libraries' own code makes, each with the processor that its kind is published with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from skysift.encoders._torchvision import ensure

SIDE = 32
IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}


@pytest.fixture(scope="session")
def hub_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Save a tiny model of transformers by the name of its kind; the same folder each time."""
    root = tmp_path_factory.mktemp("hub")

    def make(kind: str) -> Path:
        from skysift.encoders.transformer import quiet

        folder = root / kind
        if not folder.exists():
            ensure()
            import transformers

            with torch.random.fork_rng(devices=[]), quiet(transformers):
                torch.manual_seed(3)
                _tiny(kind, transformers).save_pretrained(folder)
                processor = _processor(kind, transformers)
                if processor is not None:
                    processor.save_pretrained(folder)
        return folder

    return make


def _tiny(kind: str, t: Any) -> Any:
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    image = {**small, "image_size": SIDE, "patch_size": 8}
    text = {**small, "vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    stages = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
    flexible = {**small, "patch_size": 8, "num_patches": 16}
    makers: dict[str, Callable[[], Any]] = {
        "vit": lambda: t.ViTForImageClassification(t.ViTConfig(**image)),
        "dinov2": lambda: t.Dinov2Model(t.Dinov2Config(**image)),
        "registers": lambda: t.Dinov2WithRegistersModel(t.Dinov2WithRegistersConfig(**image)),
        "dinov3": lambda: t.DINOv3ViTModel(t.DINOv3ViTConfig(**image, num_register_tokens=4)),
        "dinov3_convnext": lambda: t.DINOv3ConvNextModel(t.DINOv3ConvNextConfig(**stages)),
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
        "siglip2": lambda: t.Siglip2Model(t.Siglip2Config(text_config=text, vision_config=flexible)),
        "convnext": lambda: t.ConvNextModel(t.ConvNextConfig(**stages)),
        "resnet": lambda: t.ResNetForImageClassification(t.ResNetConfig(**stages, embedding_size=8)),
        "bert": lambda: t.BertModel(t.BertConfig(**small, vocab_size=50)),
    }
    return makers[kind]()


def _processor(kind: str, t: Any) -> Any:
    """The processor of the published checkpoints of a kind, for smaller images."""
    square = {"height": SIDE, "width": SIDE}
    cut = {"size": {"shortest_edge": 36}, "crop_size": square}
    makers: dict[str, Callable[[], Any]] = {
        "vit": lambda: t.ViTImageProcessor(size=square),
        "dinov2": lambda: t.BitImageProcessor(**cut, **IMAGENET),
        "registers": lambda: t.BitImageProcessor(**cut, **IMAGENET),
        "dinov3": lambda: t.DINOv3ViTImageProcessor(size=square),
        "dinov3_convnext": lambda: t.DINOv3ViTImageProcessor(size=square),
        "mae": lambda: t.ViTImageProcessor(size=square, **IMAGENET),
        "clip": lambda: t.CLIPImageProcessor(**cut),
        "siglip": lambda: t.SiglipImageProcessor(size=square),
        "siglip2": lambda: t.Siglip2ImageProcessor(patch_size=8, max_num_patches=16),
        "convnext": lambda: t.ConvNextImageProcessor(size={"shortest_edge": SIDE}, **IMAGENET),
        "resnet": lambda: t.ConvNextImageProcessor(size={"shortest_edge": SIDE}, **IMAGENET),
    }
    return makers[kind]() if kind in makers else None
