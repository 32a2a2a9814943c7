"""What the stage `Project` does."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from skysift.cutouts.catalogue import CATALOGUE, MOSAICS
from skysift.discovery.projection.projection import BLOCK, PLACES, Projection, sample_rows
from skysift.tables.features import FeatureTable

if TYPE_CHECKING:
    from skysift.discovery.projection.stage import Project
    from skysift.store.context import Context


def run_project(stage: Project, context: Context) -> dict[str, Any]:
    """Fit, place every cutout and write the arrays; return the counts."""
    source = context.input(stage.features)
    table = FeatureTable.open(source)
    with context.progress.bar(len(table), "project") as bar:
        bar.note("fit")
        projection = Projection.fit(table.array, stage)
        bar.note("place")
        places = np.zeros((len(table), 2), np.float32)
        manifold = projection.manifold
        placed = np.zeros(len(table), bool)
        if manifold is not None:
            rows = sample_rows(len(table), stage.fit_rows, stage.seed)
            places[rows], placed[rows] = manifold.places, True
        for start in range(0, len(table), BLOCK):
            rest = start + np.flatnonzero(~placed[start : start + BLOCK])
            if len(rest):
                places[rest] = projection.transform(table.take(rest))
            bar.advance(min(BLOCK, len(table) - start))
    projection.save(context.folder)
    np.save(context.folder / PLACES, places)
    for name in (CATALOGUE, MOSAICS):
        shutil.copyfile(source.path(name), context.folder / name)
    return {"rows": len(table), "fitted": len(table) if manifold is None else len(manifold.places)}
