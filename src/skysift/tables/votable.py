"""Writing a table as a VOTable, with the units, UCDs and descriptions of its columns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from skysift.errors import SkysiftError

TYPES = {
    pa.bool_(): "boolean",
    pa.int16(): "short",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
}
POSITIONS = ("pos.eq.ra", "pos.eq.dec")


def write_votable(table: Any, path: Path, *, name: str, description: str) -> None:
    """Write a pyarrow.Table as a VOTable 1.4 with binary data; equal tables give equal bytes.

    Parameters
    ----------
    table : pyarrow.Table
        Texts, numbers and truth values; the metadata of its fields gives `unit`, `ucd` and `description`. Missing
        floating-point numbers become NaN. Columns with a UCD of positions on the sky refer to ICRS.
    path : Path
        The file.
    name, description : str
        Of the table.

    Raises
    ------
    SkysiftError
        If a column has another type, or values other than floating-point numbers are missing.
    """
    from astropy.io.votable.tree import CooSys, Resource, TableElement, VOTableFile

    file = VOTableFile(version="1.4")
    resource = Resource(type="results")
    file.resources.append(resource)
    resource.coordinate_systems.append(CooSys(ID="ICRS", system="ICRS"))
    element = TableElement(file, name=name)
    element.description = description
    resource.tables.append(element)
    columns = [_column(table, number) for number in range(table.num_columns)]
    identifiers = _identifiers(table.column_names)
    for field, identifier, (_, datatype, arraysize) in zip(table.schema, identifiers, columns, strict=True):
        element.fields.append(_field(file, field, identifier, datatype, arraysize))
    element.create_arrays(table.num_rows)
    for target, (values, _, _) in zip(element.array.dtype.names, columns, strict=True):
        element.array[target] = values
    file.to_xml(str(path), tabledata_format="binary")


def _identifiers(names: list[str]) -> list[str]:
    """Return an XML identifier for each column: its name where that is one, else made of it, no two alike."""
    found: list[str] = []
    for number, name in enumerate(names):
        plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
        plain = plain if re.match(r"[A-Za-z_]", plain) else f"_{plain}"
        found.append(plain if plain == name or plain not in [*names, *found] else f"{plain}_{number}")
    return found


def _field(file: Any, field: Any, identifier: str, datatype: str, arraysize: str | None) -> Any:
    """Describe a column."""
    from astropy.io.votable.tree import Field

    known = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    options = {key: known[key] for key in ("unit", "ucd") if known.get(key)}
    if options.get("ucd", "").startswith(POSITIONS):
        options["ref"] = "ICRS"
    if arraysize is not None:
        options["arraysize"] = arraysize
    made = Field(file, ID=identifier, name=field.name, datatype=datatype, **options)
    made.description = known.get("description")
    return made


def _column(table: Any, number: int) -> tuple[Any, str, str | None]:
    """Return values, VOTable's type and its array size."""
    column, name = table.column(number), table.schema.field(number).name
    type_ = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if column.null_count and not pa.types.is_floating(type_):
        raise SkysiftError(f"Column {name} has {column.null_count} missing values, which a binary VOTable can't hold.")
    if pa.types.is_string(type_):
        texts = column.cast(pa.string()).to_numpy()
        # a unicodeChar is 16 bits wide, so some characters take two
        length = max((len(text.encode("utf-16-be")) // 2 for text in texts), default=1)
        plain = all(text.isascii() for text in (column.unique().cast(pa.string()).to_pylist()))
        return texts.astype(f"U{max(length, 1)}"), "char" if plain else "unicodeChar", str(max(length, 1))
    if type_ not in TYPES:
        raise SkysiftError(f"Column {name} is of type {type_}, which a VOTable can't hold as it is.")
    return np.asarray(column.to_numpy()), TYPES[type_], None
