"""What the stage `Subsample` does: duplicates out, weights, the rule, and the tables that say why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skysift.curation.choice import choose, quality
from skysift.curation.duplicates import Removed, cosine_duplicates, thin, window_overlaps
from skysift.curation.report import report
from skysift.curation.sampling.pool import Chosen, Pool
from skysift.curation.tree import Tree
from skysift.curation.work import clustered_features, features_of, path_column, pick_device
from skysift.cutouts.catalogue import Catalogue, write_table
from skysift.errors import RequestError
from skysift.store.digest import write_json

if TYPE_CHECKING:
    from skysift.curation.stages import Subsample
    from skysift.store.context import Context


def run_subsample(stage: Subsample, context: Context) -> dict[str, Any]:
    """Choose the cutouts, write the catalogue and the report; return the counts."""
    clusters = context.input(stage.clusters)
    tree = Tree.open(clusters.folder)
    n = len(tree.parents[0])
    stage.check_rows(n)
    catalogue = Catalogue.open(features_of(clusters, context))
    features = clustered_features(clusters, context)
    paths = tree.path(np.asarray(tree.parents[0]))
    removed = find_duplicates(stage, catalogue, features, paths[:, 0])
    allowed = np.ones(n, dtype=bool)
    for part in removed.values():
        allowed[part.rows] = False
    left = int(allowed.sum())
    if stage.target_size > left and not stage.repeats:
        raise RequestError(
            f"target size {stage.target_size} is larger than the {left} cutouts left of {n} without near-duplicates; "
            f"ask for at most {left}, or raise duplicate-cosine or duplicate-overlap"
        )
    pool = Pool(
        paths=paths,
        distances=np.load(clusters.path("distances.npy"), mmap_mode="r"),
        weights=quality(catalogue, weigh_valid=stage.weigh_valid, artefact_column=stage.artefact_column),
        allowed=allowed,
        features=features,
        repeats=stage.repeats,
    )
    chosen = choose(stage, pool, pick_device(context.device), clusters.config["metric"])
    catalogue.select(chosen.rows).write(context.folder)
    write_table(selection_table(catalogue, pool, chosen), context.folder / "selection.parquet")
    write_table(duplicate_table(catalogue, removed), context.folder / "duplicates.parquet")
    content = report(tree, catalogue, features, pool, chosen, {name: len(part.rows) for name, part in removed.items()})
    write_json(context.folder / "report.json", content)
    return {
        "rows": len(chosen.rows),
        "distinct": len(np.unique(chosen.rows)),
        "duplicates": int(n - left),
        "set": n,
    }


def find_duplicates(
    stage: Subsample, catalogue: Catalogue, features: NDArray[np.float32], leaf: NDArray[np.int32]
) -> dict[str, Removed]:
    """Return what is left out: first for shared sky, then, of the rest, for alike features."""
    snr = catalogue.column("snr").astype(np.float64)
    nobody = Removed(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    removed = {"overlap": nobody, "cosine": nobody}
    if stage.duplicate_overlap is not None:
        removed["overlap"] = thin(window_overlaps(catalogue, stage.duplicate_overlap), snr)
    if stage.duplicate_cosine is not None:
        rest = np.setdiff1d(np.arange(len(catalogue)), removed["overlap"].rows)
        removed["cosine"] = cosine_duplicates(features, leaf, rest, snr, stage.duplicate_cosine)
    return removed


def selection_table(catalogue: Catalogue, pool: Pool, chosen: Chosen) -> Any:
    """Return the table that says why each cutout was kept."""
    whole = chosen.quota >= chosen.held
    reasons = pa.DictionaryArray.from_arrays(
        pa.array(whole.astype(np.int32)), pa.array([chosen.reason, f"{chosen.reason}: all that it holds"])
    )
    return pa.table(
        {
            "row": pa.array(chosen.rows),
            "cutout_id": catalogue.table.column("cutout_id").take(pa.array(chosen.rows)).combine_chunks(),
            "path": path_column(pool.paths[chosen.rows]),
            "reason": reasons.cast(pa.string()),
            "quota": pa.array(chosen.quota, pa.int64()),
            "held": pa.array(chosen.held, pa.int64()),
            "weight": pa.array(pool.weights[chosen.rows].astype(np.float32)),
            "distance": pa.array(np.asarray(pool.distances)[chosen.rows].astype(np.float32)),
        }
    )


def duplicate_table(catalogue: Catalogue, removed: dict[str, Removed]) -> Any:
    """Return the table of what was left out, and in favour of what."""
    rows = np.concatenate([part.rows for part in removed.values()])
    kept = np.concatenate([part.kept for part in removed.values()])
    likeness = np.concatenate([part.likeness for part in removed.values()])
    cause = np.repeat(list(removed), [len(part.rows) for part in removed.values()])
    ids = catalogue.table.column("cutout_id")
    return pa.table(
        {
            "row": pa.array(rows),
            "cutout_id": ids.take(pa.array(rows)).combine_chunks(),
            "kept": ids.take(pa.array(kept)).combine_chunks(),
            "cause": pa.array(cause.astype(str).tolist(), pa.string()),
            "likeness": pa.array(likeness.astype(np.float32)),
        }
    )
