"""How one linear layer on an encoder, or both together, learn from labels."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

FROZEN_EPOCHS, UNFROZEN_EPOCHS = 30, 150


class FineTuning(BaseModel):
    """Options of fine-tuning, after Riggi et al. 2024 (arXiv:2404.18462): AdamW, linear warm-up, cosine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    freeze: bool = Field(False, description="Keep the encoder's weights and train the linear layer alone.")
    epochs: PositiveInt | None = Field(
        None,
        description=f"Passes over the training samples; by default {FROZEN_EPOCHS} frozen, {UNFROZEN_EPOCHS} else.",
    )
    learning_rate: float = Field(5e-4, gt=0, description="Peak rate of AdamW.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay, not of biases and normalisation.")
    warmup: float = Field(
        0.1, ge=0, le=1, description="Share of the steps in which the rate rises linearly; then it falls as a cosine."
    )
    batch_size: PositiveInt = Field(64, description="Images in a step.")
    turn: bool = Field(True, description="Show each image in one of its eight positions (quarter turns, mirrored).")
    standardise: bool = Field(
        True,
        description="freeze: scale features by their mean and scatter before the layer, which takes that up in the "
        "end; without it, features of small scatter teach a layer nothing in so few epochs.",
    )
    balanced: bool = Field(False, description="Weigh classes by the inverse of their number of training samples.")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="Of the encoder's arithmetic: bfloat16 is faster where the device has it, and coarser."
    )

    @property
    def passes(self) -> int:
        """Epochs, the default filled in."""
        return self.epochs or (FROZEN_EPOCHS if self.freeze else UNFROZEN_EPOCHS)
