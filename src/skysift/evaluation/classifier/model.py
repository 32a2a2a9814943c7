"""A classifier on disk and in memory: an encoder, one linear layer, a temperature, and the names of the classes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.torch import save_file
from torch import Tensor, nn

from skysift.encoders.checkpoint import load_checkpoint, load_strictly, save_encoder
from skysift.encoders.encoder import Encoder
from skysift.errors import RequestError, SkysiftError
from skysift.store.digest import write_json

LAYER, DESCRIPTION = "layer.safetensors", "classifier.json"


class ClassifierDescription(BaseModel):
    """What `classifier.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(1, ge=1, le=1, description="Version of this layout.")
    classes: tuple[str, ...] = Field(min_length=2, description="Names of the classes, in the order of the logits.")
    temperature: float = Field(gt=0, description="Divides the logits before the softmax.")


@dataclass(frozen=True)
class Classifier(Encoder):
    """An encoder whose answer to an image are the logits of the classes.

    It goes through cutouts as any encoder does, with the preprocessing that it was trained with.

    Attributes
    ----------
    layer : nn.Linear
        Features -> logits.
    classes : tuple of str
        Names, in the order of the logits.
    temperature : float
        Probabilities are softmax(logits / temperature).
    """

    layer: nn.Linear
    classes: tuple[str, ...]
    temperature: float

    @property
    def dim(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def encode(self, images: Tensor) -> Tensor:
        """(B, C, S, S) as `preprocess` makes them -> logits (B, k)."""
        features = super().encode(images)
        with torch.autocast(images.device.type, enabled=False):
            return self.layer.to(features.device)(features.float())


@dataclass(frozen=True)
class ClassifierRequest:
    """What loads a classifier in a worker."""

    folder: str

    def load(self) -> Classifier:
        """Load it onto the CPU."""
        return load_classifier(self.folder)


def save_classifier(classifier: Classifier, folder: Path, *, notes: dict[str, str]) -> None:
    """Write a classifier into a folder; equal classifiers give equal bytes.

    Parameters
    ----------
    classifier : Classifier
        Weights may be on any device.
    folder : Path
        Gets the encoder's files, `layer.safetensors` and `classifier.json`.
    notes : dict of str to str
        Lines for the model card.
    """
    save_encoder(classifier, folder, notes=notes)
    state = {name: value.detach().cpu().contiguous().clone() for name, value in classifier.layer.state_dict().items()}
    save_file(state, folder / LAYER)
    description = ClassifierDescription(classes=classifier.classes, temperature=classifier.temperature)
    write_json(folder / DESCRIPTION, description.model_dump(mode="json"))


def load_classifier(folder: str | Path) -> Classifier:
    """Load a classifier that `save_classifier` wrote; it needs nothing but its folder.

    Returns
    -------
    Classifier
        On the CPU, in evaluation mode.

    Raises
    ------
    RequestError
        If the folder holds no classifier.
    SkysiftError
        If its files are damaged or don't belong together.
    """
    folder = Path(folder)
    path = folder / DESCRIPTION
    if not path.is_file():
        raise RequestError(f"{folder}: no {DESCRIPTION} in this folder; name what `skysift train-classifier` made.")
    try:
        known: Any = json.loads(path.read_text())
        description = ClassifierDescription.model_validate(known)
    except (ValidationError, ValueError) as error:
        raise SkysiftError(f"{path}: not a classifier's description ({str(error).splitlines()[0]}).") from None
    encoder = load_checkpoint(folder)
    layer = nn.utils.skip_init(nn.Linear, encoder.dim, len(description.classes))
    load_strictly(layer, folder / LAYER)
    return Classifier(encoder.module, encoder.description, layer.eval(), description.classes, description.temperature)
