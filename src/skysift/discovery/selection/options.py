"""Options of the selection of features by labels."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

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
