"""A small store with everything that the app shows; cutouts, clusters and subsample are the real stages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

from skysift.curation.stages import Cluster, Subsample
from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.stages import Cutouts
from skysift.store.artifact import Artifact
from skysift.store.fields import Input
from skysift.store.stage import Stage
from skysift.store.store import Store


def write_mosaic(path: Path, *, seed: int, size: int = 288) -> Path:
    """Noise, Gaussian sources, one ring, and a blank corner."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    image = rng.normal(0, 1e-4, (size, size))
    for _ in range(30):
        x0, y0, flux, width = rng.uniform(0, size), rng.uniform(0, size), 10 ** rng.uniform(-3, -1), rng.uniform(2, 7)
        image += flux * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * width**2))
    radius = np.hypot(x - size * 0.6, y - size * 0.4)
    image += 4e-3 * np.exp(-((radius - 10) ** 2) / 4)
    image[:40, :40] = np.nan
    header = fits.Header(
        {
            "CTYPE1": "RA---SIN",
            "CTYPE2": "DEC--SIN",
            "CRVAL1": 150.0 + seed,
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
            "BPA": 30.0,
        }
    )
    fits.writeto(path, image.astype(np.float32), header)
    return path


class Brightness(Stage):
    """Features of the tests: the logarithm of the brightness in 4 x 4 blocks."""

    kind: ClassVar[str] = "features"
    cutouts: Annotated[str, Input()]
    encoder: str = "timm:brightness"

    def run(self, context: Any) -> dict[str, Any]:
        artifact = context.input(self.cutouts)
        source: Any = PixelSource.open(artifact, context.locate)
        images = np.nan_to_num(np.asarray(source.read(np.arange(len(source)))))
        blocks = images.reshape(len(images), 4, images.shape[1] // 4, 4, -1).mean(axis=(2, 4))
        features = np.log1p(1e4 * np.abs(blocks.reshape(len(images), -1))).astype(np.float32)
        catalogue = Catalogue.open(artifact)
        peak = catalogue.column("peak")
        classes = np.digitize(peak, np.quantile(peak, [0.4, 0.75]))
        labels = [[["faint", "bright", "<i>very</i> & $bright$"][c]] for c in classes]
        place = catalogue.table.schema.get_field_index("labels")
        table = catalogue.table.set_column(place, "labels", pa.array(labels, pa.list_(pa.string())))
        Catalogue(table, catalogue.mosaics).write(context.folder)
        np.save(context.folder / "features.npy", features)
        description = {"dim": 16, "rows": len(features), "dtype": "float32", "encoder": {"name": self.encoder}}
        (context.folder / "features.json").write_text(json.dumps(description))
        return {"rows": len(images)}


class Scores(Stage):
    """Anomaly scores of the tests, in the layout of `Anomalies`."""

    kind: ClassVar[str] = "anomalies"
    features: Annotated[str, Input("features")]

    def run(self, context: Any) -> dict[str, Any]:
        features = context.input(self.features)
        array = np.load(features.path("features.npy"))
        raw = np.linalg.norm(array - array.mean(0), axis=1)
        rank = np.argsort(np.argsort(-raw)) + 1
        score = (1 - (rank - 1) / (len(raw) - 1)).astype(np.float32)
        catalogue = Catalogue.open(features)
        catalogue.write(context.folder)
        table = {
            "cutout_id": catalogue.table.column("cutout_id").combine_chunks(),
            "knn": score,
            "knn_raw": raw.astype(np.float32),
            "ensemble": score,
            "rank": rank.astype(np.int32),
        }
        pq.write_table(pa.table(table), context.folder / "scores.parquet")
        return {"rows": len(raw)}


class Plane(Stage):
    """The two principal components of features, in the layout of `Project`."""

    kind: ClassVar[str] = "projection"
    features: Annotated[str, Input("features")]

    def run(self, context: Any) -> dict[str, Any]:
        features = context.input(self.features)
        array = np.load(features.path("features.npy"))
        centred = array - array.mean(0)
        axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
        np.save(context.folder / "projection.npy", (centred @ axes.T).astype(np.float32))
        Catalogue.open(features).write(context.folder)
        return {"rows": len(array)}


@dataclass
class SmallStore:
    """A store and what is in it."""

    store: Store
    mosaics: list[Path]
    cutouts: Artifact
    features: Artifact
    anomalies: Artifact
    projection: Artifact
    clusters: Artifact
    subsample: Artifact


def build(root: Path) -> SmallStore:
    """Make the store in `root/store`: some 300 cutouts of 32 pixels."""
    (root / "mosaics").mkdir(parents=True)
    mosaics = [write_mosaic(root / "mosaics" / f"field {n}.fits", seed=n) for n in (1, 2)]
    store = Store(root / "store")
    cutouts = store.run(Cutouts(mosaics=tuple(map(str, mosaics)), window_size=(32,), overlap=0.25))
    features = store.run(Brightness(cutouts=cutouts.id))
    anomalies = store.run(Scores(features=features.id))
    projection = store.run(Plane(features=features.id))
    clusters = store.run(Cluster(features=features.id, levels=(12, 4), resample_rounds=1))
    subsample = store.run(Subsample(clusters=clusters.id, target_size=60))
    for artifact, name in ((features, "brightness"), (anomalies, "odd"), (projection, "plane"), (clusters, "tree")):
        store.name(artifact.id, name)
    store.name(subsample.id, "balanced")
    return SmallStore(store, mosaics, cutouts, features, anomalies, projection, clusters, subsample)


def synthetic(root: Path, n: int, *, dim: int = 8, seed: int = 0) -> Store:
    """Make a store with a catalogue and features of n cutouts that nobody cut: for timings of tables, not of pixels."""
    from skysift.cutouts.catalogue import table_of
    from skysift.cutouts.schema import MOSAIC_SCHEMA, cutout_ids

    class Many(Stage):
        kind: ClassVar[str] = "features"
        rows: int
        dim: int
        seed: int

        def run(self, context: Any) -> dict[str, Any]:
            rng = np.random.default_rng(self.seed)
            across = int(np.ceil(np.sqrt(self.rows)))
            number = np.arange(self.rows)
            windows = np.stack([(number % across) * 32, (number // across) * 32], axis=1)
            windows = np.concatenate([windows, np.full((self.rows, 2), 64)], axis=1).astype(np.int32)
            mosaic = "0" * 32
            columns: dict[str, Any] = {
                "cutout_id": pa.array(cutout_ids(mosaic, 0, 0, windows)),
                "mosaic": pa.array([mosaic] * self.rows).dictionary_encode(),
                "hdu": np.zeros(self.rows, np.int16),
                "plane": np.zeros(self.rows, np.int32),
                **{name: windows[:, i] for i, name in enumerate(("x0", "y0", "width", "height"))},
                "ra": 150 - windows[:, 0] * 2 / 3600,
                "dec": windows[:, 1] * 2 / 3600,
                **{
                    name: rng.lognormal(size=self.rows).astype(np.float32)
                    for name in ("rms", "peak", "snr", "median", "complexity")
                },
                "valid_fraction": rng.uniform(0.7, 1, self.rows).astype(np.float32),
            }
            row = {"mosaic": mosaic, "format": "fits", "hdu": 0, "plane": 0, "ny": 1, "nx": 1, "pixel_scale": 2.0}
            catalogue = Catalogue(table_of(columns, self.rows), pa.Table.from_pylist([row], schema=MOSAIC_SCHEMA))
            catalogue.write(context.folder)
            np.save(context.folder / "features.npy", rng.standard_normal((self.rows, self.dim)).astype(np.float32))
            description = {"dim": self.dim, "rows": self.rows, "dtype": "float32", "encoder": {}}
            (context.folder / "features.json").write_text(json.dumps(description))
            return {"rows": self.rows}

    store = Store(root)
    features = store.run(Many(rows=n, dim=dim, seed=seed))
    store.run(Scores(features=features.id))
    store.run(Plane(features=features.id))
    return store
