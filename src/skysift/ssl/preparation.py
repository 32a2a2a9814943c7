"""Preprocessing the training set: for one training, or once for several."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skysift.cutouts.pixels import PixelSource
from skysift.errors import RequestError
from skysift.imaging import Preprocess, preprocess
from skysift.imaging.options import OneOf
from skysift.ssl.pack import IMAGES, VALID, Pack, forget_progress, prepare_pack
from skysift.ssl.plan import augment_seeds
from skysift.ssl.stages import Preprocessed

if TYPE_CHECKING:
    from skysift.ssl.stages import Train
    from skysift.store.artifact import Artifact
    from skysift.store.context import Context

PREPROCESS_VIEW = 0xFF
SPEC = "preprocess.json"


def preprocess_once(stage: Preprocessed, context: Context) -> dict[str, Any]:
    """Carry out a request for preprocessed pixels; return its counts."""
    spec = _spec(stage)
    pixels = PixelSource.open(context.input(stage.cutouts), locate=context.locate)
    pack = _prepare(context, pixels, spec, stage.seed)
    forget_progress(pack)
    for name in (IMAGES, VALID):
        (pack.folder / name).rename(context.folder / name)
    (context.folder / SPEC).write_text(json.dumps(spec.model_dump(mode="json"), indent=1, sort_keys=True) + "\n")
    return {"rows": len(pixels)}


def count_cutouts(stage: Train, context: Context) -> int:
    """Return how many cutouts a training has; refuse pixels whose preprocessing is not the one it asks for."""
    source = context.input(stage.cutouts)
    if source.kind != Preprocessed.kind:
        return len(PixelSource.open(source, locate=context.locate))
    _agree(stage, source)
    return len(Pack(source.folder))


def training_pack(stage: Train, context: Context) -> Pack:
    """Return the training set: preprocessed earlier, by whichever request, or now, beside the checkpoints."""
    source = context.input(stage.cutouts)
    if source.kind != Preprocessed.kind:
        found = _earlier(stage, context)
        if found is None:
            pixels = PixelSource.open(source, locate=context.locate)
            return _prepare(context, pixels, _spec(stage), stage.seed)
        source = found
    return Pack(source.folder)


def origin(context: Context, reference: str) -> Artifact:
    """Return the set of cutouts that a training learns from, also where it is given their preprocessed pixels."""
    source = context.input(reference)
    return context.input(source.manifest["config"]["cutouts"]) if source.kind == Preprocessed.kind else source


def prepare_images(images: Any, rows: NDArray[np.int64], *, spec: Preprocess, seed: int) -> tuple[Tensor, Tensor]:
    """Preprocess cutouts as far as they can be augmented: in [0, 1], before means are taken off.

    Returns
    -------
    tuple of Tensor
        Images (B, C, S, S), float32, and masks of valid pixels (B, 1, S, S), bool. Where the preset chooses at
        random, a cutout's choice depends on its row and the seed.
    """
    choices = torch.from_numpy(augment_seeds(rows, seed=seed, epoch=0, view=PREPROCESS_VIEW))
    plain = spec.model_copy(update={"mean": None, "std": None})
    return preprocess(images, plain, seeds=choices, return_mask=True)


def _prepare(context: Context, pixels: PixelSource, spec: Preprocess, seed: int) -> Pack:
    prepare = partial(prepare_images, spec=spec, seed=seed)
    return prepare_pack(context, pixels, len(pixels), prepare, channels=spec.channels, size=spec.size)


def _spec(stage: Train | Preprocessed) -> Preprocess:
    return Preprocess.preset(stage.preprocess, size=stage.image_size, channels=stage.channels)


def _random(spec: Preprocess) -> bool:
    return any(isinstance(spec.channel(number), OneOf) for number in range(spec.channels))


def _earlier(stage: Train, context: Context) -> Artifact | None:
    """Return the preprocessed pixels that the store has of a training's cutouts, if it has them."""
    wanted = Preprocessed(
        cutouts=stage.cutouts,
        preprocess=stage.preprocess,
        channels=stage.channels,
        image_size=stage.image_size,
        seed=stage.seed if _random(_spec(stage)) else 0,
    )
    return context.store.finished(context.store.identify(wanted), Preprocessed.kind)


def _agree(stage: Train, source: Artifact) -> None:
    """Refuse preprocessed pixels that are not what a training asks for."""
    held = {name: source.manifest["config"][name] for name in ("preprocess", "image_size", "channels")}
    if _random(_spec(stage)):
        held["seed"] = source.manifest["config"]["seed"]
    asked = {name: getattr(stage, name) for name in held}
    if asked != held:
        options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in held.items())
        raise RequestError(
            f"preprocessed {source.id[:12]} was made with {options}: give train the same, or the cutouts themselves "
            f"({source.manifest['config']['cutouts'][:12]})"
        )
