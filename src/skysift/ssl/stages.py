"""The stage that trains an encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from skysift.ssl.methods import METHODS, NAMES, AnyMethod, SimCLR, training
from skysift.ssl.presets import expanded
from skysift.store.fields import Input, Runtime
from skysift.store.stage import Stage

if TYPE_CHECKING:
    from skysift.store.context import Context


CUTOUTS = ("subsample", "cutouts", "merge", "pack", "dataset")


class Preprocessed(Stage):
    """Preprocess cutouts once, for several trainings.

    What it holds are pixels as networks take them, not fluxes: only `train` can use it, with the same preprocessing.
    A training from the cutouts themselves finds it too and skips the work; the model is the same to the byte.
    """

    kind: ClassVar[str] = "preprocessed"
    version: ClassVar[int] = 1
    stops_itself: ClassVar[bool] = True

    cutouts: Annotated[str, Input(*CUTOUTS)] = Field(description="Set of cutouts: an id, a prefix or a name.")
    preprocess: str = Field("riggi2024", description="Preset of the preprocessing.")
    channels: Literal[1, 3] = Field(3, description="Channels that preprocessing makes.")
    image_size: int = Field(128, ge=16, description="Side to which cutouts are resized [pixel].")
    seed: NonNegativeInt = Field(
        0, description="For presets that choose at random (mixed): the seed of the trainings that will use it."
    )

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take two cores."""
        return {
            "rows": rows_in,
            "disk_bytes": rows_in * (2.0 * self.channels + 1) * self.image_size**2,
            "memory_bytes": 1e9,
            "seconds": 5 + 0.005 * rows_in,
        }

    def run(self, context: Context) -> dict[str, Any]:
        """Preprocess on the engine, in chunks that survive a kill."""
        from skysift.ssl.preparation import preprocess_once

        return preprocess_once(self, context)


def _own(option: str) -> str:
    """Name the methods that have a default of their own for an option."""
    own = [f"{name} {method.training[option]}" for name, method in METHODS.items() if option in method.training]
    return f"; methods with a default of their own: {', '.join(own)}" if own else ""


class Train(Stage):
    """Train an encoder on cutouts without labels.

    The cutouts are preprocessed once, both views are augmented on the device, and every epoch leaves a checkpoint from
    which the same command carries on. A run that collapses stops with a reason.
    """

    kind: ClassVar[str] = "model"
    version: ClassVar[int] = 1
    stops_itself: ClassVar[bool] = True

    cutouts: Annotated[str, Input(*CUTOUTS, "preprocessed")] = Field(
        description="Cutouts to learn from, or their pixels preprocessed: an id, a prefix of one, or a name."
    )
    init_from: Annotated[str | None, Input("model")] = Field(
        None, description="Model whose backbone is trained further: an id, a prefix of one, or a name; heads are new."
    )
    method: AnyMethod = Field(SimCLR(), description=f"Method of self-supervision: {', '.join(NAMES)}.")
    backbone: str = Field("resnet18", min_length=1, description="Network, by timm's name.")
    channels: Literal[1, 3] = Field(3, description="Channels that preprocessing makes and the network takes.")
    image_size: int = Field(128, ge=16, description="Side to which cutouts are resized [pixel].")
    preprocess: str = Field("riggi2024", description="Preset of the preprocessing.")
    augment: str = Field("hulk", description="Preset of the augmentation.")
    epochs: PositiveInt = Field(100, description="Passes over the cutouts.")
    batch_size: int = Field(
        128, ge=8, description="Images in a step, over all devices; a last partial batch is left out."
    )
    optimizer: Literal["adam", "adamw", "sgd", "lars"] = Field(
        "adam", description=f"How gradients become steps{_own('optimizer')}."
    )
    lr: PositiveFloat = Field(1e-3, description=f"Peak learning rate{_own('lr')}.")
    warmup_epochs: NonNegativeFloat | None = Field(
        None, description="Epochs of linear warm-up before the cosine; by default a tenth of all, at most 10."
    )
    weight_decay: NonNegativeFloat = Field(1e-6, description="Weight decay, not of biases and normalisation.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of sgd and lars.")
    trust_coefficient: PositiveFloat = Field(
        0.001, description="Share of a layer's norm that a step of lars may move it."
    )
    precision: Literal["32-true", "bf16-mixed"] = Field("32-true", description="Arithmetic of the network.")
    seed: NonNegativeInt = Field(0, description="Seed of weights, order and augmentation.")
    threads: Annotated[PositiveInt | None, Runtime()] = Field(
        None, description="CPU threads; by default torch's choice."
    )
    sync_every: Annotated[PositiveInt, Runtime()] = Field(20, description="Steps between two readings of the loss.")
    compile: Annotated[Literal["auto", "always", "never"], Runtime()] = Field(
        "auto", description="torch.compile: auto is on a GPU. It rounds differently, as another device does."
    )

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, options: Any) -> Any:
        """Lay what is given over the preset that it names, and that over what suits the method."""
        if not isinstance(options, Mapping):
            return options
        given = expanded(options)
        return {**training(given.get("method")), **given}

    @model_validator(mode="after")
    def _check(self) -> Train:
        if self.warmup_epochs is not None and self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs:g}) must not exceed epochs ({self.epochs})")
        return self

    @property
    def warmup(self) -> float:
        """Epochs of warm-up."""
        return min(10.0, self.epochs / 10) if self.warmup_epochs is None else self.warmup_epochs

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take a ResNet18 on two cores."""
        area = (self.image_size / 128) ** 2
        pack = rows_in * (2.0 * self.channels + 1) * self.image_size**2
        seen = self.epochs * rows_in
        return {
            "rows": rows_in,
            "disk_bytes": 5e7 + pack + 3e8,
            "memory_bytes": 1e9 + 8e6 * self.batch_size * area,
            "seconds": 10 + 0.005 * rows_in + 0.04 * area * seen,
        }

    def run(self, context: Context) -> dict[str, Any]:
        """Train, and leave encoder, heads, history and training record in the artifact."""
        from skysift.ssl.train import train

        return train(self, context)
