"""Features and catalogues by hand, and a small survey on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
import torch
from astropy.io import fits

from skysift.cutouts.catalogue import Catalogue, table_of
from skysift.cutouts.schema import MOSAIC_SCHEMA, cutout_ids
from skysift.cutouts.stages import Cutouts
from skysift.store.artifact import Artifact
from skysift.store.fields import Input
from skysift.store.stage import Stage
from skysift.store.store import Store


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Made(Stage):
    """Features by hand: a cloud, and a few cutouts far from it; windows of one mosaic that is nowhere."""

    kind: ClassVar[str] = "features"
    n: int = 120
    side: int = 64
    others: int = 0
    seed: int = 0
    odd: tuple[int, ...] = (7, 50)
    spoil: str = ""

    def run(self, context: Any) -> dict[str, Any]:
        rng = np.random.default_rng(self.seed)
        x = rng.standard_normal((self.n, 6)).astype(np.float32)
        x[list(self.odd)] += 12
        if self.spoil == "nan":
            x[[3, 9]] = np.nan
        if self.spoil == "constant":
            x[:] = 2.5
        sides = np.where(np.arange(self.n) < self.n - self.others, self.side, self.side // 2)
        write_features(context.folder, hand_catalogue(sides), x)
        return {"rows": self.n}


class Measured(Stage):
    """Features of real cutouts by hand: mean and scatter of the pixels."""

    kind: ClassVar[str] = "features"
    cutouts: Annotated[str, Input("cutouts")]

    def run(self, context: Any) -> dict[str, Any]:
        catalogue = Catalogue.open(context.input(self.cutouts))
        x = np.stack([catalogue.column(name) for name in ("median", "rms", "peak", "snr")], axis=1)
        write_features(context.folder, catalogue, x.astype(np.float32))
        return {"rows": len(catalogue)}


def hand_catalogue(sides: np.ndarray) -> Catalogue:
    number = np.arange(len(sides))
    windows = np.stack([number * 16, number * 0, sides, sides], axis=1).astype(np.int32)
    name = "ab" * 16
    columns: dict[str, Any] = {
        "cutout_id": pa.array(cutout_ids(name, 0, 0, windows)),
        "mosaic": pa.array([name] * len(sides)).dictionary_encode(),
        "hdu": np.zeros(len(sides), np.int16),
        "plane": np.zeros(len(sides), np.int32),
        **{key: windows[:, i] for i, key in enumerate(("x0", "y0", "width", "height"))},
        "ra": 150 + number / 100,
        "dec": number / 100,
    }
    row = {"mosaic": name, "format": "fits", "hdu": 0, "plane": 0, "ny": 64, "nx": 4096, "pixel_scale": 2.0}
    return Catalogue(table_of(columns, len(sides)), pa.Table.from_pylist([row], schema=MOSAIC_SCHEMA))


def write_features(folder: Path, catalogue: Catalogue, x: np.ndarray) -> None:
    catalogue.write(folder)
    np.save(folder / "features.npy", x)
    description = {"dim": x.shape[1], "rows": len(x), "dtype": "float32", "encoder": "made"}
    (folder / "features.json").write_text(json.dumps(description))


@pytest.fixture(scope="session")
def mosaic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of noise and points, with one ring."""
    draw = np.random.default_rng(4)
    y, x = np.mgrid[:192, :256]
    image = draw.normal(0, 1e-4, (192, 256))
    for _ in range(30):
        cx, cy = draw.uniform(0, 256), draw.uniform(0, 192)
        image += draw.uniform(1e-3, 1e-2) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 4.5)
    image += 2e-3 * np.exp(-((np.hypot(x - 112, y - 80) - 10) ** 2) / 4)
    header = fits.Header()
    header.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRPIX1=128.0, CRPIX2=96.0, CRVAL1=150.0, CRVAL2=2.0)
    header.update(CDELT1=-5e-4, CDELT2=5e-4, CUNIT1="deg", CUNIT2="deg", BUNIT="Jy/beam")
    header.update(BMAJ=1.5e-3, BMIN=1.5e-3, BPA=0.0)
    path = tmp_path_factory.mktemp("survey") / "field.fits"
    fits.writeto(path, image.astype(np.float32), header)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def measured(store: Store, mosaic: Path) -> Artifact:
    """Features of 165 windows of 32 pixels."""
    cutouts = store.run(Cutouts(mosaics=(str(mosaic),), window_size=(32,), overlap=0.5))
    return store.run(Measured(cutouts=cutouts.id))
