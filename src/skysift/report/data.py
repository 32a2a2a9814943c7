"""What several sections read from artifacts: catalogues, clusters, pixels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skysift.cutouts.catalogue import Catalogue
from skysift.report.family import Family
from skysift.store.artifact import Artifact

CATALOGUES = ("cutouts", "merge", "pack", "dataset", "subsample")
PROTOCOLS = {
    "knn": "kNN",
    "linear": "linear probe",
    "finetune": "fine-tuning",
    "finetune-frozen": "fine-tuning, frozen",
    "finetune-unfrozen": "fine-tuning, unfrozen",
}
"""What protocols of evaluation are called in text."""


@dataclass(frozen=True)
class Tree:
    """Clusters of a family, and how each cutout of their catalogue sits in them.

    Attributes
    ----------
    artifact, features : Artifact
        The clusters and the features that they were made from.
    catalogue : Catalogue
        Of the features.
    levels : list of ndarray of int64, shape (n,)
        Cluster of each cutout at level 1, 2, ...
    n_clusters : list of int
        Number of clusters of each level.
    kept : ndarray of bool or None, shape (n,)
        Cutouts of the nearest subsample made from these clusters.
    subsample : Artifact or None
        That subsample.
    """

    artifact: Artifact
    features: Artifact
    catalogue: Catalogue
    levels: list[NDArray[np.int64]]
    n_clusters: list[int]
    kept: NDArray[np.bool_] | None
    subsample: Artifact | None

    @property
    def top(self) -> NDArray[np.int64]:
        """Return the cluster of each cutout at the top level, shape (n,)."""
        return self.levels[-1]

    def sizes(self, level: int) -> NDArray[np.int64]:
        """Return the number of cutouts in each cluster of a level (0 = the lowest)."""
        return np.bincount(self.levels[level], minlength=self.n_clusters[level]).astype(np.int64)


def load_tree(family: Family) -> Tree | None:
    """Return the clusters that are nearest to the focus, None where there are none."""
    artifact = family.nearest("clusters")
    features = family.inputs(artifact, "features") if artifact is not None else None
    if artifact is None or features is None:
        return None
    levels: list[NDArray[np.int64]] = []
    n_clusters = []
    while (artifact.folder / f"level_{len(levels) + 1}_assign.npy").is_file():
        number = len(levels) + 1
        assigned = np.load(artifact.path(f"level_{number}_assign.npy")).astype(np.int64)
        levels.append(assigned if not levels else assigned[levels[-1]])
        n_clusters.append(len(np.load(artifact.path(f"level_{number}_centroids.npy"), mmap_mode="r")))
    catalogue = Catalogue.open(features)
    if not levels or len(levels[0]) != len(catalogue):
        return None
    subsample = next((s for s in family.all("subsample") if artifact.id in family.upstream(s)), None)
    kept = None if subsample is None else in_catalogue(catalogue, Catalogue.open(subsample))
    return Tree(artifact, features, catalogue, levels, n_clusters, kept, subsample)


def in_catalogue(catalogue: Catalogue, selected: Catalogue) -> NDArray[np.bool_]:
    """Tell which cutouts of a catalogue are also in another."""
    import pyarrow.compute as pc

    found = pc.is_in(catalogue.table.column("cutout_id"), value_set=selected.table.column("cutout_id").combine_chunks())
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)


def read_pixels(family: Family, artifact: Artifact, rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
    """Read cutouts of an artifact that has a catalogue.

    Raises
    ------
    RequestError
        If a mosaic has moved or changed.
    """
    from skysift.cutouts.pixels import PixelSource

    source: Any = PixelSource.open(artifact, family.store.sources.locate)
    return list(source.read(rows))


def load_json(artifact: Artifact, name: str) -> dict[str, Any]:
    """Return the content of a JSON file of an artifact."""
    content: dict[str, Any] = json.loads(artifact.path(name).read_text())
    return content


def encoder_name(family: Family, features: Artifact) -> str:
    """Return what made features: a model of the store, or a web encoder and its weights."""
    model = family.inputs(features, "model")
    if model is not None:
        return f"model {family.title(model)}"
    weights = features.config.get("weights")
    return f"{features.config.get('encoder', 'unknown encoder')}" + (f", {weights}" if weights else "")


def generator(seed: int = 0) -> np.random.Generator:
    """Return the source of what little a report draws at random; fixed, so that equal reports are equal."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed])))
