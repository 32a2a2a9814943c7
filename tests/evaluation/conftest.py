"""Catalogues and features made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skysift.store.stage import Stage
from skysift.store.store import Store


def tables(
    *,
    mosaic: Any,
    x0: Any,
    y0: Any,
    width: Any = 64,
    plane: Any = 0,
    labels: Any,
    positions: str = "none",
    format_: str = "fits",
    scale: float = 1.5,
    split: list[str] | None = None,
) -> tuple[pa.Table, pa.Table]:
    """Make a catalogue and its table of mosaics; positions: none, or a flat tangent plane a mosaic, 2 deg apart."""
    from astropy_healpix import lonlat_to_healpix

    n = len(x0)
    mosaic, plane, width = (np.broadcast_to(v, n) for v in (mosaic, plane, width))
    x0, y0 = np.asarray(x0), np.asarray(y0)
    if positions == "none":
        ra = dec = cells = [None] * n
    else:
        import astropy.units as u

        ra_, dec_ = 150 + 2.0 * mosaic + (x0 + width / 2) * scale / 3600, (y0 + width / 2) * scale / 3600
        cells = lonlat_to_healpix(ra_ * u.deg, dec_ * u.deg, 2**29, order="nested").tolist()
        ra, dec = ra_.tolist(), dec_.tolist()
    rng = np.random.default_rng(0)
    names = [f"{m:032x}" for m in mosaic]
    columns = {
        "cutout_id": [f"{i:016x}" for i in range(n)],
        "mosaic": pa.array(names).dictionary_encode(),
        "hdu": pa.array(np.zeros(n, np.int16)),
        "plane": pa.array(plane.astype(np.int32)),
        "x0": pa.array(x0.astype(np.int32)),
        "y0": pa.array(y0.astype(np.int32)),
        "width": pa.array(width.astype(np.int32)),
        "height": pa.array(width.astype(np.int32)),
        "ra": pa.array(ra, pa.float64()),
        "dec": pa.array(dec, pa.float64()),
        "healpix29": pa.array(cells, pa.int64()),
        "rms": pa.array(rng.random(n).astype(np.float32)),
        "peak": pa.array(rng.random(n).astype(np.float32)),
        "labels": pa.array(labels, pa.list_(pa.string())),
    }
    if split is not None:
        columns["split"] = pa.array(split)
    unique = sorted(set(names))
    mosaics = pa.table(
        {
            "mosaic": unique,
            "format": [format_] * len(unique),
            "plane": pa.array([None] * len(unique), pa.int32()),
            "pixel_scale": pa.array([None if format_ == "npz" else scale] * len(unique), pa.float64()),
        }
    )
    return pa.table(columns), mosaics


@pytest.fixture(scope="session")
def catalogue_tables() -> Callable[..., tuple[pa.Table, pa.Table]]:
    return tables


@pytest.fixture(scope="session")
def stack() -> tuple[pa.Table, pa.Table, np.ndarray]:
    """300 images of a stack in three classes of unequal size, with features that separate them partly."""
    rng = np.random.default_rng(5)
    classes = rng.choice(3, 300, p=[0.6, 0.3, 0.1])
    table, mosaics = tables(
        mosaic=1,
        x0=np.zeros(300),
        y0=np.zeros(300),
        plane=np.arange(300),
        labels=[[f"c{c}"] for c in classes],
        format_="npz",
    )
    features = rng.normal(size=(300, 12)).astype(np.float32) + 1.2 * np.eye(12, dtype=np.float32)[classes]
    return table, mosaics, features


class FakeFeatures(Stage):
    """Features of a made-up stack of images."""

    kind: ClassVar[str] = "features"
    seed: int = 5
    n: int = 300

    def run(self, context: Any) -> dict[str, Any]:
        rng = np.random.default_rng(self.seed)
        classes = rng.integers(0, 3, self.n)
        table, mosaics = tables(
            mosaic=1,
            x0=np.zeros(self.n),
            y0=np.zeros(self.n),
            plane=np.arange(self.n),
            labels=[[f"c{c}"] if i % 10 else [] for i, c in enumerate(classes)],
            format_="npz",
        )
        features = rng.normal(size=(self.n, 8)).astype(np.float32) + 2 * np.eye(8, dtype=np.float32)[classes]
        np.save(context.folder / "features.npy", features)
        pq.write_table(table, context.folder / "catalogue.parquet")
        pq.write_table(mosaics, context.folder / "mosaics.parquet")
        return {"rows": self.n}


@pytest.fixture(scope="session")
def fake_features() -> type[Stage]:
    return FakeFeatures


def blobs(n: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise with one broad blob, two or three small ones in a row, turned at random: (n, 32, 32) and their classes."""
    rng = np.random.default_rng(seed)
    classes = np.arange(n) % 3
    y, x = np.mgrid[:32, :32] - 15.5
    images = rng.normal(0, 0.05, (n, 32, 32))
    for number, kind in enumerate(classes):
        angle = rng.uniform(0, np.pi)
        offsets, width = [((0,), 5.0), ((-7, 7), 2.0), ((-10, 0, 10), 1.5)][kind]
        for offset in offsets:
            cx, cy = offset * np.cos(angle) + rng.normal(0, 0.5), offset * np.sin(angle) + rng.normal(0, 0.5)
            images[number] += np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2))
    return images.astype(np.float32), classes


@pytest.fixture(scope="session")
def labelled(tmp_path_factory):
    """A store with 90 labelled images and their features by a small random encoder."""
    from skysift.datasets.stages import Dataset
    from skysift.features.stages import Features

    folder = tmp_path_factory.mktemp("finetune")
    images, classes = blobs()
    np.savez(folder / "blobs.npz", images=images, labels=np.array(["one", "two", "three"])[classes])
    store = Store(folder / "store")
    data = store.run(Dataset(source=str(folder / "blobs.npz")))
    features = store.run(
        Features(
            cutouts=data.id,
            encoder="timm:test_resnet",
            weights="random",
            image_size=32,
            channels=1,
            preprocess="minmax",
        ),
        device="cpu",
    )
    return store, data, features
