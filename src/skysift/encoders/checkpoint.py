"""Encoders on disk: `encoder.safetensors` for the weights, `encoder.json` for the rest, and a model card."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from skysift.encoders.card import model_card
from skysift.encoders.encoder import Description, Encoder, family_of
from skysift.errors import RequestError, SkysiftError
from skysift.store.digest import write_json

WEIGHTS, DESCRIPTION, CARD = "encoder.safetensors", "encoder.json", "card.md"


def save_encoder(encoder: Encoder, folder: str | Path, *, notes: dict[str, str] | None = None) -> None:
    """Write an encoder into a folder; equal encoders give equal bytes.

    Parameters
    ----------
    encoder : Encoder
        Weights may be on any device.
    folder : path
        Made if it is not there. Gets `encoder.safetensors`, `encoder.json` and `card.md`.
    notes : dict of str to str, optional
        Further lines for the model card: training set, method, score.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {k: v.detach().cpu().contiguous().clone() for k, v in encoder.module.state_dict().items()}
    save_file(state, folder / WEIGHTS)
    write_json(folder / DESCRIPTION, encoder.description.model_dump(mode="json"))
    (folder / CARD).write_text(model_card(encoder, notes or {}))


def load_checkpoint(folder: str | Path, *, random: bool = False, seed: int = 0) -> Encoder:
    """Load an encoder that `save_encoder` wrote; every weight must be there and fit.

    Parameters
    ----------
    folder : path
        Holds `encoder.json` and `encoder.safetensors`.
    random : bool
        Leave the weights aside and draw new ones: the same encoder, untrained.
    seed : int
        Of those.

    Returns
    -------
    Encoder
        On the CPU, in evaluation mode.

    Raises
    ------
    RequestError
        If the folder holds no encoder.
    SkysiftError
        If its files are damaged or don't belong together.
    """
    folder = Path(folder)
    description = read_description(folder)
    module = rebuild(description, seed=seed)
    if not random:
        load_strictly(module, folder / WEIGHTS)
    return Encoder(module.eval(), description)


def read_description(folder: Path) -> Description:
    """Read `encoder.json`.

    Raises
    ------
    RequestError
        If there is none.
    SkysiftError
        If it is damaged.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise RequestError(f"{folder}: no {DESCRIPTION} in this folder; name one that skysift wrote, or timm:/hf:NAME.")
    try:
        return Description.model_validate(json.loads(path.read_text()))
    except (ValidationError, ValueError) as error:
        text = str(error).splitlines()
        raise SkysiftError(f"{path}: not an encoder's description ({' '.join(text[:3])}).") from None


def rebuild(description: Description, *, seed: int = 0) -> nn.Module:
    """Build the backbone of a description with random weights from a seed, torch's generator left as it was."""
    family = family_of(description.family)
    return family.build(
        description.backbone, description.arguments, description.channels, description.image_size, seed=seed
    )


def load_strictly(module: nn.Module, path: Path) -> None:
    """Load a safetensors file into a module.

    Raises
    ------
    SkysiftError
        If it is missing, damaged, or has other weights than the module.
    """
    if not path.is_file():
        raise SkysiftError(f"{path}: the weights are missing; make the model again, or fetch the file.")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise SkysiftError(f"{path}: damaged ({error}); make the model again, or fetch the file anew.") from None
    own = module.state_dict()
    problems = [f"{k} is missing" for k in own if k not in state]
    problems += [f"{k} is unknown" for k in state if k not in own]
    problems += [
        f"{k} is {tuple(state[k].shape)}, not {tuple(own[k].shape)}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    if problems:
        raise SkysiftError(f"{path}: {len(problems)} weights don't fit its {DESCRIPTION}: {'; '.join(problems[:3])}.")
    module.load_state_dict(state, strict=True)
