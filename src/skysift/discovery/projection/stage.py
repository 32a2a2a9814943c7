"""The stage that puts cutouts on a plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from skysift.errors import RequestError
from skysift.store.fields import Input
from skysift.store.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from skysift.store.context import Context


class Project(Stage):
    """Put cutouts on a plane so that similar ones lie together.

    `umap` keeps neighbours together (McInnes et al. 2018), `pca` shows the two directions of largest variance. UMAP
    places a seeded sample of large sets; every other cutout, now or later, goes to the mean place of its nearest
    neighbours in the sample. Leaves `projection.npy` (N, 2), row by row as the catalogue that is copied beside it, and
    what places new cutouts.
    """

    kind: ClassVar[str] = "projection"
    version: ClassVar[int] = 1

    features: Annotated[str, Input("features")] = Field(description="Features of cutouts.")
    method: Literal["umap", "pca"] = Field("umap", description="How they are placed.")
    neighbours: int = Field(15, ge=2, description="Neighbours that UMAP keeps: few show detail, many the whole.")
    min_dist: float = Field(0.1, ge=0, lt=1, description="Least distance of UMAP's places: small packs groups tightly.")
    metric: Literal["euclidean", "cosine"] = Field("euclidean", description="Distance between features for UMAP.")
    components: PositiveInt = Field(50, description="Principal components that UMAP works on, which leaves out noise.")
    fit_rows: int = Field(50_000, ge=10, description="Cutouts that UMAP places itself.")
    seed: int = Field(0, ge=0, description="Of UMAP and of its sample.")

    @model_validator(mode="after")
    def _fits_together(self) -> Project:
        if self.neighbours >= self.fit_rows:
            raise ValueError(f"{self.neighbours} neighbours among {self.fit_rows} cutouts: raise fit_rows")
        return self

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take 512 features on two cores."""
        fitted = min(rows_in, self.fit_rows) if self.method == "umap" else 0
        kept = 4.0 * (self.components + 2) * fitted
        return {
            "rows": rows_in,
            "disk_bytes": 130.0 * rows_in + kept,
            "memory_bytes": 1e9 + 4 * kept,
            "seconds": 5 + rows_in / 2e5 + 2e-3 * fitted + 1e-9 * rows_in * fitted,
        }

    def check_rows(self, rows_in: int) -> None:
        """Refuse fewer cutouts than neighbours."""
        if rows_in < 3 or (self.method == "umap" and rows_in <= self.neighbours):
            least = self.neighbours + 1 if self.method == "umap" else 3
            raise RequestError(f"{rows_in} cutouts can't be placed by {self.method}; give at least {least}.")

    def run(self, context: Context) -> dict[str, Any]:
        """Fit, place all cutouts and write the arrays."""
        from skysift.discovery.projection.work import run_project

        return run_project(self, context)
