"""Vision models of transformers, and the image towers of CLIP, SigLIP and their like."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from skysift.encoders._torchvision import ensure
from skysift.encoders.backbones import drawing, tokens_to_map
from skysift.encoders.processors import side_of
from skysift.errors import RequestError, SkysiftError

MAY_LACK = ("pooler.dense.", "embeddings.mask_token")
"""Weights that no feature is read from; transformers makes them up where the checkpoint has none."""


class HubFamily:
    """Builds image models of transformers from their configuration and reads their features."""

    def build(
        self,
        backbone: str,
        arguments: dict[str, Any],
        channels: int,  # noqa: ARG002 - the configuration has it
        image_size: int,  # noqa: ARG002
        *,
        seed: int,
    ) -> nn.Module:
        """Build the model with random weights from a seed; `arguments["config"]` holds its configuration."""
        transformers = transformers_library()
        config = transformers.AutoConfig.for_model(backbone, **arguments["config"])
        return seeded(config, backbone, seed)

    def pooled(self, module: nn.Module, images: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, D): what the model pools itself, else its class token, else the mean."""
        output = _forward(module, images)
        pooled = getattr(output, "pooler_output", None)
        if pooled is not None and not hasattr(getattr(module, "pooler", None), "dense"):
            return pooled.flatten(1)
        last: Tensor = output.last_hidden_state
        if last.ndim == 4:
            return last.mean((2, 3))
        return last[:, 0] if _prefix(module, last, images) else last.mean(1)

    def dense(self, module: nn.Module, images: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, D, h, w)."""
        last: Tensor = _forward(module, images).last_hidden_state
        return last if last.ndim == 4 else tokens_to_map(last, _prefix(module, last, images))


def from_folder(folder: Path, name: str) -> tuple[nn.Module, Any]:
    """Load the image model of a folder that transformers wrote, every weight of it.

    Parameters
    ----------
    folder : Path
        With `config.json` and weights.
    name : str
        What the user called it, for messages.

    Returns
    -------
    tuple
        The module in evaluation mode, and its configuration.

    Raises
    ------
    SkysiftError
        If weights are missing, don't fit, or the model takes no images.
    """
    config = image_config(folder, name)
    module = load_weights(folder, config, name)
    check_takes_images(module, name)
    return module, config


def load_weights(folder: Path, config: Any, name: str) -> nn.Module:
    """Build the model of a configuration with the weights of a folder, in evaluation mode.

    Raises
    ------
    SkysiftError
        If weights are missing or don't fit.
    """
    transformers = transformers_library()
    # the seed is of a head that the checkpoint lacks and nothing reads: the digest shall not vary
    with quiet(transformers), drawing(0):
        try:
            module, info = transformers.AutoModel.from_pretrained(
                folder,
                config=config,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                dtype=torch.float32,
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise SkysiftError(f"hf:{name}: the weights can't be read ({first_line(error)}).") from error
    missing = sorted(k for k in info["missing_keys"] if not k.startswith(MAY_LACK))
    if missing or info["mismatched_keys"]:
        wrong = missing or sorted(str(k[0]) for k in info["mismatched_keys"])
        raise SkysiftError(
            f"hf:{name}: {len(wrong)} weights are missing or of another shape ({', '.join(wrong[:3])} ...): "
            "the checkpoint is not the one that its config.json describes."
        )
    loaded: nn.Module = module.eval()
    return loaded


def image_config(folder: Path, name: str) -> Any:
    """Return the configuration of the image model in a folder: of a two-tower model, that of its image tower."""
    config = whole_config(folder, name)
    tower = getattr(config, "vision_config", None)
    return config if tower is None else tower


def whole_config(folder: Path, name: str) -> Any:
    """Return the configuration of the model in a folder.

    Raises
    ------
    SkysiftError
        If there is none that transformers knows.
    """
    transformers = transformers_library()
    with quiet(transformers):
        try:
            return transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise SkysiftError(
                f"hf:{name}: transformers can't read {folder / 'config.json'} without running code from the "
                f"hub ({first_line(error)}); choose a model that transformers itself knows."
            ) from error


def seeded(config: Any, name: str, seed: int) -> nn.Module:
    """Build an image model with random weights from a seed; torch's global generator is left as it was."""
    transformers = transformers_library()
    with quiet(transformers), drawing(seed):
        module: nn.Module = transformers.AutoModel.from_config(config, trust_remote_code=False)
    check_takes_images(module, name)
    return module.eval()


def check_takes_images(module: Any, name: str) -> None:
    """Refuse a model of text or sound.

    Raises
    ------
    RequestError
        If the model's input is not `pixel_values`.
    """
    if getattr(module, "main_input_name", None) != "pixel_values":
        raise RequestError(f"hf:{name} takes no images but {getattr(module, 'main_input_name', 'something else')}.")


def transformers_library() -> Any:
    """Return transformers, imported beside a torchvision that works."""
    ensure()
    import transformers

    return transformers


@contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Keep transformers from printing progress bars and load reports."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _forward(module: nn.Module, images: Tensor) -> Any:
    """Run a model, at a size other than its own with interpolated positions, and without masking patches."""
    config: Any = module.config
    options: dict[str, Any] = {}
    if images.shape[1] == 1:
        images = images.expand(-1, getattr(config, "num_channels", 3), -1, -1)
    known = inspect.signature(module.forward).parameters
    if "interpolate_pos_encoding" in known and side_of(getattr(config, "image_size", None)) != images.shape[-1]:
        options["interpolate_pos_encoding"] = True
    if "spatial_shapes" in known:
        return _forward_patches(module, images, int(config.patch_size))
    if "noise" in known:
        # a masked autoencoder draws a random order of patches: keep all, in order
        patches = (images.shape[-1] // (side_of(config.patch_size) or 1)) ** 2
        options["noise"] = torch.arange(patches, device=images.device, dtype=images.dtype).expand(len(images), -1)
        config.mask_ratio = 0.0
    return module(pixel_values=images, **options)


def _forward_patches(module: nn.Module, images: Tensor, patch: int) -> Any:
    """Run SigLIP 2 of any shape, which takes rows of patches (B, h w, P P C) and how they lie."""
    side = images.shape[-1] // patch
    rows = images.unfold(2, patch, patch).unfold(3, patch, patch).permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)
    shapes = torch.tensor([[side, side]], device=images.device).expand(len(images), -1)
    mask = torch.ones(rows.shape[:2], dtype=torch.int32, device=images.device)
    return module(pixel_values=rows, pixel_attention_mask=mask, spatial_shapes=shapes)


def _prefix(module: nn.Module, tokens: Tensor, images: Tensor) -> int:
    """Return how many tokens (class, registers) stand before the patches of square images."""
    count = tokens.shape[1]
    patch = side_of(getattr(module.config, "patch_size", None))
    if patch:
        grid = (images.shape[-1] // patch) ** 2
        if 0 <= count - grid < 16:
            return count - grid
    side = int(count**0.5)
    return count - side * side
