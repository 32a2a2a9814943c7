"""How images must be made for a model of transformers: what the processor saved beside its weights says."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skysift.errors import SkysiftError, SkysiftWarning

__all__ = ["FILES", "ImageSettings", "image_settings", "side_of"]

FILES = ("preprocessor_config.json", "processor_config.json")
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
USUAL = {
    "clip": _OPENAI,
    "convnext": _IMAGENET,
    "convnextv2": _IMAGENET,
    "dinov2": _IMAGENET,
    "dinov2_with_registers": _IMAGENET,
    "dinov3_convnext": _IMAGENET,
    "dinov3_vit": _IMAGENET,
    "resnet": _IMAGENET,
    "vit_mae": _IMAGENET,
}
"""Mean and scatter that the published checkpoints of a model type were trained with; others: 0.5 and 0.5."""


@dataclass(frozen=True)
class ImageSettings:
    """What becomes of images in [0, 1].

    Attributes
    ----------
    mean, std : tuple of float or None
        One number a channel: taken off, then divided by. None: neither.
    side : int
        Of the images [pixel].
    """

    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    side: int


def image_settings(folder: Path, config: Any, channels: int, name: str) -> ImageSettings:
    """Read how images must be made.

    Parameters
    ----------
    folder : Path
        Holds the model, and its processor.
    config : object
        Configuration of the image model.
    channels : int
        That it takes.
    name : str
        What the user called it, for messages.

    Returns
    -------
    ImageSettings
        For images in [0, 1], whatever range the processor rescales to.

    Warns
    -----
    SkysiftWarning
        There is no processor; the usual numbers of the model's type are taken.

    Raises
    ------
    SkysiftError
        If the processor can't be read.
    """
    own_side = side_of(getattr(config, "image_size", None))
    if not any((folder / file).is_file() for file in FILES):
        mean, std = (USUAL.get(_model_type(config)) if channels == 3 else None) or ((0.5,) * channels,) * 2
        warnings.warn(
            f"hf:{name} comes without {FILES[0]}: its images are normalised by mean {_show(mean)} and scatter "
            f"{_show(std)}, as is usual for its kind; put the file beside the weights if they were trained otherwise.",
            SkysiftWarning,
            stacklevel=2,
        )
        return ImageSettings(tuple(mean), tuple(std), own_side or 224)
    processor = _processor(folder, name)
    side = _target(processor) or own_side or 224
    scale = 255 * processor.rescale_factor if _on(processor, "do_rescale") else 255.0
    scale = 1.0 if abs(scale - 1) < 1e-6 else scale
    if not _on(processor, "do_normalize"):
        return (
            ImageSettings(None, None, side)
            if scale == 1
            else ImageSettings((0.0,) * channels, (1 / scale,) * channels, side)
        )
    mean, std = (tuple(float(v) / scale for v in getattr(processor, key)) for key in ("image_mean", "image_std"))
    return ImageSettings(mean, std, side)


def side_of(value: Any) -> int | None:
    """Read a side [pixel] from 224, [224, 224], {"height": 224, ...} or {"shortest_edge": 224}."""
    if hasattr(value, "get"):
        value = value.get("height") or value.get("shortest_edge") or value.get("longest_edge")
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    return int(value) if value else None


def _processor(folder: Path, name: str) -> Any:
    """Let transformers read the processor; of one that has other parts too, its images'."""
    from skysift.encoders.transformer import first_line, quiet, transformers_library

    transformers = transformers_library()
    with quiet(transformers):
        try:
            return transformers.AutoImageProcessor.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
            raise SkysiftError(
                f"hf:{name}: transformers can't read {folder / FILES[0]} ({first_line(error)}); fetch it again."
            ) from error


def _target(processor: Any) -> int | None:
    """Return the side of the images that a processor makes [pixel]."""
    patches = getattr(processor, "max_num_patches", None)
    if patches:  # SigLIP 2 of any shape: a square image gets as many patches as fit
        return int(patches**0.5) * int(side_of(processor.patch_size) or 1)
    if _on(processor, "do_center_crop") and side_of(getattr(processor, "crop_size", None)):
        return side_of(processor.crop_size)
    return side_of(getattr(processor, "size", None)) if _on(processor, "do_resize") else None


def _on(processor: Any, switch: str) -> bool:
    return bool(getattr(processor, switch, False))


def _model_type(config: Any) -> str:
    return str(config.model_type).removesuffix("_vision_model")


def _show(values: Any) -> str:
    return ", ".join(f"{value:g}" for value in values)
