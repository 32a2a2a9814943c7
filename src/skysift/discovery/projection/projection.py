"""A fitted projection: where cutouts are, and where new ones go."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from skysift.discovery.projection.components import PrincipalComponents, unit_rows
from skysift.discovery.projection.manifold import Manifold
from skysift.errors import RequestError, SkysiftError
from skysift.store.digest import write_json

if TYPE_CHECKING:
    from skysift.discovery.projection.stage import Project
    from skysift.store.artifact import Artifact

PLACES, DESCRIPTION = "projection.npy", "projection.json"
BLOCK = 16384


@dataclass(frozen=True)
class Projection:
    """From features to places on a plane.

    Attributes
    ----------
    description : dict
        `method`, `metric`, `neighbours`, `dim`, `encoder` and `weights` of the features, `shares` of the variance.
    components : PrincipalComponents
    manifold : Manifold or None
        None for `pca`.

    Examples
    --------
    >>> projection = Projection.open(store.get("90ab"))
    >>> places = projection.transform(FeatureTable.open(store.get("77ab")).take([0, 1]))
    """

    description: dict[str, Any]
    components: PrincipalComponents
    manifold: Manifold | None

    @classmethod
    def fit(cls, features: NDArray[Any], stage: Project) -> Self:
        """Fit to features (N, D), on a seeded sample of them where there are more than `stage.fit_rows`."""
        stage.check_rows(len(features))
        unit = stage.metric == "cosine" and stage.method == "umap"
        kept = 2 if stage.method == "pca" else min(stage.components, features.shape[1])
        components = PrincipalComponents.fit(features, kept, unit=unit)
        description = {
            "method": stage.method,
            "metric": stage.metric,
            "neighbours": stage.neighbours,
            "dim": int(features.shape[1]),
            "shares": [float(share) for share in components.shares[:2]],
        }
        if stage.method == "pca":
            return cls(description, components, None)
        rows = sample_rows(len(features), stage.fit_rows, stage.seed)
        taken = np.asarray(features[rows])
        points = components(unit_rows(taken) if unit else taken).astype(np.float32)
        manifold = Manifold.fit(points, neighbours=stage.neighbours, min_dist=stage.min_dist, seed=stage.seed)
        return cls(description, components, manifold)

    def transform(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Return the places (M, 2) of cutouts by their features (M, D), each whatever the others are.

        Raises
        ------
        RequestError
            If they have another length or hold NaN or infinite values.
        """
        if features.ndim != 2 or features.shape[1] != self.description["dim"]:
            raise RequestError(
                f"features of shape {features.shape} can't be placed on a map of {self.description['dim']} features; "
                "extract them with the encoder that the map was made with."
            )
        places = np.zeros((len(features), 2), np.float32)
        unit = self.manifold is not None and self.description["metric"] == "cosine"
        for start in range(0, len(features), BLOCK):
            rows = np.asarray(features[start : start + BLOCK])
            if not np.isfinite(rows).all():
                raise RequestError("the features hold NaN or infinite values; extract them again.")
            points = self.components(unit_rows(rows) if unit else rows).astype(np.float32)
            here = points if self.manifold is None else self.manifold(points)
            places[start : start + BLOCK, : here.shape[1]] = here
        return places

    def save(self, folder: Path) -> None:
        """Write plain arrays and `projection.json`."""
        write_json(folder / DESCRIPTION, self.description)
        self.components.save(folder)
        if self.manifold is not None:
            self.manifold.save(folder)

    @classmethod
    def open(cls, where: Artifact | Path) -> Self:
        """Open the projection of an artifact or in a folder.

        Raises
        ------
        RequestError
            If there is none.
        SkysiftError
            If it is damaged.
        """
        folder = where if isinstance(where, Path) else where.folder
        path = folder / DESCRIPTION
        if not path.is_file():
            raise RequestError(f"{folder}: no {DESCRIPTION} here; name an artifact that `skysift project` made.")
        try:
            description = json.loads(path.read_text())
            manifold = None
            if description["method"] == "umap":
                manifold = Manifold.open(folder, int(description["neighbours"]))
        except (ValueError, KeyError) as error:
            raise SkysiftError(f"{path}: damaged ({error}); `skysift verify` says what is wrong.") from error
        return cls(description, PrincipalComponents.open(folder), manifold)


def sample_rows(n: int, most: int, seed: int) -> NDArray[np.int64]:
    """Return the rows that UMAP places itself: all, or a seeded sample, ascending."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).permutation(n)[:most]).astype(np.int64)
