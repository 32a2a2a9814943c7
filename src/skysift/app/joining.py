"""Columns that other artifacts add to a survey: scores, clusters, classes, selections."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skysift.app.columns import Array, Columns, numbers_of, texts_of
from skysift.errors import SkysiftError
from skysift.store.artifact import Artifact

if TYPE_CHECKING:
    from skysift.app.survey import Survey

PLACE = ("cutout_id", "mosaic", "hdu", "plane", "x0", "y0", "width", "height", "ra", "dec", "healpix29")
"""Columns that every table of cutouts repeats."""


def catalogue_columns(survey: Survey, columns: Columns) -> None:
    """Add the columns of the catalogue, those without any value left out."""
    for field in survey.table.schema:
        column = survey.table.column(field.name)
        if field.name in ("cutout_id", "healpix29") or column.null_count == len(column):
            continue
        metadata = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
        text = not _is_number(field.type)
        read = texts_of if text else numbers_of
        columns.add(
            field.name,
            partial(read, column),
            text=text,
            unit=metadata.get("unit", ""),
            description=metadata.get("description", ""),
        )


def add_scores(survey: Survey, columns: Columns, artifact: Artifact) -> None:
    """Add the scores of an anomalies artifact: `TITLE: SCORE` for each, the ensemble and the rank."""
    path = artifact.folder / "scores.parquet"
    if path.is_file():
        _add_table(survey, columns, artifact, path.name, "Anomaly score, 1 = most anomalous.")


def add_classes(survey: Survey, columns: Columns, artifact: Artifact) -> None:
    """Add the likeliest class, its probability and those of all classes."""
    path = artifact.folder / "classification.parquet"
    if path.is_file():
        _add_table(survey, columns, artifact, path.name, "By a classifier.")


def add_clusters(survey: Survey, columns: Columns, artifact: Artifact) -> None:
    """Add the cluster of each cutout at every level, if the tree is of this survey's features."""
    if artifact.config.get("features") != survey.base.id:
        return
    level = 1
    while (artifact.folder / f"level_{level}_assign.npy").is_file():
        columns.add(
            f"{survey.title(artifact)}: level {level}",
            partial(_level, survey, artifact, level),
            description=f"Cluster at level {level}, 1 = the finest.",
        )
        level += 1


def add_selection(survey: Survey, columns: Columns, artifact: Artifact) -> None:
    """Add whether a subsample holds each cutout."""
    if artifact.id == survey.base.id or not (artifact.folder / "catalogue.parquet").is_file():
        return

    def read() -> Array:
        ids = pq.read_table(artifact.path("catalogue.parquet"), columns=["cutout_id"], partitioning=None)
        rows = survey.rows_of(ids.column("cutout_id"))
        kept = np.zeros(len(survey), np.int8)
        kept[rows[rows >= 0]] = 1
        return kept

    columns.add(f"{survey.title(artifact)}: kept", read, description="1 where the subsample holds the cutout.")


ADDERS: dict[str, Callable[[Survey, Columns, Artifact], None]] = {
    "anomalies": add_scores,
    "clusters": add_clusters,
    "classification": add_classes,
    "subsample": add_selection,
}
"""By kind of artifact, what adds its columns."""


def projection(survey: Survey, artifact: Artifact) -> NDArray[np.float32] | None:
    """Return the points of a projection in the order of the survey's rows, shape (N, 2); None if it shares none."""
    points = np.load(artifact.path("projection.npy"), mmap_mode="r")
    ids = pq.read_table(artifact.path("catalogue.parquet"), columns=["cutout_id"], partitioning=None)
    rows = survey.rows_of(ids.column("cutout_id"))
    if len(rows) != len(points) or not (rows >= 0).any():
        return None
    placed = np.full((len(survey), 2), np.nan, np.float32)
    placed[rows[rows >= 0]] = points[rows >= 0]
    return placed


def _add_table(survey: Survey, columns: Columns, artifact: Artifact, name: str, description: str) -> None:
    schema = pq.read_schema(artifact.path(name))
    title = survey.title(artifact)
    for field in schema:
        if field.name in PLACE:
            continue
        text = not _is_number(field.type)
        columns.add(
            f"{title}: {field.name}",
            partial(_read_joined, survey, artifact, name, field.name, text=text),
            text=text,
            description=description,
        )


def _read_joined(survey: Survey, artifact: Artifact, name: str, column: str, *, text: bool) -> Array:
    """Return a column of an artifact's table in the order of the survey's rows."""
    table = pq.read_table(artifact.path(name), columns=["cutout_id", column], partitioning=None)
    rows = survey.rows_of(table.column("cutout_id"))
    values = (texts_of if text else numbers_of)(table.column(column))
    here = rows >= 0
    if text:
        placed: Array = np.full(len(survey), "", dtype=object)
    elif here.all() and len(rows) == len(survey):
        placed = np.empty(len(survey), values.dtype)
    else:
        placed = np.full(len(survey), np.nan, values.dtype if values.dtype.kind == "f" else np.float64)
    placed[rows[here]] = values[here]
    return placed


def _level(survey: Survey, artifact: Artifact, level: int) -> Array:
    assigned = np.load(artifact.path("level_1_assign.npy"))
    for number in range(2, level + 1):
        assigned = np.load(artifact.path(f"level_{number}_assign.npy"))[assigned]
    if len(assigned) != len(survey):
        raise SkysiftError(f"clusters {artifact.id[:12]} don't fit their features: run `skysift verify {artifact.id}`.")
    return np.asarray(assigned, np.int32)


def _is_number(type_: Any) -> bool:
    return pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_boolean(type_)
