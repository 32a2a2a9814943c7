"""From somebody's checkpoint to an encoder of ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from skysift.encoders.backbones import build_backbone
from skysift.encoders.checkpoint import save_encoder
from skysift.encoders.encoder import Encoder, preset
from skysift.encoders.layouts import first_convolution, load_layout, match, numbered, read_tensors, summarise
from skysift.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from skysift.encoders.stages import ImportWeights


def import_weights(stage: ImportWeights, path: str, fingerprint: str, folder: Path) -> dict[str, Any]:
    """Write the encoder that a checkpoint holds.

    Parameters
    ----------
    stage : ImportWeights
        The options.
    path : str
        The checkpoint.
    fingerprint : str
        Its digest, for the model card.
    folder : Path
        Gets `encoder.safetensors`, `encoder.json` and `card.md`.

    Returns
    -------
    dict
        What was loaded and left out.

    Raises
    ------
    RequestError
        If the checkpoint does not fit the backbone.
    SkysiftError
        If it can't be read.
    """
    tensors = read_tensors(path)
    probe = build_backbone(stage.backbone, image_size=stage.image_size)
    found = checkpoint_channels(probe, tensors, stage.prefix)
    channels = stage.channels or found
    preprocess, mean, std = preset(stage.preprocess, size=stage.image_size, channels=channels)
    if stage.mean is not None:
        mean, std = stage.mean, stage.std
    if mean is not None and len(mean) != channels:
        raise RequestError(f"mean and std have {len(mean)} numbers, but the encoder takes {channels} channels.")
    module = build_backbone(stage.backbone, channels=channels, image_size=stage.image_size)
    report = load_layout(module, tensors, prefix=stage.prefix)
    notes = {
        "Imported from": f"a checkpoint with fingerprint {fingerprint}",
        "Weights under": report.prefix or "no prefix",
        "Left out": summarise(report.ignored) or "nothing",
    }
    if report.adapted:
        notes["Adapted"] = report.adapted
    encoder = Encoder.of_backbone(
        module.eval(),
        stage.backbone,
        preprocess,
        channels=channels,
        image_size=stage.image_size,
        mean=mean,
        std=std,
        origin={"weights": f"checkpoint {fingerprint}"},
    )
    save_encoder(encoder, folder, notes=notes)
    return {
        "loaded": report.loaded,
        "ignored": len(report.ignored),
        "left_out": summarise(report.ignored),
        "prefix": report.prefix,
        "layout": report.layout,
        "adapted": report.adapted,
        "parameters": sum(p.numel() for p in module.parameters()),
    }


def checkpoint_channels(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str | None) -> int:
    """Return how many channels the first convolution of a checkpoint takes; the module's where it has none."""
    first = first_convolution(module)
    place, layout = match(module, tensors, prefix=prefix)
    if layout == "numbered":
        first = next((number for number, name in numbered(module).items() if name == first), first)
    weight = tensors.get(place + first)
    if weight is None or weight.ndim != 4:
        own: Tensor | None = module.state_dict().get(first)
        return 3 if own is None else int(own.shape[1])
    return int(weight.shape[1])
