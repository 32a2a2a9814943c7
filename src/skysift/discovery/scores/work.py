"""What the stage `Anomalies` does: scores by artifact and window size, merged into one ranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skysift.curation.transform import Transform, prepared
from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.merging import drop_repeats
from skysift.cutouts.pixels import PixelSource
from skysift.discovery.candidates import with_candidates
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
from skysift.discovery.scores.write import ranking_table, write_ranking
from skysift.discovery.selection.work import select_by_labels
from skysift.errors import RequestError, Stopped
from skysift.store.artifact import Artifact
from skysift.tables.features import FeatureTable

if TYPE_CHECKING:
    from skysift.discovery.stages import Anomalies
    from skysift.store.context import Context

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
    asked: list[dict[str, Score]] = [
        {name: MAKERS[name](stage, _model_of(source, context)) for name in stage.score} for source in sources
    ]
    for scores in asked:
        for score in scores.values():
            if isinstance(score, Reconstruction):
                score.check()
    parts = [_score_source(stage, source, scores, context) for source, scores in zip(sources, asked, strict=True)]
    catalogue, raw, normalised = merged(parts, stage.score)
    groups = size_groups(catalogue.windows)
    ensemble, mean = ensemble_of(normalised, groups)
    rank = places(ensemble, mean, catalogue.column("cutout_id").astype(str))
    counts: dict[str, Any] = {}
    if stage.selects:
        found = select_by_labels(stage, context, sources, catalogue, groups, {**normalised, "ensemble": ensemble})
        raw, normalised, counts = raw | found.raw, normalised | found.normalised, found.counts
        chosen = found.normalised[found.chosen]
        rank = places(chosen, found.raw[found.chosen], catalogue.column("cutout_id").astype(str))
    catalogue.write(context.folder)
    table = ranking_table(catalogue, raw, normalised, ensemble, rank)
    if stage.candidates:
        table, counts["candidates"] = with_candidates(table, context)
    write_ranking(catalogue, table, context.folder, stage.score)
    made = {"rows": len(catalogue), "scores": len(stage.score), "sizes": len(groups), "features": len(sources)}
    return made | counts


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
    raw: dict[str, Raw] = {}
    images = None
    if of_pixels or of_images:
        image = next((score.preprocess for score in of_images.values()), None)
        pixels = PixelSource.open(_cutouts_of(source, context), locate=context.locate)
        raw, images = read_pixels(pixels, of_pixels, image, context, f"pixels {source.id[:8]}")
    compared = {name: score for name, score in scores.items() if isinstance(score, FeatureScore | ImageScore)}
    if compared:
        raw |= _compare(stage, source, compared, groups, images, context)
    raw = {name: raw[name] for name in scores}
    return Scored(catalogue, raw, {name: _within(column, groups) for name, column in raw.items()})


def _compare(
    stage: Anomalies,
    source: Artifact,
    scores: Mapping[str, FeatureScore | ImageScore],
    groups: Sequence[NDArray[np.int64]],
    images: NDArray[np.float32] | None,
    context: Context,
) -> dict[str, Raw]:
    """Compute the scores that compare cutouts, each within its group; those that an earlier run finished are read."""
    table = FeatureTable.open(source)
    raw = {name: np.full(len(table), np.nan) for name in scores}
    total = round(sum(score.cost for score in scores.values()) * len(table))
    with context.progress.bar(max(1, total), f"scores {source.id[:8]}") as bar:
        for number, rows in enumerate(groups):
            points = None
            for name, score in scores.items():
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
                            points = _points(stage, table, rows, context.scratch / f"{source.id}-{number}")
                        found = score.of_features(points, advance)
                    _save(path, found)
                bar.advance(max(0, round(score.cost * len(rows)) - (bar.done - begun)))
                raw[name][rows] = np.load(path)
    return raw


def _points(stage: Anomalies, table: FeatureTable, rows: NDArray[np.int64], path: Path) -> NDArray[np.float32]:
    """Return the features of some rows as they are compared: transformed."""
    x: NDArray[Any] = table.array if len(rows) == len(table) else table.take(rows)
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
