"""What an encoder is: a backbone, how it was built, and the preprocessing that belongs to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError
from torch import Tensor, nn

from skysift.errors import RequestError
from skysift.imaging import Preprocess


class Description(BaseModel):
    """All that rebuilds an encoder, but for its weights: what `encoder.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    format: Literal[1] = Field(1, description="Version of this layout.")
    family: Literal["timm", "hf"] = Field(description="The library that builds the backbone.")
    backbone: str = Field(description="Its name there: timm's, or the model type of transformers.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="Further arguments of the builder.")
    channels: PositiveInt = Field(3, description="Channels of the images that it takes.")
    image_size: PositiveInt = Field(224, description="Side of the images [pixel].")
    dim: PositiveInt = Field(description="Length of the pooled features.")
    mean: tuple[float, ...] | None = Field(None, description="Taken off each channel before the backbone sees it.")
    std: tuple[float, ...] | None = Field(None, description="Divides each channel after that.")
    preprocess: Preprocess = Field(description="Cutouts with NaN -> images in [0, 1].")
    origin: dict[str, str] = Field(default_factory=dict, description="Where the weights come from.")


class Family(Protocol):
    """What differs between libraries of backbones."""

    def build(
        self, backbone: str, arguments: dict[str, Any], channels: int, image_size: int, *, seed: int
    ) -> nn.Module:
        """Build the backbone with random weights from a seed."""
        ...

    def pooled(self, module: nn.Module, images: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, D)."""
        ...

    def dense(self, module: nn.Module, images: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, D, h, w)."""
        ...


@dataclass(frozen=True)
class Encoder:
    """Images to features, with the preprocessing that the backbone was trained with.

    Attributes
    ----------
    module : nn.Module
        The backbone, in evaluation mode when loaded.
    description : Description
        How it was built.

    Examples
    --------
    >>> encoder = load_encoder("timm:resnet18", weights="random", seed=1)
    >>> images = preprocess(cutouts, encoder.preprocess)
    >>> encoder.encode(images).shape
    torch.Size([64, 512])
    """

    module: nn.Module
    description: Description

    @classmethod
    def of_backbone(
        cls,
        module: nn.Module,
        backbone: str,
        preprocess: Preprocess,
        *,
        channels: int | None = None,
        image_size: int | None = None,
        arguments: dict[str, Any] | None = None,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
        origin: dict[str, str] | None = None,
    ) -> Self:
        """Wrap a timm backbone that `build_backbone` made, trained here or not.

        Parameters
        ----------
        module : nn.Module
            Takes (B, channels, image_size, image_size) and gives (B, D).
        backbone : str
            timm's name for it.
        preprocess : Preprocess
            What turned cutouts into the images that it was trained on.
        channels, image_size : int, optional
            As `preprocess` makes them by default; they must agree with it.
        arguments : dict, optional
            Further arguments that `build_backbone` was given.
        mean, std : tuple of float, optional
            One number a channel.
        origin : dict of str to str, optional
            Where the weights come from, for the model card.
        """
        channels = channels or preprocess.channels
        image_size = image_size or preprocess.size
        description = Description(
            family="timm",
            backbone=backbone,
            arguments=arguments or {},
            channels=channels,
            image_size=image_size,
            dim=measured_dim("timm", module, channels, image_size),
            mean=mean,
            std=std,
            preprocess=preprocess,
            origin=origin or {},
        )
        return cls(module, description)

    @property
    def dim(self) -> int:
        """Length of the pooled features."""
        return self.description.dim

    @property
    def channels(self) -> int:
        """Channels of the images that it takes."""
        return self.description.channels

    @property
    def image_size(self) -> int:
        """Side of the images that it takes [pixel]."""
        return self.description.image_size

    @property
    def preprocess(self) -> Preprocess:
        """How cutouts become those images."""
        return self.description.preprocess

    def encode(self, images: Tensor) -> Tensor:
        """Compute pooled features.

        Parameters
        ----------
        images : Tensor
            (B, C, S, S) as `preprocess` makes them.

        Returns
        -------
        Tensor
            (B, dim). Gradients flow where they are enabled.
        """
        return family_of(self.description.family).pooled(self.module, self._normalised(images))

    def encode_dense(self, images: Tensor) -> Tensor:
        """Compute the last map of features, before pooling.

        Parameters
        ----------
        images : Tensor
            (B, C, S, S) as `preprocess` makes them.

        Returns
        -------
        Tensor
            (B, C, h, w); C is `dim` unless the backbone has a layer behind the pool. Of a vision transformer its patch
            tokens, without class and register tokens.
        """
        return family_of(self.description.family).dense(self.module, self._normalised(images))

    def to(self, device: str | torch.device) -> Self:
        """Move the backbone to a device; on a CPU or CUDA device its weights lie channels-last."""
        module = self.module.to(device)
        if torch.device(device).type in ("cpu", "cuda"):
            module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return replace(self, module=module)

    def digest(self) -> str:
        """Return 32 hex digits of BLAKE2b over names, types, shapes and bytes of all weights and buffers."""
        return weights_digest(self.module)

    def _normalised(self, images: Tensor) -> Tensor:
        wanted = self.description.channels
        if images.ndim != 4 or images.shape[1] != wanted:
            raise ValueError(f"the encoder takes images (B, {wanted}, S, S), not {tuple(images.shape)}")
        if self.description.mean is not None:
            images = images - images.new_tensor(self.description.mean)[:, None, None]
        if self.description.std is not None:
            images = images / images.new_tensor(self.description.std)[:, None, None]
        return images


def preset(
    name: str, *, size: int, channels: int
) -> tuple[Preprocess, tuple[float, ...] | None, tuple[float, ...] | None]:
    """Return a preset of `imaging` that gives images in [0, 1], and apart from it the mean and scatter that it had.

    An encoder normalises by itself, so that augmentation between the two sees images in [0, 1].

    Raises
    ------
    RequestError
        If there is no such preset, or it can't make so many channels.
    """
    try:
        full = Preprocess.preset(name, size=size, channels=channels)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RequestError(f"Preprocessing {name}: {where}: {first['msg']} (got {first['input']!r}).") from None
    return full.model_copy(update={"mean": None, "std": None}), full.mean, full.std


def family_of(name: str) -> Family:
    """Return the family of that name; its library is imported now."""
    if name == "timm":
        from skysift.encoders.backbones import TimmFamily

        return TimmFamily()
    from skysift.encoders.transformer import HubFamily

    return HubFamily()


@torch.no_grad()
def measured_dim(family: str, module: nn.Module, channels: int, image_size: int) -> int:
    """Return the length of the features of one empty image."""
    training = module.training
    first = next(module.parameters())
    try:
        image = torch.zeros(1, channels, image_size, image_size, device=first.device, dtype=first.dtype)
        return int(family_of(family).pooled(module.eval(), image).shape[1])
    finally:
        module.train(training)


def weights_digest(module: nn.Module) -> str:
    """Return 32 hex digits of BLAKE2b over names, types, shapes and bytes of a module's weights and buffers."""
    state = hashlib.blake2b(digest_size=16)
    for name, value in sorted(module.state_dict().items()):
        plain = value.detach().cpu().contiguous()
        state.update(f"{name} {plain.dtype} {tuple(plain.shape)};".encode())
        state.update(plain.flatten().view(torch.uint8).numpy().data)
    return state.hexdigest()
