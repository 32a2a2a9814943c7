"""What the stages `Cluster` and `Assign` do."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from skysift.curation.hierarchy import HierarchicalKMeans
from skysift.curation.kmeans import assign
from skysift.curation.transform import Matrix, Transform, prepared
from skysift.curation.tree import Tree
from skysift.cutouts.catalogue import CATALOGUE, MOSAICS, Catalogue, write_table
from skysift.errors import RequestError, Stopped
from skysift.store.artifact import Artifact
from skysift.tables.features import FeatureTable

if TYPE_CHECKING:
    from skysift.curation.stages import Assign, Cluster
    from skysift.store.context import Context


def run_cluster(stage: Cluster, context: Context) -> dict[str, Any]:
    """Fit the tree, resuming from what is in scratch; return the counts."""
    table = FeatureTable.open(context.input(stage.features))
    stage.check_rows(len(table))
    transform = Transform.fit(table.array, stage.transform, stage.components)
    features = prepared(table.array, transform, context.scratch / "points.npy")
    with context.progress.bar(1000, "cluster") as bar:

        def advance(share: int, text: str) -> None:
            bar.note(text)
            bar.advance(share)

        model = HierarchicalKMeans(
            stage.levels,
            resample_rounds=stage.resample_rounds,
            resample_points=stage.resample_points,
            metric=stage.metric,
            init=stage.init,
            max_iterations=stage.max_iterations,
            tolerance=stage.tolerance,
            seed=stage.seed,
            device=pick_device(context.device),
            scratch=context.scratch,
            check=stopper(context),
            advance=advance,
        ).fit(features)
    if transform is not None:
        transform.save(context.folder)
    tree = model.tree_
    np.save(context.folder / "distances.npy", model.distances_)
    tree.save(context.folder, {"inertia": model.inertias_, "metric": stage.metric, "transform": stage.transform})
    return {
        "rows": len(table),
        "clusters": sum(len(c) for c in tree.centroids),
        "empty": int(sum((level == 0).sum() for level in tree.sizes())),
    }


def run_assign(stage: Assign, context: Context) -> dict[str, Any]:
    """Place cutouts in a tree; return the counts."""
    clusters, source = context.input(stage.clusters), context.input(stage.features)
    new = FeatureTable.open(source)
    old = FeatureTable.open(features_of(clusters, context))
    if new.description.get("encoder") != old.description.get("encoder"):
        raise RequestError(
            f"features {source.id[:8]} come from another encoder than those of the tree {clusters.id[:8]}; "
            "extract them with the same encoder, weights and preprocessing"
        )
    tree, transform = Tree.open(clusters.folder), Transform.open(clusters.folder)
    features = prepared(new.array, transform, context.scratch / "points.npy")
    metric = clusters.config["metric"]
    leaf, distances = assign(features, tree.centroids[0], metric=metric, device=pick_device(context.device))
    catalogue = Catalogue.open(source)
    table = pa.table(
        {
            "row": pa.array(np.arange(len(new))),
            "cutout_id": catalogue.table.column("cutout_id").combine_chunks(),
            "path": path_column(tree.path(leaf)),
            "distance": pa.array(distances),
        }
    )
    write_table(table, context.folder / "assignment.parquet")
    for name in (CATALOGUE, MOSAICS):
        shutil.copyfile(source.path(name), context.folder / name)
    return {"rows": len(new), "clusters": len(np.unique(leaf))}


def features_of(clusters: Artifact, context: Context) -> Artifact:
    """Return the features that a tree was made from."""
    return context.input(clusters.config["features"])


def clustered_features(clusters: Artifact, context: Context) -> Matrix:
    """Return the features as they were clustered: transformed, float32, memory-mapped."""
    table = FeatureTable.open(features_of(clusters, context))
    return prepared(table.array, Transform.open(clusters.folder), context.scratch / "points.npy")


def path_column(paths: NDArray[np.int32]) -> Any:
    """Return the clusters of each cutout, finest first, as a column of lists."""
    flat = pa.array(np.ascontiguousarray(paths).ravel(), pa.int32())
    return pa.FixedSizeListArray.from_arrays(flat, paths.shape[1]).cast(pa.list_(pa.int32()))


def stopper(context: Context) -> Any:
    """Return a function that raises when a clean stop was asked for."""

    def check() -> None:
        if context.should_stop():
            raise Stopped("stopped between two iterations; the same command carries on after the last finished round")

    return check


def pick_device(name: str) -> str:
    """Return a torch device's name; `auto` is the first GPU, else the CPU.

    Raises
    ------
    RequestError
        If there is no such device here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        text = str(error).splitlines()[0].rstrip(".")
        raise RequestError(f"--device {name} can't be used here ({text}); use cpu or auto") from None
    return name
