"""Catalogues made by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from skysift.cutouts.catalogue import Catalogue, table_of
from skysift.cutouts.schema import MOSAIC_SCHEMA, cutout_ids


def catalogue_of(n: int, *, side: int = 64, step: int = 32) -> Catalogue:
    """A row of windows, half overlapping, of one mosaic."""
    name = "ab" * 16
    windows = np.stack([np.arange(n) * step, np.zeros(n), np.full(n, side), np.full(n, side)], axis=1).astype(np.int32)
    columns = {
        "cutout_id": pa.array(cutout_ids(name, 0, 0, windows)),
        "mosaic": pa.array([name] * n).dictionary_encode(),
        "hdu": np.zeros(n, np.int16),
        "plane": np.zeros(n, np.int32),
        **{column: windows[:, i] for i, column in enumerate(("x0", "y0", "width", "height"))},
        "ra": 150 - (windows[:, 0] + side / 2) * 2 / 3600,
        "dec": np.full(n, side / 3600.0),
    }
    mosaic = {"mosaic": name, "format": "fits", "hdu": 0, "plane": 0, "ny": side, "nx": side + step * n}
    return Catalogue(table_of(columns, n), pa.Table.from_pylist([mosaic | {"pixel_scale": 2.0}], schema=MOSAIC_SCHEMA))
