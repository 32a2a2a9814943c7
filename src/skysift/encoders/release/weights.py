"""Weights and configuration as timm and transformers themselves write them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from skysift.encoders.backbones import timm_library
from skysift.encoders.transformer import quiet, transformers_library

if TYPE_CHECKING:
    from skysift.encoders.encoder import Encoder

SEEN = 4
"""Images by which it is found out where a model of transformers keeps its features."""


def write_weights(encoder: Encoder, folder: Path) -> list[str]:
    """Write weights and configuration such that the library of the backbone loads them by itself.

    Parameters
    ----------
    encoder : Encoder
        On the CPU, in evaluation mode.
    folder : Path
        Gets `model.safetensors` and `config.json`; for transformers `preprocessor_config.json` too.

    Returns
    -------
    list of str
        Lines of Python that load the model from `FOLDER` and compute `features` of normalised `images`.
    """
    return _transformers(encoder, folder) if encoder.description.family == "hf" else _timm(encoder, folder)


def _timm(encoder: Encoder, folder: Path) -> list[str]:
    """Let timm write what `timm.create_model("local-dir:FOLDER", pretrained=True)` reads."""
    about = encoder.description
    timm = timm_library()
    # tag and licence would else be those of timm's own weights of the backbone
    own = {"tag": "skysift", "license": about.origin.get("licence")}
    timm.models.save_for_hf(
        encoder.module,
        str(folder),
        model_config={"pretrained_cfg": own},
        model_args=about.arguments or None,
        safe_serialization=True,
        data_config={
            "input_size": (about.channels, about.image_size, about.image_size),
            "mean": about.mean or (0.0,) * about.channels,
            "std": about.std or (1.0,) * about.channels,
            "crop_pct": 1.0,
            "interpolation": "bilinear",
        },
    )
    return [
        "import timm",
        "",
        'model = timm.create_model("local-dir:FOLDER", pretrained=True).eval()',
        "features = model(images)",
    ]


def _transformers(encoder: Encoder, folder: Path) -> list[str]:
    """Let transformers write what `AutoModel.from_pretrained("FOLDER")` reads."""
    about, module = encoder.description, encoder.module
    transformers = transformers_library()
    with quiet(transformers):
        save: Any = module
        save.save_pretrained(folder)
        if about.channels == 3:
            normalise = about.mean is not None and about.std is not None
            transformers.ViTImageProcessor(
                size={"height": about.image_size, "width": about.image_size},
                do_normalize=normalise,
                **({"image_mean": list(about.mean or ()), "image_std": list(about.std or ())} if normalise else {}),
            ).save_pretrained(folder)
    return [
        "from transformers import AutoModel",
        "",
        'model = AutoModel.from_pretrained("FOLDER").eval()',
        f"features = {_pooling(encoder)}",
    ]


@torch.no_grad()
def _pooling(encoder: Encoder) -> str:
    """Return the expression that gives the encoder's features, found by trying."""
    about = encoder.description
    images = torch.rand(SEEN, about.channels, about.image_size, about.image_size, generator=torch.Generator())
    wanted = encoder.encode(images)
    mean = 0.0 if about.mean is None else torch.tensor(about.mean)[:, None, None]
    std = 1.0 if about.std is None else torch.tensor(about.std)[:, None, None]
    images = ((images - mean) / std).expand(-1, getattr(encoder.module.config, "num_channels", 3), -1, -1)
    for options in ({}, {"interpolate_pos_encoding": True}):
        try:
            output: Any = encoder.module(pixel_values=images, **options)
        except (TypeError, ValueError):
            continue
        given = "".join(f", {name}={value}" for name, value in options.items())
        last, pooled = output.last_hidden_state, getattr(output, "pooler_output", None)
        ways = {
            ".pooler_output.flatten(1)": None if pooled is None else pooled.flatten(1),
            ".last_hidden_state[:, 0]": last[:, 0] if last.ndim == 3 else None,
            ".last_hidden_state.mean(1)": last.mean(1) if last.ndim == 3 else None,
            ".last_hidden_state.mean((2, 3))": last.mean((2, 3)) if last.ndim == 4 else None,
        }
        for text, found in ways.items():
            if found is not None and found.shape == wanted.shape and torch.allclose(found, wanted, atol=1e-5):
                return f"model(pixel_values=images{given}){text}"
    return "model(pixel_values=images)  # skysift pools in its own way: take the ONNX file for equal features"
