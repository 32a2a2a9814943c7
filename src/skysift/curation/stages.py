"""The stages of curation: cluster features in a tree, draw a balanced subsample, place new cutouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from skysift.curation.quotas import read_quotas
from skysift.errors import RequestError
from skysift.store.fields import Input
from skysift.store.stage import Stage

if TYPE_CHECKING:
    from skysift.store.context import Context


def _in_order(quotas: object) -> object:
    """Bring quotas into one order and spelling, so that equal requests have equal ids."""
    if not isinstance(quotas, list | tuple) or not all(isinstance(text, str) for text in quotas):
        return quotas
    return tuple(str(quota) for quota in read_quotas(quotas))


class Cluster(Stage):
    """Cluster features in a tree: hierarchical k-means with resampling.

    Level 1 clusters the cutouts, each further level the centroids of the one below it (Vo et al. 2024). Resampling
    refits every level on as many points from each cluster, so that the clusters spread evenly over what there is
    instead of crowding where most cutouts are. A killed run carries on after its last finished round.
    """

    kind: ClassVar[str] = "clusters"
    version: ClassVar[int] = 1
    stops_itself: ClassVar[bool] = True

    features: Annotated[str, Input("features")] = Field(description="Features of cutouts.")
    levels: tuple[PositiveInt, ...] = Field(
        (1000, 100, 10), min_length=1, description="Number of clusters at each level, finest first."
    )
    resample_rounds: NonNegativeInt = Field(10, description="How often each level is refitted on resampled points.")
    resample_points: tuple[PositiveInt, ...] | None = Field(
        None, description="Points taken from each cluster, by level; by default half the mean size of a cluster."
    )
    transform: Literal["none", "standardise", "whiten"] = Field(
        "none",
        description="What is done to the features first: nothing, equal variances, or decorrelated and equal.",
    )
    components: PositiveInt | None = Field(
        None, description="Principal components that are kept when whitening; by default all that vary."
    )
    metric: Literal["l2", "cosine"] = Field("l2", description="Distance between features.")
    init: Literal["k-means++", "k-means||"] = Field("k-means++", description="How first centroids are chosen.")
    max_iterations: PositiveInt = Field(50, description="Most iterations of one k-means.")
    tolerance: NonNegativeFloat = Field(
        5e-4, description="k-means stops when its inertia falls by less than this fraction in an iteration."
    )
    seed: NonNegativeInt = Field(0, description="Seed of first centroids.")

    @model_validator(mode="after")
    def _fits_together(self) -> Cluster:
        if self.resample_points is not None and len(self.resample_points) != len(self.levels):
            raise ValueError(
                f"resample_points names {len(self.resample_points)} numbers for {len(self.levels)} levels: "
                "name one for each level"
            )
        if any(above > below for below, above in zip(self.levels, self.levels[1:], strict=False)):
            given = ",".join(str(count) for count in self.levels)
            raise ValueError(f"levels must fall from the finest to the coarsest, as in 1000,100,10, not {given}")
        if self.components is not None and self.transform != "whiten":
            raise ValueError("components belongs to transform: whiten; set that too or leave components out")
        return self

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take 512 features and a pace of 5e10 multiplications a second."""
        work, below = 0.0, float(rows_in)
        for k in self.levels:
            work += below * k * (12.0 + 7.0 * self.resample_rounds)
            below = k
        return {
            "rows": rows_in,
            "disk_bytes": 8.0 * rows_in + 2048.0 * sum(self.levels),
            "memory_bytes": 5e8 + 1024.0 * min(rows_in, 2e6),
            "seconds": 1 + 512.0 * work / 5e10,
        }

    def check_rows(self, rows_in: int) -> None:
        """Refuse more clusters than there are points."""
        from skysift.curation.levels import check_levels

        check_levels(rows_in, self.levels, self.resample_points)

    def run(self, context: Context) -> dict[str, Any]:
        """Fit the tree and write centroids and assignments of every level."""
        from skysift.curation.work import run_cluster

        return run_cluster(self, context)


class Subsample(Stage):
    """Draw a balanced subsample from a tree of clusters: a catalogue that can be used wherever one is.

    `hierarchical` shares the target evenly among the top clusters, each share among its children, and so on, as far
    as clusters are large enough. `flat`, `uniform` (plain random) and `facility` (k-centre) are there to compare with.
    Writes the catalogue, `selection.parquet` (why each cutout was kept), `duplicates.parquet` (what was left out in
    favour of what) and `report.json` (balance, diversity and sky coverage before and after).
    """

    kind: ClassVar[str] = "subsample"
    version: ClassVar[int] = 1

    clusters: Annotated[str, Input("clusters")] = Field(description="A tree of clusters.")
    target_size: PositiveInt = Field(description="Number of cutouts to keep.")
    rule: Literal["hierarchical", "flat", "uniform", "facility"] = Field(
        "hierarchical", description="How the target is shared out."
    )
    leaf: Literal["random", "closest", "furthest"] = Field(
        "random", description="Which members a finest cluster gives: any, the typical, or the odd."
    )
    duplicate_cosine: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="Leave out cutouts of a finest cluster whose features have a larger cosine with a kept one's.",
    )
    duplicate_overlap: float | None = Field(
        None, ge=0, lt=1, description="Leave out cutouts that share a larger fraction of the sky with a kept one."
    )
    weigh_valid: bool = Field(True, description="Scale a cluster's share by the mean valid fraction of its cutouts.")
    artefact_column: str | None = Field(
        None, description="Column of the catalogue with an artefact score from 0 to 1 that lowers a cutout's weight."
    )
    quotas: Annotated[tuple[str, ...], BeforeValidator(_in_order)] = Field(
        (),
        description="Clusters that give a number of their own, as 2:7=40 (level:cluster=number, level 1 the finest); "
        "the rest of the target is shared among the others.",
    )
    repeats: bool = Field(False, description="Let small clusters give cutouts more than once.")
    seed: NonNegativeInt = Field(0, description="Seed of random choices.")

    @model_validator(mode="after")
    def _quotas_need_the_tree(self) -> Subsample:
        if self.quotas and self.rule != "hierarchical":
            raise ValueError(f"quotas belong to rule: hierarchical, not {self.rule}; choose that or leave them out")
        return self

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take 512 features; only k-centre is slow."""
        slow = 512.0 * rows_in * self.target_size / 2e10 if self.rule == "facility" else 0.0
        return {
            "rows": self.target_size,
            "disk_bytes": 2e5 + 150.0 * self.target_size,
            "memory_bytes": 5e8 + 200.0 * rows_in,
            "seconds": 2 + rows_in / 5e4 + slow,
        }

    def check_rows(self, rows_in: int) -> None:
        """Refuse a target that is larger than the set."""
        if self.target_size > rows_in and not self.repeats:
            raise RequestError(
                f"target size {self.target_size} is larger than the set of {rows_in} cutouts; ask for at most {rows_in}"
            )

    def run(self, context: Context) -> dict[str, Any]:
        """Choose the cutouts and write the catalogue and the report."""
        from skysift.curation.subsample import run_subsample

        return run_subsample(self, context)


class Assign(Stage):
    """Place new cutouts in an existing tree of clusters.

    Writes the catalogue and `assignment.parquet`: the cluster of each cutout at every level, and the distance from the
    centroid of its finest one.
    """

    kind: ClassVar[str] = "assignment"
    version: ClassVar[int] = 1
    rows_from: ClassVar[str | None] = "features"

    clusters: Annotated[str, Input("clusters")] = Field(description="A tree of clusters.")
    features: Annotated[str, Input("features")] = Field(
        description="Features of the new cutouts, by the encoder that the tree's were made with."
    )

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take one search of 1000 centroids."""
        return {"rows": rows_in, "disk_bytes": 120.0 * rows_in, "memory_bytes": 5e8, "seconds": 1 + rows_in / 1e5}

    def run(self, context: Context) -> dict[str, Any]:
        """Find the nearest centroids and write the table."""
        from skysift.curation.work import run_assign

        return run_assign(self, context)
