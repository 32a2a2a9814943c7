"""What `--encoder` may say, and which fields of the stage it fills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FAMILIES = ("timm", "hf")
FOLDER = "folder"
LOCAL = "hf:local"


def split_encoder(spec: str) -> tuple[str | None, str | None]:
    """Tell a model in the store from all else that names an encoder.

    Parameters
    ----------
    spec : str
        `timm:NAME`, `hf:NAME`, `hf:FOLDER`, a folder of an encoder of ours, or the id, prefix or name of a model.

    Returns
    -------
    tuple
        The fields `encoder` and `model` of `Features`; one of them is None.
    """
    if spec.partition(":")[0] in FAMILIES or spec == FOLDER or names_folder(spec):
        return spec, None
    return None, spec


def encoder_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Sort what stands in `encoder` into `encoder`, `model` and `weights_from`.

    Paths become sources, which enter an artifact's id by content, and ids become inputs, which enter its lineage.

    Raises
    ------
    ValueError
        If it names an encoder in two ways.
    """
    spec = fields.get("encoder")
    if not isinstance(spec, str):
        return fields
    encoder, model = split_encoder(spec)
    if model is not None:
        if fields.get("model") not in (None, model):
            raise ValueError(f"two encoders are named: {model} and {fields['model']}; leave one out")
        return {**{k: v for k, v in fields.items() if k != "encoder"}, "model": model}
    family, _, name = spec.partition(":")
    where, known = (spec, FOLDER) if family not in FAMILIES else (name, LOCAL)
    if spec not in (FOLDER, LOCAL) and names_folder(where):
        if fields.get("weights_from") not in (None, where):
            raise ValueError(f"two folders are named: {where} and {fields['weights_from']}; leave one out")
        return {**fields, "encoder": known, "weights_from": where}
    return {**fields, "encoder": encoder}


def names_folder(word: str) -> bool:
    """Tell whether a word is meant as a folder here rather than as a name."""
    return word.startswith(("/", "./", "../", "~")) or Path(word).is_dir()
