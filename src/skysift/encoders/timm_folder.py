"""Folders that timm itself writes (`timm.models.save_for_hf`), as the hub's `timm/...` repositories are."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skysift.encoders.backbones import check_name, timm_library
from skysift.encoders.hub import WEIGHTS
from skysift.errors import RequestError, SkysiftError

__all__ = ["TimmFolder", "is_timm_folder", "read_timm_folder"]

CONFIG = "config.json"


@dataclass(frozen=True)
class TimmFolder:
    """A model of timm on disk.

    Attributes
    ----------
    name : str
        Its architecture.
    config : object
        timm's pretrained configuration of these weights: `mean`, `std`, `input_size` (channels, rows, columns),
        `license`.
    arguments : dict
        Further arguments of the architecture.
    weights : Path
        safetensors, or a file that is read without running code in it.
    """

    name: str
    config: Any
    arguments: dict[str, Any]
    weights: Path


def is_timm_folder(folder: Path) -> bool:
    """Tell whether a folder holds a model that timm wrote, not one of transformers."""
    try:
        content = json.loads((folder / CONFIG).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "architecture" in content and "model_type" not in content


def read_timm_folder(folder: Path, asked: str | None = None) -> TimmFolder:
    """Read what a folder says of its model.

    Parameters
    ----------
    folder : Path
        See `is_timm_folder`.
    asked : str, optional
        Name of the backbone that it should hold.

    Raises
    ------
    RequestError
        If it holds another backbone, or one that timm does not know.
    SkysiftError
        If the configuration is damaged, or the weights are missing.
    """
    timm = timm_library()
    try:
        content = json.loads((folder / CONFIG).read_text())
        name, arguments = str(content["architecture"]), dict(content.get("model_args") or {})
        about = {**content.get("pretrained_cfg", content)}
        known = {k: v for k, v in about.items() if k in timm.models.PretrainedCfg.__dataclass_fields__}
        if "img_size" in arguments:
            channels = arguments.get("in_chans", known.get("input_size", (3,))[0])
            side = arguments["img_size"]
            known["input_size"] = (channels, *((side, side) if isinstance(side, int) else side))
        config = timm.models.PretrainedCfg(**known)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SkysiftError(f"{folder / CONFIG} is no configuration of timm ({error}); fetch it again.") from error
    check_name(name)
    if asked is not None and asked.split(".")[0] != name:
        raise RequestError(f"{folder} holds a {name}, not a {asked}; ask for timm:{name}.")
    weights = next((folder / file for file in WEIGHTS if (folder / file).is_file()), None)
    if weights is None:
        raise SkysiftError(f"{folder} has no {' or '.join(WEIGHTS)} beside {CONFIG}; fetch the weights too.")
    # what concerns loading and size is decided here; a configuration shall not name further files
    ours = {*inspect.signature(timm.create_model).parameters, "num_classes", "in_chans", "img_size"}
    return TimmFolder(name, config, {k: v for k, v in arguments.items() if k not in ours}, weights)
