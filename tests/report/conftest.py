"""A small store with the whole chain: cutouts and evaluation are the real stages, the others are stand-ins."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.stages import Cutouts
from skysift.evaluation.stages import Evaluate
from skysift.store.artifact import Artifact
from skysift.store.fields import Input
from skysift.store.stage import Stage
from skysift.store.store import Store


class FakeFeatures(Stage):
    """Brightness at a few scales as features; labels by brightness."""

    kind: ClassVar[str] = "features"
    cutouts: Annotated[str, Input()]
    encoder: str = "timm:fake<b>"

    def run(self, context: Any) -> dict[str, Any]:
        artifact = context.input(self.cutouts)
        source: Any = PixelSource.open(artifact, context.locate)
        images = np.nan_to_num(np.asarray(source.read(np.arange(len(source)))))
        blocks = images.reshape(len(images), 4, images.shape[1] // 4, 4, -1).mean(axis=(2, 4))
        features = np.log1p(1e4 * np.abs(blocks.reshape(len(images), -1))).astype(np.float32)
        catalogue = Catalogue.open(artifact)
        peak = np.asarray(catalogue.column("peak"))
        classes = np.digitize(peak, np.quantile(peak, [0.4, 0.75]))
        labels = [[["faint", "bright", "<i>very</i> & $bright$"][c]] for c in classes]
        table = catalogue.table.set_column(
            catalogue.table.schema.get_field_index("labels"), "labels", pa.array(labels, pa.list_(pa.string()))
        )
        Catalogue(table, catalogue.mosaics).write(context.folder)
        np.save(context.folder / "features.npy", features)
        return {"rows": len(images)}


class FakeCluster(Stage):
    """Two levels by rank of the brightness."""

    kind: ClassVar[str] = "clusters"
    features: Annotated[str, Input("features")]

    def run(self, context: Any) -> dict[str, Any]:
        features = np.load(context.input(self.features).path("features.npy"))
        value = features.mean(axis=1)
        first = np.digitize(value, np.quantile(value, np.linspace(0, 1, 13)[1:-1] ** 0.5)).astype(np.int32)
        np.save(context.folder / "level_1_assign.npy", first)
        np.save(context.folder / "level_1_centroids.npy", np.zeros((12, features.shape[1]), np.float32))
        np.save(context.folder / "level_2_assign.npy", (np.arange(12) // 3).astype(np.int32))
        np.save(context.folder / "level_2_centroids.npy", np.zeros((4, features.shape[1]), np.float32))
        return {"rows": len(features), "levels": 2}


class FakeSubsample(Stage):
    """Five cutouts of each cluster of the first level."""

    kind: ClassVar[str] = "subsample"
    clusters: Annotated[str, Input("clusters")]
    per_cluster: int = 5

    def run(self, context: Any) -> dict[str, Any]:
        clusters = context.input(self.clusters)
        first = np.load(clusters.path("level_1_assign.npy"))
        catalogue = Catalogue.open(context.input(clusters.inputs[0]))
        rows = np.sort(np.concatenate([np.flatnonzero(first == k)[: self.per_cluster] for k in range(12)]))
        catalogue.select(rows).write(context.folder)
        pq.write_table(pa.table({"row": rows}), context.folder / "selection.parquet")
        return {"rows": len(rows), "target_size": 60}


class FakeTrain(Stage):
    """A history."""

    kind: ClassVar[str] = "model"
    cutouts: Annotated[str, Input()]
    method: dict[str, Any] = {"name": "simclr", "temperature": 0.1}  # noqa: RUF012
    epochs: int = 8

    def run(self, context: Any) -> dict[str, Any]:
        lines = ["epoch,step,lr,loss,embedding_std,rankme"]
        lines += [f"{e},{4 * e},0.001,{4 / e},{0.2 + 0.05 * e},{10 + e}" for e in range(1, self.epochs + 1)]
        (context.folder / "history.csv").write_text("\n".join(lines) + "\n")
        (context.folder / "encoder.json").write_text(json.dumps({"dim": 16}))
        return {"rows": 60, "epochs": self.epochs}


@dataclass
class Chain:
    store: Store
    mosaics: list[Path]
    cutouts: Artifact
    features: Artifact
    clusters: Artifact
    subsample: Artifact
    model: Artifact
    labelled: Artifact
    evaluation: Artifact


def make_mosaics(folder: Path, n: int = 2, size: int = 320) -> list[Path]:
    """Noise with Gaussian sources and a blank corner."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:size, :size]
    paths = []
    for number in range(n):
        image = rng.normal(0, 1e-4, (size, size))
        for _ in range(40):
            x0, y0, flux, width = (
                rng.uniform(0, size),
                rng.uniform(0, size),
                10 ** rng.uniform(-3, -1),
                rng.uniform(2, 8),
            )
            image += flux * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * width**2))
        image[:40, :40] = np.nan
        header = fits.Header(
            {
                "CTYPE1": "RA---SIN",
                "CTYPE2": "DEC--SIN",
                "CRVAL1": 150.0 + number,
                "CRVAL2": 2.0,
                "CRPIX1": size / 2,
                "CRPIX2": size / 2,
                "CDELT1": -1.5 / 3600,
                "CDELT2": 1.5 / 3600,
                "CUNIT1": "deg",
                "CUNIT2": "deg",
                "BUNIT": "JY/BEAM",
                "BMAJ": 6 / 3600,
                "BMIN": 5 / 3600,
                "BPA": 0.0,
            }
        )
        paths.append(folder / f"field {number}.fits")
        fits.writeto(paths[-1], image.astype(np.float32), header)
    return paths


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    root = tmp_path_factory.mktemp("chain")
    mosaics = make_mosaics(root / "mosaics")
    store = Store(root / "store")
    cutouts = store.run(Cutouts(mosaics=tuple(map(str, mosaics)), window_size=(32,)))
    features = store.run(FakeFeatures(cutouts=cutouts.id))
    clusters = store.run(FakeCluster(features=features.id))
    subsample = store.run(FakeSubsample(clusters=clusters.id))
    model = store.run(FakeTrain(cutouts=subsample.id))
    labelled = store.run(FakeFeatures(cutouts=cutouts.id, encoder=model.id))
    evaluation = store.run(Evaluate(features=labelled.id, draws=2, cell_order=11))
    store.name(evaluation.id, "best-<score>".replace("<", "").replace(">", ""))
    store.run(Evaluate(features=features.id, draws=2, cell_order=11))
    return Chain(store, mosaics, cutouts, features, clusters, subsample, model, labelled, evaluation)
