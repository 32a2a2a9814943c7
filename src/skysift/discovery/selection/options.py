"""Options of the selection of features by labels."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from skysift.store.fields import Source

TABLES = (".csv", ".tsv", ".ecsv", ".parquet", ".vot", ".votable", ".xml")


class Selecting(BaseModel):
    """Which labels select features, and what is tried with them (Riggi et al. 2024, arXiv:2404.18462, section 5)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: Annotated[str | None, Source(suffixes=TABLES)] = Field(
        None,
        description="Table (CSV, Parquet, VOTable) with cutout_id and label, several labels parted by commas: the "
        "features that tell interesting cutouts from ordinary ones are selected, and every ranking is scored.",
    )
    own_labels: bool = Field(False, description="Select by the labels that the catalogue has.")
    interesting: tuple[str, ...] = Field(
        ("EXTENDED", "DIFFUSE", "DIFFUSE-LARGE"),
        min_length=1,
        description="A cutout with one of these labels is interesting.",
    )
    ordinary: tuple[str, ...] = Field(
        ("BACKGROUND", "COMPACT"),
        min_length=1,
        description="A cutout with no other labels than these is ordinary; all else is neither and teaches nothing.",
    )
    top: tuple[PositiveInt, ...] = Field(
        (2, 5, 10, 15), min_length=1, description="Numbers of selected features with which a forest is grown."
    )
    scan: bool = Field(False, description="Try the settings of the forest that Riggi et al. (2024) tried; slow.")
    label_parts: int = Field(
        2, ge=2, description="One of so many parts of the labelled cutouts is held out and scored; the others select."
    )

    @model_validator(mode="after")
    def _labels_once(self) -> Selecting:
        if self.labels is not None and self.own_labels:
            raise ValueError("labels come from a table or from the catalogue: leave out labels or own_labels")
        return self

    @property
    def selects(self) -> bool:
        """Whether labels are used."""
        return self.labels is not None or self.own_labels

    @property
    def seconds_a_row(self) -> float:
        """Time that the forests take for a cutout, about [s]."""
        if not self.selects:
            return 0.0
        return len(self.top) * (2e-2 if self.scan else 4e-4)
