"""Tables of cutouts with all that is known about them, as CSV, Parquet or VOTable."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skysift.errors import RequestError
from skysift.tables.votable import write_votable

if TYPE_CHECKING:
    from skysift.app.survey import Survey

Rows = NDArray[np.int64]


def table_of(survey: Survey, rows: Rows) -> Any:
    """Return the catalogue's columns of some cutouts, and those that others have added: scores, clusters, ratings.

    Parameters
    ----------
    survey : Survey
        Where they are.
    rows : ndarray, shape (n,)
        Which ones, in this order.

    Returns
    -------
    pyarrow.Table
        n rows; units, UCDs and descriptions in the metadata of the fields. Columns of the catalogue without any value
        are left out.
    """
    table = survey.table
    full = [name for name in table.column_names if table.column(name).null_count < len(table)]
    chosen = table.select(full).take(pa.array(rows))
    for name in survey.columns:
        if name in chosen.column_names:
            continue
        values = survey.columns[name][rows]
        known = {"unit": survey.units.get(name, ""), "description": survey.columns.descriptions.get(name, "")}
        metadata = {key: value for key, value in known.items() if value}
        array = pa.array(values, pa.string()) if survey.columns.is_text(name) else pa.array(values)
        chosen = chosen.append_column(pa.field(name, array.type, metadata=metadata or None), array)
    return chosen


def csv_bytes(table: Any) -> bytes:
    """Write a table as CSV; classes of a cutout are parted by a semicolon."""
    stream = io.BytesIO()
    pyarrow.csv.write_csv(_flat(table, ";"), stream)
    return stream.getvalue()


def parquet_bytes(table: Any) -> bytes:
    """Write a table as Parquet, with the metadata of its fields."""
    stream = io.BytesIO()
    pq.write_table(table.combine_chunks(), stream, compression="zstd")
    return stream.getvalue()


def votable_bytes(table: Any) -> bytes:
    """Write a table as a VOTable; missing texts become empty, missing whole numbers NaN."""
    with tempfile.TemporaryDirectory(prefix="skysift-") as folder:
        path = Path(folder) / "table.vot"
        write_votable(_whole(_flat(table, ";")), path, name="cutouts", description="Cutouts chosen in skysift.")
        return path.read_bytes()


WRITERS: Mapping[str, tuple[str, str, Callable[[Any], bytes]]] = {
    "csv": (".csv", "text/csv", csv_bytes),
    "parquet": (".parquet", "application/vnd.apache.parquet", parquet_bytes),
    "votable": (".vot", "application/x-votable+xml", votable_bytes),
}
"""By format: ending of the file's name, type, and what writes it."""


def table_bytes(survey: Survey, rows: Rows, form: str) -> bytes:
    """Write a table of cutouts.

    Raises
    ------
    RequestError
        If there is no such format.
    """
    if form not in WRITERS:
        raise RequestError(f"There is no format {form!r}; there are {', '.join(WRITERS)}.")
    return WRITERS[form][2](table_of(survey, rows))


def _flat(table: Any, mark: str) -> Any:
    """Join lists of texts, and spell out dictionaries."""
    for number, field in enumerate(table.schema):
        column = table.column(number)
        if pa.types.is_list(field.type):
            column = pc.binary_join(column.cast(pa.list_(pa.string())), mark)
        elif pa.types.is_dictionary(field.type):
            column = column.cast(pa.string())
        else:
            continue
        table = table.set_column(number, pa.field(field.name, pa.string(), metadata=field.metadata), column)
    return table


def _whole(table: Any) -> Any:
    """Fill what a binary VOTable can't leave out, and widen numbers that it does not know."""
    for number, field in enumerate(table.schema):
        column = table.column(number)
        type_ = field.type
        if pa.types.is_string(type_):
            column = column.fill_null("")
        elif pa.types.is_integer(type_) and column.null_count:
            column = column.cast(pa.float64())
        elif pa.types.is_int8(type_) or pa.types.is_uint8(type_):
            column = column.cast(pa.int16())
        elif pa.types.is_unsigned_integer(type_):
            column = column.cast(pa.int64())
        elif pa.types.is_float16(type_):
            column = column.cast(pa.float32())
        else:
            continue
        table = table.set_column(number, pa.field(field.name, column.type, metadata=field.metadata), column)
    return table
