"""Where the weights of a training come from: a seed, or an earlier model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skysift.encoders import Encoder, build_backbone
from skysift.encoders.backbones import drawing
from skysift.encoders.checkpoint import WEIGHTS, load_strictly, read_description
from skysift.encoders.layouts import read_tensors
from skysift.errors import RequestError
from skysift.imaging import Preprocess

if TYPE_CHECKING:
    from skysift.encoders import Description
    from skysift.ssl.stages import Train


def new_encoder(stage: Train, start: Path | None = None) -> Encoder:
    """Return the encoder to be trained.

    Parameters
    ----------
    stage : Train
        The request.
    start : Path, optional
        Folder of the model whose backbone is trained further; by default all weights are random, from the seed.

    Raises
    ------
    RequestError
        If there is no such backbone or preset, the method can't train it, or the model has another backbone.
    """
    spec = Preprocess.preset(stage.preprocess, size=stage.image_size, channels=stage.channels)
    backbone = build_backbone(stage.backbone, channels=stage.channels, seed=stage.seed, image_size=stage.image_size)
    with drawing(stage.seed):
        stage.method.prepare(backbone, fresh=start is None)
    encoder = Encoder.of_backbone(backbone, stage.backbone, spec)
    if start is not None:
        _take_over(encoder, start)
    return encoder


def other_preprocessing(encoder: Encoder, start: Path) -> str | None:
    """Return the preset that a model was trained with, where it is not the one that it shall be trained with now."""
    before, now = read_description(start).preprocess, encoder.preprocess
    same = before.model_copy(update={"size": now.size}) == now
    return None if same else before.preset_name


def licence(start: Path) -> str | None:
    """Return the licence of a model's weights, where it came with one."""
    return read_description(start).origin.get("licence")


def _take_over(encoder: Encoder, start: Path) -> None:
    """Load the weights of a model's backbone; it must be the same backbone."""
    before, now = read_description(start), encoder.description
    name = start.name[:12]
    if before.family != now.family or _plain(before) != _plain(now):
        raise RequestError(
            f"--init-from {name} is a {_plain(before)} and can't start a {_plain(now)}: give --backbone "
            f"{_plain(before)}, or another model"
        )
    if before.channels != now.channels:
        raise RequestError(
            f"--init-from {name} takes {before.channels} channels and the request has {now.channels}: give --channels "
            f"{before.channels}, or another model"
        )
    if before.image_size != now.image_size and not _same_shapes(encoder, start):
        raise RequestError(
            f"--init-from {name} has weights for images of {before.image_size} pixels, not {now.image_size}: give "
            f"--image-size {before.image_size}, or another model"
        )
    load_strictly(encoder.module, start / WEIGHTS)


def _same_shapes(encoder: Encoder, start: Path) -> bool:
    """Tell whether a model's weights have the shapes of the encoder's: places of patches depend on the image's size."""
    own = encoder.module.state_dict()
    return all(own[name].shape == value.shape for name, value in read_tensors(start / WEIGHTS).items() if name in own)


def _plain(description: Description) -> str:
    """Return the name of the backbone without the tag of its pretrained weights."""
    return description.backbone.split(".")[0]
