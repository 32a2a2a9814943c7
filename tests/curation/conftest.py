"""Features, catalogues and trees made by hand."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
import torch

from skysift.cutouts.catalogue import Catalogue, table_of
from skysift.cutouts.schema import MOSAIC_SCHEMA, cutout_ids
from skysift.store.stage import Stage


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def blobs(n: int, dim: int, k: int, seed: int = 0, spread: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((k, dim)) * 4
    return (centres[rng.integers(0, k, n)] + spread * rng.standard_normal((n, dim))).astype(np.float32)


def catalogue(n: int, *, mosaics: int = 2, side: int = 64, step: int = 32, seed: int = 0) -> Catalogue:
    """Windows on a grid, half overlapping, in mosaics 5 degrees apart."""
    rng = np.random.default_rng(seed)
    per = -(-n // mosaics)
    across = int(np.ceil(np.sqrt(per)))
    number = np.arange(n)
    mosaic, place = number // per, number % per
    x0, y0 = (place % across) * step, (place // across) * step
    windows = np.stack([x0, y0, np.full(n, side), np.full(n, side)], axis=1).astype(np.int32)
    names = [f"{m:032x}" for m in range(mosaics)]
    ids = [i for m in range(mosaics) for i in cutout_ids(names[m], 0, 0, windows[mosaic == m])]
    scale = 2.0
    columns: dict[str, Any] = {
        "cutout_id": pa.array(ids),
        "mosaic": pa.array([names[m] for m in mosaic]).dictionary_encode(),
        "hdu": np.zeros(n, np.int16),
        "plane": np.zeros(n, np.int32),
        **{name: windows[:, i] for i, name in enumerate(("x0", "y0", "width", "height"))},
        "ra": 150 + 5.0 * mosaic - (x0 + side / 2) * scale / 3600,
        "dec": (y0 + side / 2) * scale / 3600,
        "valid_fraction": rng.uniform(0.7, 1, n).astype(np.float32),
        "snr": rng.uniform(3, 100, n).astype(np.float32),
        "mask_fraction": rng.uniform(0, 1, n).astype(np.float32),
    }
    size = int((across - 1) * step + side)
    rows = [
        {"mosaic": name, "format": "fits", "hdu": 0, "plane": 0, "ny": size, "nx": size, "pixel_scale": scale}
        for name in names
    ]
    return Catalogue(table_of(columns, n), pa.Table.from_pylist(rows, schema=MOSAIC_SCHEMA))


class MadeFeatures(Stage):
    """Features by hand: blobs, of which the last few are small."""

    kind: ClassVar[str] = "features"
    n: int = 400
    dim: int = 16
    seed: int = 0
    dtype: str = "float32"
    spoil: str = ""
    encoder: str = "made"

    def run(self, context: Any) -> dict[str, Any]:
        rng = np.random.default_rng(self.seed)
        sizes = (np.array([0.55, 0.25, 0.1, 0.05, 0.03, 0.02]) * self.n).astype(int)
        sizes[0] += self.n - sizes.sum()
        centres = np.random.default_rng(99).standard_normal((6, self.dim)) * 6
        kind = np.repeat(np.arange(6), sizes)
        x = (centres[kind] + rng.standard_normal((self.n, self.dim))).astype(self.dtype)
        if self.spoil == "nan":
            x[self.n // 2, 3] = np.nan
        if self.spoil == "inf":
            x[self.n // 2, 3] = np.inf
        if self.spoil == "constant":
            x[:] = 1.5
        found = catalogue(self.n)
        labels = pa.array([[f"kind{k}"] for k in kind], pa.list_(pa.string()))
        place = found.table.schema.get_field_index("labels")
        Catalogue(found.table.set_column(place, "labels", labels), found.mosaics).write(context.folder)
        np.save(context.folder / "features.npy", x)
        description = {"dim": self.dim, "rows": self.n, "dtype": self.dtype, "encoder": self.encoder}
        (context.folder / "features.json").write_text(json.dumps(description))
        return {"rows": self.n}
