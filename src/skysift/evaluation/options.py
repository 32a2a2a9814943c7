"""How samples become training and test sets: options that every protocol shares."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FINEST_ORDER = 18
SplitBy = Literal["auto", "sky", "mosaic", "image", "group", "fixed"]


class Drawing(BaseModel):
    """How samples become training and test sets, with all labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: SplitBy = Field(
        "auto",
        description="What stays together. sky: HEALPix cells, and mosaics where positions are unknown; mosaic: files, "
        "or images where a file is a stack of them; image: nothing but equal images; group: what the data set names, "
        "such as pointings; fixed: the data set's own split; auto: fixed where there is one, else sky.",
    )
    cell_order: int | None = Field(
        None, ge=0, le=FINEST_ORDER, description="HEALPix order of the cells; by default the coarsest with 64 cells."
    )
    test_fraction: float = Field(0.3, gt=0, lt=1, description="Share of each class for the test.")
    folds: int | None = Field(
        None,
        ge=2,
        description="Cross-validation: so many draws in a row test every sample once, in place of test_fraction.",
    )
    validation_fraction: float = Field(
        0.2, gt=0, lt=1, description="Share of the training samples that chooses k and C before the last fit."
    )
    least_validation: int = Field(
        20, ge=1, description="Fewest validation samples that choose; with fewer, k is 5 or less and C is 1."
    )
    train_per_class: int | None = Field(
        None, ge=1, description="Training samples a class and draw; by default all there are."
    )
    test_per_class: int | None = Field(
        None, ge=1, description="Test samples a class and draw; by default all there are."
    )


class Splitting(Drawing):
    """How samples become training and test sets."""

    label_fraction: float = Field(1.0, gt=0, le=1, description="Share of the training labels that may be used.")
