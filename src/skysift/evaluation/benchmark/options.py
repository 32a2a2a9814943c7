"""How one labelled set of a benchmark is used."""

from __future__ import annotations

from pydantic import Field

from skysift.evaluation.options import Drawing


class Task(Drawing):
    """How one labelled set is used: its classes, and how training and test sets are drawn from it."""

    dataset: str = Field(min_length=1, description="Name of the labelled set.")
    classes: tuple[str, ...] = Field(
        (), description="Classes in their order: NAME, or NAME=LABEL+LABEL+... to join labels; by default all labels."
    )
