"""What the stage `Anomalies` does: scores by artifact and window size, merged into one ranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skysift.curation.transform import Transform, prepared
from skysift.cutouts.catalogue import Catalogue, write_table
from skysift.cutouts.merging import drop_repeats
from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.place import place_columns, table_field
from skysift.discovery.ranking import ensemble_of, normalised_ranks, places, size_groups
from skysift.discovery.scores.base import FeatureScore, ImageScore, PixelScore, Raw, Score
from skysift.discovery.scores.complexity import Complexity
from skysift.discovery.scores.extent import Extent
from skysift.discovery.scores.islands import IslandCount
from skysift.discovery.scores.isolation_forest import IsolationForest
from skysift.discovery.scores.knn import KNN
from skysift.discovery.scores.lof import LOF
from skysift.discovery.scores.pixel_std import PixelStd
from skysift.discovery.scores.pixels import read_pixels
from skysift.discovery.scores.reconstruction import Reconstruction
from skysift.discovery.scores.som import MapError
from skysift.errors import RequestError, Stopped
from skysift.store.artifact import Artifact
from skysift.tables.features import FeatureTable
from skysift.tables.votable import write_votable

if TYPE_CHECKING:
    from skysift.discovery.stages import Anomalies
    from skysift.store.context import Context

SCORES_FILE, VOTABLE = "scores.parquet", "anomalies.vot"
VOTABLE_ROWS = 10_000
MEANING = {
    "extent": "Largest ratio of an island's sum to its brightest pixel [pixel].",
    "isolation-forest": "Isolation forest: 2^(-depth / expected depth).",
    "knn": "Distance to the nearest neighbours in feature space.",
    "lof": "Local outlier factor.",
    "complexity": "Coarse-grained complexity [byte].",
    "som": "Distance to the nearest unit of a map of small images, over flips and quarter turns.",
    "reconstruction": "Mean squared error of what the decoder painted in.",
    "pixel-std": "Minus the standard deviation of the pixels.",
    "islands": "Number of islands of emission.",
}

MAKERS: Mapping[str, Callable[[Anomalies, str], Score]] = {
    "isolation-forest": lambda stage, _: IsolationForest(stage.trees, stage.max_samples or "auto", stage.seed),
    "knn": lambda stage, _: KNN(stage.neighbours, stage.distance, stage.seed),
    "lof": lambda stage, _: LOF(stage.lof_neighbours, stage.seed),
    "complexity": lambda *_: Complexity(),
    "extent": lambda *_: Extent(),
    "som": lambda stage, _: MapError(stage.map_side, stage.map_epochs, seed=stage.seed),
    "reconstruction": lambda stage, model: Reconstruction(model, stage.seed),
    "pixel-std": lambda *_: PixelStd(),
    "islands": lambda stage, _: IslandCount(stage.threshold),
}


@dataclass(frozen=True)
class Scored:
    """The scores of one set of features.

    Attributes
    ----------
    catalogue : Catalogue
        Its N cutouts.
    raw, normalised : dict of str to ndarray (N,)
        By score; normalised within each window size.
    """

    catalogue: Catalogue
    raw: dict[str, Raw]
    normalised: dict[str, Raw]


def run_anomalies(stage: Anomalies, context: Context) -> dict[str, Any]:
    """Compute the scores and write the ranking; return the counts.

    Raises
    ------
    RequestError
        If features are not finite, cutouts are too few, or a score can't be had of these features.
    """
    sources = [context.input(id_) for id_ in sorted(set(stage.features))]
    asked = [{name: MAKERS[name](stage, _model_of(source, context)) for name in stage.score} for source in sources]
    for scores in asked:
        for score in scores.values():
            if isinstance(score, Reconstruction):
                score.check()
    parts = [_score_source(stage, source, scores, context) for source, scores in zip(sources, asked, strict=True)]
    catalogue, raw, normalised = merged(parts, stage.score)
    groups = size_groups(catalogue.windows)
    ensemble, mean = ensemble_of(normalised, groups)
    rank = places(ensemble, mean, catalogue.column("cutout_id").astype(str))
    catalogue.write(context.folder)
    table = _table(catalogue, raw, normalised, ensemble, rank)
    write_table(table, context.folder / SCORES_FILE)
    _write_votable(catalogue, table, rank, context.folder / VOTABLE, stage)
    return {"rows": len(catalogue), "scores": len(stage.score), "sizes": len(groups), "features": len(sources)}


def chosen_columns(stage: Anomalies, table: FeatureTable, context: Context) -> NDArray[np.int64] | None:  # noqa: ARG001
    """Return which of the features are used; None: all. The place for a choice of features by labels."""
    return None


def merged(parts: Sequence[Scored], names: Sequence[str]) -> tuple[Catalogue, dict[str, Raw], dict[str, Raw]]:
    """Put the scores of several sets of features together, each cutout once with its mean.

    Parameters
    ----------
    parts : sequence of Scored
        Several encoders on the same cutouts, several window sizes, or both.
    names : sequence of str
        The scores that each has.

    Returns
    -------
    catalogue : Catalogue
        N distinct cutouts, in the order in which they first appear.
    raw, normalised : dict of str to ndarray (N,)
    """
    if len(parts) == 1:
        return parts[0].catalogue, parts[0].raw, parts[0].normalised
    together = Catalogue.concat([part.catalogue for part in parts])
    ids = together.column("cutout_id").astype("S16")
    catalogue = drop_repeats(together)
    kept = catalogue.column("cutout_id").astype("S16")
    order = kept.argsort()
    row = order[np.searchsorted(kept[order], ids)]

    def average(columns: list[Raw]) -> Raw:
        every = np.concatenate(columns)
        known = ~np.isnan(every)
        total = np.bincount(row[known], every[known], minlength=len(kept))
        count = np.bincount(row[known], minlength=len(kept))
        return np.divide(total, count, out=np.full(len(kept), np.nan), where=count > 0)

    raw = {name: average([part.raw[name] for part in parts]) for name in names}
    normalised = {name: average([part.normalised[name] for part in parts]) for name in names}
    return catalogue, raw, normalised


def _score_source(stage: Anomalies, source: Artifact, scores: Mapping[str, Score], context: Context) -> Scored:
    """Score the cutouts of one features artifact, size by size."""
    table, catalogue = FeatureTable.open(source), Catalogue.open(source)
    if not len(table):
        raise RequestError(f"features {source.id[:12]} hold no cutouts; make them of others.")
    _check_finite(table, source)
    groups = size_groups(catalogue.windows)
    of_pixels = {name: score for name, score in scores.items() if isinstance(score, PixelScore)}
    of_images = {name: score for name, score in scores.items() if isinstance(score, ImageScore)}
    raw, images = {}, None
    if of_pixels or of_images:
        image = next((score.preprocess for score in of_images.values()), None)
        pixels = PixelSource.open(_cutouts_of(source, context), locate=context.locate)
        raw, images = read_pixels(pixels, of_pixels, image, context, f"pixels {source.id[:8]}")
    columns = chosen_columns(stage, table, context)
    compared = {name: score for name, score in scores.items() if isinstance(score, FeatureScore | ImageScore)}
    cost = sum(score.cost for score in compared.values())
    with context.progress.bar(max(1, round(cost * len(table))), f"scores {source.id[:8]}") as bar:
        for number, rows in enumerate(groups):
            points = None
            for name, score in compared.items():
                path = context.scratch / f"{source.id}-{number}-{name}.npy"
                bar.note(name)
                begun = bar.done
                if not path.exists():
                    _stop_if_asked(context)
                    advance = _weighted(bar.advance, score.cost)
                    if isinstance(score, ImageScore):
                        found = score.of_images(_rows_of(images, rows), advance)
                    else:
                        if points is None:
                            points = _points(stage, table, rows, columns, context.scratch / f"{source.id}-{number}")
                        found = score.of_features(points, advance)
                    _save(path, found)
                bar.advance(max(0, round(score.cost * len(rows)) - (bar.done - begun)))
                raw.setdefault(name, np.full(len(table), np.nan))[rows] = np.load(path)
    raw = {name: raw[name] for name in scores}
    return Scored(catalogue, raw, {name: _within(column, groups) for name, column in raw.items()})


def _points(
    stage: Anomalies, table: FeatureTable, rows: NDArray[np.int64], columns: NDArray[np.int64] | None, path: Path
) -> NDArray[np.float32]:
    """Return the features of some rows as they are compared: chosen and transformed."""
    x: NDArray[Any] = table.array if len(rows) == len(table) else table.take(rows)
    x = x if columns is None else np.asarray(x[:, columns])
    transform = Transform.fit(x, stage.transform, stage.components)
    return prepared(x, transform, path.with_suffix(".points.npy"))


def _within(raw: Raw, groups: Sequence[NDArray[np.int64]]) -> Raw:
    """Return normalised ranks within each group."""
    found = np.empty(len(raw))
    for rows in groups:
        found[rows] = normalised_ranks(raw[rows])
    return found


def _check_finite(table: FeatureTable, source: Artifact) -> None:
    start, bad, first = 0, 0, -1
    for chunk in table.iter_chunks():
        wrong = np.flatnonzero(~np.isfinite(chunk).all(axis=1))
        first = start + int(wrong[0]) if first < 0 and len(wrong) else first
        bad, start = bad + len(wrong), start + len(chunk)
    if bad:
        raise RequestError(
            f"features {source.id[:12]}: {bad} of {len(table)} rows hold NaN or infinite values (the first is row "
            f"{first}); extract them again or leave those cutouts out."
        )


def _cutouts_of(source: Artifact, context: Context) -> Artifact:
    """Return where the pixels of features are read: a pack where they were made of one."""
    named = source.config.get("cutouts")
    return context.input(named) if isinstance(named, str) else source


def _model_of(source: Artifact, context: Context) -> str:
    """Return the folder of the model that made the features; their own where no model in the store did."""
    named = source.config.get("model")
    return str((context.input(named) if isinstance(named, str) else source).folder)


def _rows_of(images: NDArray[np.float32] | None, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    if images is None:
        raise ValueError("no images were read for a score that compares them")
    return images if len(rows) == len(images) else images[rows]


def _weighted(advance: Callable[[int], None], cost: float) -> Callable[[int], None]:
    """Return a counter of rows that moves a bar by their cost, in whole steps."""
    rows = shown = 0

    def count(n: int) -> None:
        nonlocal rows, shown
        rows += n
        step = int(rows * cost) - shown
        shown += step
        advance(step)

    return count


def _save(path: Path, values: Raw) -> None:
    waiting = path.with_suffix(".partial")
    with waiting.open("wb") as stream:
        np.save(stream, values)
    waiting.replace(path)


def _stop_if_asked(context: Context) -> None:
    if context.should_stop():
        raise Stopped("stopped between two scores; the same command carries on after the last finished one")


def _table(
    catalogue: Catalogue, raw: Mapping[str, Raw], normalised: Mapping[str, Raw], ensemble: Raw, rank: NDArray[np.int64]
) -> Any:
    """Return the table of scores, in the catalogue's order."""
    fields = [table_field("cutout_id", pa.string(), "Digest of mosaic, HDU, plane and window.", "meta.id;meta.main")]
    columns: list[Any] = [catalogue.table.column("cutout_id").cast(pa.string()).combine_chunks()]
    for name in raw:
        column = name.replace("-", "_")
        said = MEANING[name]
        fields += [
            table_field(column, pa.float32(), f"Rank by {name}, 1 the most anomalous.", "stat.rank"),
            table_field(f"{column}_raw", pa.float32(), said, "stat.value"),
        ]
        columns += [pa.array(normalised[name].astype(np.float32)), pa.array(raw[name].astype(np.float32))]
    fields += [
        table_field("ensemble", pa.float32(), "Rank by the mean of all ranks, 1 the most anomalous.", "stat.rank"),
        table_field("rank", pa.int64(), "Place in the ranking, from 1.", "meta.number;stat.rank"),
    ]
    columns += [pa.array(ensemble.astype(np.float32)), pa.array(rank)]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _write_votable(catalogue: Catalogue, table: Any, rank: NDArray[np.int64], path: Path, stage: Anomalies) -> None:
    """Write the most anomalous with their positions, the first one first."""
    first = pa.array(rank.argsort()[:VOTABLE_ROWS])
    place_fields, place = place_columns(catalogue.table.take(first))
    scores = table.take(first).drop_columns(["cutout_id"])
    fields = [*place_fields, *scores.schema]
    both = pa.Table.from_arrays([*place, *scores.columns], schema=pa.schema(fields))
    said = f"The {len(first)} most anomalous of {len(rank)} cutouts by {', '.join(stage.score)}"
    write_votable(both, path, name="anomalies", description=said)
