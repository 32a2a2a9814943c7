"""The stage that ranks cutouts by how unusual they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from skysift.discovery.selection.options import Selecting
from skysift.store.fields import Input
from skysift.store.stage import Stage

if TYPE_CHECKING:
    from skysift.store.context import Context

ScoreName = Literal[
    "extent", "isolation-forest", "knn", "lof", "complexity", "som", "reconstruction", "pixel-std", "islands"
]
SECONDS_A_ROW: Mapping[str, float] = {
    "extent": 3e-3,
    "isolation-forest": 4e-4,
    "knn": 1e-3,
    "lof": 2.5e-3,
    "complexity": 1e-3,
    "som": 5e-3,
    "reconstruction": 2e-2,
    "pixel-std": 1e-4,
    "islands": 3e-3,
}


# The default score was fixed by reasoning and a simulated survey, before any was compared with people's ratings. Nearly
# all radio sources are points, and rare shapes spread their flux without a bright peak; the other scores, and averages
# with them, follow brightness more. `python -m benchmarks anomalies` compares them.
class Anomalies(Selecting, Stage):
    """Rank cutouts by how unusual they are, without labels or with a few.

    Each score is a column of `scores.parquet` in [0, 1], 1 the most anomalous, with the raw number beside it;
    `ensemble` is their rank average and `rank` counts from the most anomalous. Cutouts of several window sizes, in one
    set of features or in several, are ranked within their size and merged; a cutout that several sets of features hold
    (of several encoders) gets the mean. `anomalies.vot` holds the 10,000 most anomalous with their positions.

    With `labels`, forests are grown on the features that tell interesting cutouts from ordinary ones, the best of them
    ranks, and all rankings are scored on labelled cutouts that were held out (`crossing.parquet`, `curves.parquet`).
    """

    kind: ClassVar[str] = "anomalies"
    version: ClassVar[int] = 1

    features: Annotated[tuple[str, ...], Input("features")] = Field(
        min_length=1, description="Features of cutouts; several for several window sizes or encoders."
    )
    score: tuple[ScoreName, ...] = Field(
        ("extent",), min_length=1, description="What ranks; several are averaged by rank."
    )
    transform: Literal["none", "standardise", "whiten"] = Field(
        "standardise",
        description="What is done to the features first: nothing, equal variances, or decorrelated and equal.",
    )
    components: PositiveInt | None = Field(
        None, description="Principal components that are kept when whitening; by default all that vary."
    )
    trees: PositiveInt = Field(200, description="Trees of the isolation forest.")
    max_samples: float | None = Field(
        None, gt=0, le=1, description="Share of the cutouts that a tree of the isolation forest sees; 256 by default."
    )
    neighbours: PositiveInt = Field(5, description="Neighbours of knn.")
    distance: Literal["mean", "kth"] = Field("mean", description="Distance of knn: mean, or to the last neighbour.")
    lof_neighbours: PositiveInt = Field(20, description="Neighbours of lof.")
    map_side: PositiveInt = Field(10, description="Units along each side of the map of som.")
    map_epochs: PositiveInt = Field(10, description="Passes over the cutouts when that map is trained.")
    threshold: float = Field(5.0, gt=0, description="Of islands, over the cutout's median [its rms].")
    seed: NonNegativeInt = Field(0, description="Seed of random choices.")
    candidates: bool = Field(
        False, description="Group windows of one object on the sky: a column `candidate` and `candidates.parquet`."
    )

    @field_validator("score")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(set(names)))

    @model_validator(mode="after")
    def _fits_together(self) -> Anomalies:
        if self.components is not None and self.transform != "whiten":
            raise ValueError("components belongs to transform: whiten; set that too or leave components out")
        return self

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take 512 features and cutouts of 128 pixels on two cores."""
        return {
            "rows": rows_in,
            "rows_at_most": rows_in,
            "disk_bytes": 2e5 + (150.0 + 10.0 * len(self.score)) * rows_in,
            "memory_bytes": 6e8 + 4096.0 * min(rows_in, 1e6),
            "seconds": 3 + rows_in * (sum(SECONDS_A_ROW[name] for name in self.score) + self.seconds_a_row),
        }

    def run(self, context: Context) -> dict[str, Any]:
        """Compute the scores and write the ranking."""
        from skysift.discovery.scores.work import run_anomalies

        return run_anomalies(self, context)
