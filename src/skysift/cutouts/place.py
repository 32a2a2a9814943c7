"""Where cutouts are, as columns of the tables that later stages leave."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from skysift.cutouts.schema import CATALOGUE_SCHEMA

PLACE = ("cutout_id", "ra", "dec", "mosaic", "hdu", "plane", "x0", "y0", "width", "height")


def place_columns(catalogue: Any) -> tuple[list[Any], list[Any]]:
    """Return fields and columns that say where the rows of a catalogue table (pyarrow.Table) are."""
    fields, columns = [], []
    for name in PLACE:
        field = CATALOGUE_SCHEMA.field(name)
        field = field.with_type(pa.string()) if name == "mosaic" else field
        fields.append(field)
        columns.append(catalogue.column(name).cast(field.type))
    return fields, columns


def table_field(name: str, type_: Any, description: str, ucd: str) -> Any:
    """Return a column's name and type with what it means."""
    return pa.field(name, type_, metadata={"description": description, "ucd": ucd})
