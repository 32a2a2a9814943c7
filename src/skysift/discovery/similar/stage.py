"""The stage that files the features of a large set for quick search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, PositiveInt

from skysift.store.fields import Input
from skysift.store.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from skysift.store.context import Context

INDEX = "index.faiss"


class SearchIndex(Stage):
    """File features in lists of similar cutouts, for quick search among more than a million.

    `skysift similar` makes it when it is needed. Leaves `index.faiss`: rows of length 1 in float16, in about twice the
    square root of their number of lists.
    """

    kind: ClassVar[str] = "index"
    version: ClassVar[int] = 1

    features: Annotated[str, Input("features")] = Field(description="Features of cutouts.")
    probes: PositiveInt = Field(64, description="Lists that are looked into: more find more, and take longer.")
    seed: int = Field(0, ge=0, description="Of the clustering into lists.")

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take 512 features on two cores."""
        lists = 2 * rows_in**0.5
        return {
            "rows": rows_in,
            "disk_bytes": 1040.0 * rows_in,
            "memory_bytes": 5e8 + 1040.0 * rows_in,
            "seconds": 2 + 1024.0 * lists * (rows_in + 640 * lists) / 1e11,
        }

    def run(self, context: Context) -> dict[str, Any]:
        """Train and write the index."""
        from skysift.discovery.similar.inverted import InvertedFile
        from skysift.discovery.similar.scan import inverse_lengths
        from skysift.tables.features import FeatureTable

        table = FeatureTable.open(context.input(self.features))
        inverted = InvertedFile.train(table.array, inverse_lengths(table.array), probes=self.probes, seed=self.seed)
        inverted.save(context.folder / INDEX)
        return {"rows": len(table), "lists": int(inverted.index.nlist)}
