"""The truth catalogue: what was put into a mosaic, one row a source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CLASSES = (
    "compact",
    "fr1",
    "fr2",
    "wat",
    "nat",
    "ring",
    "shell",
    "diffuse",
    "diffuse_large",
    "filament",
    "peculiar",
    "artefact",
)


def _column(name: str, kind: Any, unit: str, text: str, ucd: str = "") -> pa.Field:
    return pa.field(name, kind, metadata={"unit": unit, "ucd": ucd, "description": text})


TRUTH_SCHEMA = pa.schema(
    [
        _column("id", pa.int32(), "", "Number in the mosaic's instance mask, from 1", "meta.id"),
        _column("mosaic", pa.string(), "", "File name of the mosaic", "meta.file"),
        _column("class", pa.string(), "", "Class: " + ", ".join(CLASSES), "src.class"),
        _column("ra", pa.float64(), "deg", "Right ascension of the flux-weighted centre, ICRS", "pos.eq.ra;meta.main"),
        _column("dec", pa.float64(), "deg", "Declination of the flux-weighted centre, ICRS", "pos.eq.dec;meta.main"),
        _column("x", pa.float64(), "pixel", "Column of the centre, 0-based", "pos.cartesian.x"),
        _column("y", pa.float64(), "pixel", "Row of the centre, 0-based", "pos.cartesian.y"),
        _column("peak_flux", pa.float64(), "Jy/beam", "Noise-free peak brightness", "phot.flux.density;stat.max"),
        _column("integrated_flux", pa.float64(), "Jy", "Flux density; 0 for an artefact", "phot.flux.density"),
        _column("major", pa.float64(), "arcsec", "Deconvolved full width of the major axis", "phys.angSize.smajAxis"),
        _column("minor", pa.float64(), "arcsec", "Deconvolved full width of the minor axis", "phys.angSize.sminAxis"),
        _column("pa", pa.float64(), "deg", "Position angle, north through east", "pos.posAng"),
        _column("angular_size", pa.float64(), "arcsec", "Largest angular size, deconvolved", "phys.angSize"),
        _column("rms", pa.float64(), "Jy/beam", "Local noise", "instr.det.noise"),
        _column("snr", pa.float64(), "", "Peak brightness over local noise", "stat.snr"),
        _column("components", pa.int32(), "", "Islands of its own above 3 local rms", "meta.number"),
        _column("peaks", pa.int32(), "", "Maxima that rise 2 rms over their saddles", "meta.number"),
        _column("mask_pixels", pa.int32(), "pixel", "Pixels that it owns in the instance mask", "meta.number"),
        _column("box_x0", pa.int32(), "pixel", "First column of its pixels above 3 local rms, -1 without any", ""),
        _column("box_y0", pa.int32(), "pixel", "First row of its pixels above 3 local rms, -1 without any", ""),
        _column("box_width", pa.int32(), "pixel", "Columns of its pixels above 3 local rms", ""),
        _column("box_height", pa.int32(), "pixel", "Rows of its pixels above 3 local rms", ""),
        _column("parent", pa.int32(), "", "For an artefact the id of the source that caused it, else 0", ""),
    ]
)


def truth_table(columns: dict[str, Any]) -> pa.Table:
    """Build a truth table from columns in the schema's units."""
    arrays = [
        pa.array(np.asarray(columns[f.name]) if f.type != pa.string() else columns[f.name], f.type)
        for f in TRUTH_SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=TRUTH_SCHEMA)


def write_table(table: pa.Table, path: Path) -> None:
    """Write Parquet (`.parquet`) or CSV (`.csv`, lists joined by semicolons) in one step."""
    temporary = path.with_name(path.name + ".tmp")
    if path.suffix == ".csv":
        import pyarrow.compute as pc
        from pyarrow import csv

        flat = [
            pc.binary_join(column, ";") if pa.types.is_list(column.type) else column for column in table.itercolumns()
        ]
        csv.write_csv(pa.table(flat, names=table.column_names), temporary, csv.WriteOptions(quoting_style="needed"))
    else:
        pq.write_table(table, temporary, compression="zstd")
    temporary.replace(path)
