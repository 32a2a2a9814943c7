"""Catalogues and features made by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from skysift.cutouts.catalogue import Catalogue, table_of, with_labels
from skysift.cutouts.schema import MOSAIC_SCHEMA, cutout_ids
from skysift.store.stage import Stage

SIDE, SCALE = 32, 2.0


def make_catalogue(windows: np.ndarray, mosaic: Sequence[int], labels: Sequence[Sequence[str]]) -> Catalogue:
    """Windows (x0, y0) of 32 pixels in mosaics of 2 arcsec a pixel, 10 degrees apart."""
    n, mosaic = len(windows), np.asarray(mosaic)
    boxes = np.column_stack([windows, np.full((n, 2), SIDE)]).astype(np.int32)
    names = [f"{m:032x}" for m in range(int(mosaic.max()) + 1)]
    columns: dict[str, Any] = {
        "cutout_id": pa.array([cutout_ids(names[m], 0, 0, boxes[i : i + 1])[0] for i, m in enumerate(mosaic)]),
        "mosaic": pa.array([names[m] for m in mosaic]).dictionary_encode(),
        "hdu": np.zeros(n, np.int16),
        "plane": np.zeros(n, np.int32),
        **{name: boxes[:, i] for i, name in enumerate(("x0", "y0", "width", "height"))},
        "ra": 150 + 10.0 * mosaic - (boxes[:, 0] + SIDE / 2) * SCALE / 3600,
        "dec": (boxes[:, 1] + SIDE / 2) * SCALE / 3600,
        "labels": pa.array([list(found) or None for found in labels], pa.list_(pa.string())),
    }
    size = int(boxes[:, :2].max()) + SIDE
    rows = [
        {"mosaic": name, "format": "fits", "hdu": 0, "plane": 0, "ny": size, "nx": size, "pixel_scale": SCALE}
        for name in names
    ]
    return Catalogue(table_of(columns, n), pa.Table.from_pylist(rows, schema=MOSAIC_SCHEMA))


def apart(n: int) -> np.ndarray:
    """Corners of n windows that lie in squares of their own."""
    across = int(np.ceil(np.sqrt(n)))
    place = np.arange(n)
    return np.column_stack([place % across, place // across]) * 4 * SIDE


def plant() -> tuple[Catalogue, np.ndarray]:
    """600 cutouts with 20 features, of which 3 and 11 tell the interesting tenth, which is far out."""
    rng = np.random.default_rng(5)
    n = 600
    kind = np.where(np.arange(n) % 10 == 0, 1, np.where(np.arange(n) % 10 == 1, 2, 0))
    values = rng.standard_normal((n, 20)).astype(np.float32)
    values[:, 3] += 4.0 * (kind == 1)
    values[:, 11] -= 3.0 * (kind == 1)
    values[:, 3] += 1.0 * (kind == 2)
    names = {0: ["COMPACT"], 1: ["COMPACT", "DIFFUSE"], 2: ["COMPACT", "ARTEFACT"]}
    labels = [names[int(k)] if i % 6 else [] for i, k in enumerate(kind)]
    labels = [["BACKGROUND"] if found == ["COMPACT"] and i % 4 == 1 else found for i, found in enumerate(labels)]
    return make_catalogue(apart(n), np.zeros(n, int), labels), values


class PlantedFeatures(Stage):
    """The planted features as an artifact; `half` keeps every second cutout, or the others."""

    kind: ClassVar[str] = "features"
    half: int | None = None
    own: bool = True
    encoder: str = "made"

    def run(self, context: Any) -> dict[str, Any]:
        catalogue, values = plant()
        rows = np.arange(len(values)) if self.half is None else np.arange(self.half, len(values), 2)
        catalogue, values = catalogue.select(rows), values[rows]
        if not self.own:
            catalogue = Catalogue(with_labels(catalogue.table, [[]] * len(rows)), catalogue.mosaics)
        catalogue.write(context.folder)
        np.save(context.folder / "features.npy", values)
        description = {"dim": values.shape[1], "rows": len(rows), "dtype": "float32", "encoder": self.encoder}
        (context.folder / "features.json").write_text(json.dumps(description))
        return {"rows": len(rows)}
