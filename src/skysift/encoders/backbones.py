"""Backbones of timm: built from a seed, and read as pooled features or as a map."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from skysift.encoders._torchvision import ensure
from skysift.errors import RequestError

_builders = threading.RLock()


def build_backbone(
    name: str,
    *,
    channels: int = 3,
    seed: int = 0,
    image_size: int | None = None,
    arguments: dict[str, Any] | None = None,
) -> nn.Module:
    """Build a timm backbone with random weights, without its classification head.

    Parameters
    ----------
    name : str
        As in `timm.list_models()`; a tag of pretrained weights after a dot is allowed.
    channels : int
        Channels of the images.
    seed : int
        Of the initial weights; torch's global generator is left as it was.
    image_size : int, optional
        Side of the images [pixel], for backbones that are built for one size (most vision transformers).
    arguments : dict, optional
        Passed on to `timm.create_model`.

    Returns
    -------
    nn.Module
        (B, channels, S, S) -> (B, D), in training mode.

    Raises
    ------
    RequestError
        If timm has no such backbone, or can't build it so.
    """
    timm = timm_library()
    check_name(name)
    options = {**size_arguments(name, image_size), **(arguments or {})}
    with drawing(seed):
        try:
            module: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, in_chans=channels, **options)
        except (TypeError, ValueError, AssertionError, RuntimeError, ArithmeticError) as error:
            raise RequestError(
                f"timm can't build {name} for {channels} channels and {image_size or 'its own'} pixels: {error}."
            ) from error
    return module


@contextmanager
def drawing(seed: int) -> Iterator[None]:
    """Let torch's global generator start from a seed, and put it back afterwards.

    Libraries draw initial weights from that generator, which threads share: one builds at a time.
    """
    with _builders, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def check_name(name: str) -> None:
    """Refuse a name that timm does not know, with the nearest ones.

    Raises
    ------
    RequestError
        If there is no such backbone, or no such tag of it.
    """
    timm = timm_library()
    if not timm.is_model(name):
        near = difflib.get_close_matches(name.split(".")[0], timm.list_models(), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; see timm.list_models()."
        raise RequestError(f"timm has no backbone {name!r}{hint}")
    try:
        timm.models.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise RequestError(f"timm:{name}: {error}") from None


def size_arguments(name: str, image_size: int | None) -> dict[str, Any]:
    """Return the arguments that build a backbone for a side [pixel], empty where it takes any."""
    config = timm_library().models.get_pretrained_cfg(name)
    if image_size is None or config is None or not config.fixed_input_size:
        return {}
    return {"img_size": image_size}


def timm_library() -> Any:
    """Return timm, imported beside a torchvision that works."""
    ensure()
    import timm

    return timm


class TimmFamily:
    """Reads features from a module that timm built."""

    def build(
        self, backbone: str, arguments: dict[str, Any], channels: int, image_size: int, *, seed: int
    ) -> nn.Module:
        """Build the backbone with random weights from a seed."""
        return build_backbone(backbone, channels=channels, image_size=image_size, arguments=arguments, seed=seed)

    def pooled(self, module: nn.Module, images: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, D), pooled as the backbone does before its classifier."""
        features: Tensor = module(images)
        return features.flatten(1)

    def dense(self, module: nn.Module, images: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, D, h, w)."""
        backbone: Any = module
        features: Tensor = backbone.forward_features(images)
        if features.ndim == 3:
            return tokens_to_map(features, int(getattr(backbone, "num_prefix_tokens", 0)))
        if features.shape[1] != backbone.num_features and features.shape[-1] == backbone.num_features:
            return features.permute(0, 3, 1, 2)  # Swin and its like keep the channels last
        return features


def tokens_to_map(tokens: Tensor, prefix: int) -> Tensor:
    """Lay the patch tokens of square images out: (B, prefix + h h, D) -> (B, D, h, h).

    Raises
    ------
    ValueError
        If the number of patches is no square.
    """
    patches = tokens[:, prefix:]
    side = round(patches.shape[1] ** 0.5)
    if side * side != patches.shape[1]:
        raise ValueError(f"{patches.shape[1]} patch tokens are no square map")
    return patches.transpose(1, 2).reshape(tokens.shape[0], -1, side, side)
