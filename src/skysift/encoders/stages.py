"""The stage that takes in other people's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, PositiveInt, model_validator

from skysift.store.fields import Source
from skysift.store.stage import Stage

if TYPE_CHECKING:
    from skysift.store.context import Context


class ImportWeights(Stage):
    """Take in a checkpoint that others trained, as a model of ours.

    Reads `.ckpt`, `.pth`, `.pt`, `.bin` and `.safetensors` in the layouts of timm, solo-learn, lightly, torchvision and
    of plain backbones, without running code from the file. Every weight of the backbone must be there; heads, teachers
    and optimisers are left out and counted.
    """

    kind: ClassVar[str] = "model"
    version: ClassVar[int] = 1

    file: Annotated[str, Source(suffixes=(".ckpt", ".pth", ".pt", ".bin", ".safetensors"))] = Field(
        description="The checkpoint; identified by content."
    )
    backbone: str = Field("resnet18", description="timm's name of the backbone that it was trained with.")
    channels: PositiveInt | None = Field(
        None, description="Channels of the images; those of the checkpoint by default, else it is adapted."
    )
    image_size: PositiveInt = Field(224, description="Side of the images that the encoder will take [pixel].")
    preprocess: str = Field("riggi2024", description="Preset that turns cutouts into images as it was trained on.")
    mean: tuple[float, ...] | None = Field(None, description="Taken off each channel of the images, if it needs that.")
    std: tuple[float, ...] | None = Field(None, description="Divides each channel after that.")
    prefix: str | None = Field(
        None, description="What stands before the backbone's names in the checkpoint (`backbone`); found by itself."
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> ImportWeights:
        if (self.mean is None) != (self.std is None) or len(self.mean or ()) != len(self.std or ()):
            raise ValueError("mean and std go together: one number a channel in each")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError("std must be positive")
        return self

    def run(self, context: Context) -> dict[str, Any]:
        """Load, adapt and save the backbone."""
        from skysift.encoders.importing import import_weights

        (source,) = context.sources("file")
        return import_weights(self, source.path, source.fingerprint, context.folder)
