"""The stage that extracts features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from skysift.features.specification import FOLDER, LOCAL, encoder_fields
from skysift.store.fields import Input, Runtime, Source
from skysift.store.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from skysift.store.context import Context


class Features(Stage):
    """Extract the features that an encoder finds in every cutout.

    Leaves `features.npy` (N, D), row by row as the catalogue that is copied beside it, and `features.json`. Interrupted
    work carries on from its last finished block. On one kind of CPU the bytes depend on nothing but the request: not on
    workers, threads or batch size.
    """

    kind: ClassVar[str] = "features"
    version: ClassVar[int] = 1

    cutouts: Annotated[str, Input("cutouts", "merge", "subsample", "dataset", "pack")] = Field(
        description="The cutouts."
    )
    encoder: str = Field(
        "timm:resnet18",
        description="timm:NAME, hf:NAME, the id or name of a model in the store, or a folder of an encoder.",
    )
    model: Annotated[str | None, Input("model")] = Field(
        None, description="A model in the store; takes the place of --encoder."
    )
    weights: Literal["pretrained", "random"] = Field(
        "pretrained", description="The trained weights, or random ones from the seed as a baseline."
    )
    weights_from: Annotated[
        str | None, Source(tree=True, suffixes=(".safetensors", ".pth", ".pt", ".ckpt", ".bin"))
    ] = Field(None, description="Local weights instead of the hub's: a file for timm:NAME, a folder for hf:NAME.")
    seed: int = Field(0, ge=0, description="Of random weights.")
    channels: PositiveInt | None = Field(
        None, description="Channels of the images, where a web model shall not have its own."
    )
    image_size: PositiveInt | None = Field(
        None, description="Side of the images, where a web model shall not have its own [pixel]."
    )
    preprocess: str | None = Field(
        None, description="Preset that turns cutouts into images for a web model; riggi2024 by default."
    )
    orientations: Literal[1, 8] = Field(
        1, description="8: the mean over all flips and quarter turns, as the sky has no up or down; takes 8 passes."
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="Of the arithmetic: bfloat16 is faster where the device has it, and coarser."
    )
    dtype: Literal["float32", "float16"] = Field("float32", description="Type of the numbers on disk.")
    batch_size: Annotated[PositiveInt | None, Runtime()] = Field(
        None, description="Images in one pass on a GPU; less needs less of its memory."
    )

    @model_validator(mode="before")
    @classmethod
    def _sort_encoder(cls, fields: Any) -> Any:
        return encoder_fields(dict(fields)) if isinstance(fields, dict) else fields

    @model_validator(mode="after")
    def _fits_together(self) -> Features:
        default = type(self).model_fields["encoder"].default
        if self.model is not None and (self.encoder != default or self.weights_from is not None):
            raise ValueError("two encoders are named: leave out --model, or --encoder and --weights-from")
        ours = self.model is not None or self.encoder == FOLDER
        if ours and (self.channels or self.image_size or self.preprocess):
            raise ValueError(
                "an encoder of ours brings its own preprocessing: leave out channels, image_size and preprocess"
            )
        if self.encoder in (FOLDER, LOCAL) and self.weights_from is None:
            raise ValueError(f"encoder {self.encoder} needs weights_from, the folder that it lies in")
        return self

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take a ResNet18 on two cores."""
        area = ((self.image_size or 224) / 128) ** 2
        width = 2 if self.dtype == "float16" else 4
        seconds = 5 + 0.006 * area * rows_in * self.orientations
        return {"rows": rows_in, "disk_bytes": 512.0 * width * rows_in, "memory_bytes": 1.5e9, "seconds": seconds}

    def run(self, context: Context) -> dict[str, Any]:
        """Run the encoder over all cutouts."""
        from skysift.features.extract import extract_features

        return extract_features(self, context)
