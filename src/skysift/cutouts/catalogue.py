"""Catalogues: one row a cutout, and a table of the mosaics that the cutouts point into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skysift.cutouts.schema import CATALOGUE_SCHEMA, MOSAIC_SCHEMA, empty_catalogue
from skysift.errors import SkysiftError

if TYPE_CHECKING:
    from skysift.store.artifact import Artifact

__all__ = ["CATALOGUE", "MOSAICS", "Catalogue"]

CATALOGUE = "catalogue.parquet"
MOSAICS = "mosaics.parquet"

_ROW_GROUP = 1 << 17
_REPETITIVE = ["mosaic", "hdu", "plane", "x0", "y0", "width", "height", "labels.list.element"]


@dataclass(frozen=True)
class Catalogue:
    """Cutouts that point into mosaics; no pixel is in it.

    Attributes
    ----------
    table : pyarrow.Table
        One row a cutout, with the columns of `CATALOGUE_SCHEMA`.
    mosaics : pyarrow.Table
        One row a mosaic (or stack of images), with the columns of `MOSAIC_SCHEMA`.

    Examples
    --------
    >>> catalogue = Catalogue.open(store.get("2f5e"))
    >>> bright = catalogue.select(np.flatnonzero(catalogue.column("snr") > 20))
    """

    table: Any
    mosaics: Any

    @classmethod
    def open(cls, where: Artifact | Path | str) -> Catalogue:
        """Open the catalogue of an artifact or in a folder; the files are memory-mapped.

        Raises
        ------
        SkysiftError
            If a file is missing or unreadable.
        """
        folder = Path(where) if isinstance(where, str | Path) else where.folder
        return cls(read_table(folder / CATALOGUE), read_table(folder / MOSAICS))

    @classmethod
    def concat(cls, parts: Sequence[Catalogue]) -> Catalogue:
        """Put catalogues one after another; mosaics that several have stay once."""
        table = pa.concat_tables([conform(part.table, CATALOGUE_SCHEMA) for part in parts]).unify_dictionaries()
        return cls(table, unite_mosaics([part.mosaics for part in parts]))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return a column as an array: NaN for nulls among numbers, None elsewhere."""
        column = self.table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(pa.string())
        array: npt.NDArray[Any] = column.to_numpy()
        return array

    @property
    def windows(self) -> npt.NDArray[np.int64]:
        """ndarray, shape (N, 4) : x0, y0, width, height [pixel]."""
        return np.stack([self.column(name).astype(np.int64) for name in ("x0", "y0", "width", "height")], axis=1)

    @property
    def labels(self) -> list[list[str]]:
        """Classes of each cutout."""
        lists: list[list[str] | None] = self.table.column("labels").to_pylist()
        return [labels or [] for labels in lists]

    def select(self, indices: npt.ArrayLike) -> Catalogue:
        """Return the rows with these indices, in that order, and the mosaics that they need."""
        table = self.table.take(pa.array(np.asarray(indices, np.int64)))
        used = pc.is_in(self.mosaics.column("mosaic"), pc.unique(table.column("mosaic").cast(pa.string())))
        return Catalogue(table, self.mosaics.filter(used))

    def mosaic_rows(self) -> npt.NDArray[np.int64]:
        """Return the row of `mosaics` that each cutout belongs to, shape (N,).

        Raises
        ------
        SkysiftError
            If a cutout names a mosaic that is not in the table.
        """
        known: dict[tuple[str, int, int | None], int] = {}
        columns = (self.mosaics.column(name).to_pylist() for name in ("mosaic", "hdu", "plane"))
        for row, key in enumerate(zip(*columns, strict=True)):
            known.setdefault(key, row)
        encoded = self.table.column("mosaic").combine_chunks()
        encoded = encoded if pa.types.is_dictionary(encoded.type) else encoded.dictionary_encode()
        names = encoded.dictionary.to_pylist()
        parts = [encoded.indices.to_numpy(zero_copy_only=False), self.column("hdu"), self.column("plane")]
        keys = np.stack([np.asarray(part, np.int64) for part in parts], axis=1)
        unique, inverse = np.unique(keys, axis=0, return_inverse=True)
        rows = np.empty(len(unique), np.int64)
        for i, (code, hdu, plane) in enumerate(unique.tolist()):
            # A stack of images has one row for all its planes.
            found = known.get((names[code], hdu, plane), known.get((names[code], hdu, None)))
            if found is None:
                raise SkysiftError(f"The catalogue names mosaic {names[code]}, which its table of mosaics lacks.")
            rows[i] = found
        return rows[inverse.ravel()]

    def write(self, folder: Path) -> None:
        """Write both tables into a folder; equal catalogues give equal bytes."""
        write_table(conform(self.table, CATALOGUE_SCHEMA), folder / CATALOGUE)
        write_table(conform(self.mosaics, MOSAIC_SCHEMA), folder / MOSAICS)


def conform(table: Any, schema: Any) -> Any:
    """Return the table with exactly the columns of `schema`; absent ones are null, dictionaries are made anew."""
    arrays = []
    for field in schema:
        if field.name not in table.column_names:
            arrays.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table.column(field.name)
        if pa.types.is_dictionary(field.type):
            # Left over from a larger table, a dictionary may hold values that no row uses.
            column = column.cast(pa.string()).combine_chunks().dictionary_encode()
        arrays.append(column.cast(field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def unite_mosaics(tables: Sequence[Any]) -> Any:
    """Put tables of mosaics together: one row a (mosaic, HDU, plane), the one with a mask first, in that order."""
    rows: dict[tuple[str, int, int], dict[str, Any]] = {}
    for table in tables:
        for row in conform(table, MOSAIC_SCHEMA).to_pylist():
            key = (row["mosaic"], row["hdu"], -1 if row["plane"] is None else row["plane"])
            if key not in rows or (rows[key]["mask"] is None and row["mask"] is not None):
                rows[key] = row
    return pa.Table.from_pylist([rows[key] for key in sorted(rows)], schema=MOSAIC_SCHEMA)


def read_table(path: Path) -> Any:
    """Read a Parquet file as a pyarrow.Table.

    Raises
    ------
    SkysiftError
        If the file is missing or damaged.
    """
    try:
        return pq.read_table(path, memory_map=True, partitioning=None)
    except FileNotFoundError:
        raise SkysiftError(f"{path}: no such table; `skysift verify` shows what is wrong with the artifact.") from None
    except pa.ArrowInvalid as error:
        raise SkysiftError(f"{path}: not a Parquet table ({error}); remove the artifact and make it again.") from None


def write_table(table: Any, path: Path) -> None:
    """Write a pyarrow.Table as Parquet; equal tables give equal bytes."""
    pq.write_table(
        table.combine_chunks(),
        path,
        row_group_size=_ROW_GROUP,
        compression="zstd",
        use_dictionary=[name for name in _REPETITIVE if name.split(".")[0] in table.column_names],
    )


def table_of(columns: dict[str, Any], rows: int) -> Any:
    """Build a catalogue table from arrays by column name; NaN becomes null, absent columns are null."""
    if not rows:
        return empty_catalogue()
    arrays = []
    for field in CATALOGUE_SCHEMA:
        values = columns.get(field.name)
        if values is None:
            arrays.append(pa.nulls(rows, field.type))
        elif pa.types.is_floating(field.type):
            arrays.append(pa.array(values, field.type, from_pandas=True))
        else:
            arrays.append(values if isinstance(values, pa.Array) else pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=CATALOGUE_SCHEMA)


def join_shards(paths: Sequence[Path]) -> Any:
    """Read the shards of a catalogue table and put them one after another."""
    return pa.concat_tables([read_table(path).replace_schema_metadata(None) for path in paths]).unify_dictionaries()


def with_labels(table: Any, labels: Sequence[Sequence[str] | None]) -> Any:
    """Return the catalogue table with these classes; None or an empty list where a cutout has none."""
    field = CATALOGUE_SCHEMA.field("labels")
    column = pa.array([list(entry) if entry else None for entry in labels], field.type)
    return table.set_column(table.schema.get_field_index("labels"), field, column)
