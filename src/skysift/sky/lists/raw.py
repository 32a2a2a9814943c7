"""Tables as they stand in a file: columns with their units and UCDs, nothing interpreted."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError, SkysiftError
from skysift.sky.files import open_seekable
from skysift.sky.quiet import quiet

if TYPE_CHECKING:
    import pyarrow as pa

_KINDS = "FITS, VOTable, CSV, whitespace-separated text with a header, or Parquet"


@dataclass
class RawTable:
    """Columns of a file.

    Attributes
    ----------
    columns : dict of str to ndarray, shape (N,)
        float64, integer, bool or object (strings, with None where empty); masked numbers are NaN.
    units, ucds : dict of str to str
        Of the columns that have one.
    pybdsf : bool
        Whether it looks like a list of PyBDSF, whose text files give sizes in degrees without saying so.
    equinox : float
        2000, or what the header of the list says.
    """

    columns: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    ucds: dict[str, str] = field(default_factory=dict)
    pybdsf: bool = False
    equinox: float = 2000.0

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()))) if self.columns else 0


def read_raw(path: str) -> RawTable:
    """Read a table of any supported format, told by its content.

    Raises
    ------
    RequestError
        No such file, not a table, or a format that is not supported.
    SkysiftError
        A damaged file.
    """
    with open_seekable(path) as stream:
        head = stream.read(4096)
        stream.seek(0)
        reader = _choose(head, path)
        try:
            with quiet():
                table = reader(stream, path)
        except (OSError, ValueError, TypeError, IndexError, KeyError, SyntaxError) as error:
            # pyarrow's and astropy's own errors derive from these
            first = (str(error).strip().splitlines() or ["unknown reason"])[0]
            raise SkysiftError(f"{path} cannot be read as a table ({first}); give {_KINDS}.") from error
    names = {name.lower() for name in table.columns}
    table.pybdsf = "isl_id" in names and bool(names & {"gaus_id", "s_code", "xposn"})
    return table


def _choose(head: bytes, path: str) -> Callable[[BinaryIO, str], RawTable]:
    if not head.strip():
        raise RequestError(f"{path} is empty; give {_KINDS}.")
    if head.startswith(b"SIMPLE  ="):
        return _read_fits
    if head.startswith(b"PAR1"):
        return _read_parquet
    if b"<VOTABLE" in head:
        return _read_votable
    if head.startswith(b"# %ECSV"):
        return _read_ecsv
    if b"\0" in head:
        raise RequestError(f"{path} is not a source list that skysift reads; give {_KINDS}.")
    return _read_text


def _read_fits(stream: BinaryIO, path: str) -> RawTable:
    from astropy.io import fits

    out = RawTable()
    with fits.open(stream, memmap=False, disable_image_compression=True) as hdus:
        tables = [h for h in hdus if isinstance(h, (fits.BinTableHDU, fits.TableHDU)) and not h.header.get("ZIMAGE")]
        if not tables:
            raise RequestError(f"{path} holds no table; give a source list, not an image.")
        hdu = tables[0]
        for number, column in enumerate(hdu.columns, 1):
            values = hdu.data[column.name]
            if values.ndim != 1:
                continue
            out.columns[column.name] = _plain(values)
            if column.unit:
                out.units[column.name] = str(column.unit)
            if hdu.header.get(f"TUCD{number}"):
                out.ucds[column.name] = str(hdu.header[f"TUCD{number}"])
        equinox = hdu.header.get("EQUINOX")
        out.equinox = float(equinox) if isinstance(equinox, (int, float)) else 2000.0
    return out


def _read_votable(stream: BinaryIO, path: str) -> RawTable:
    from astropy.io.votable import parse

    out = RawTable()
    tables = list(parse(stream, verify="ignore").iter_tables())
    if not tables:
        raise RequestError(f"{path} holds no table; give a VOTable with one.")
    table = tables[0]
    for column in table.fields:
        values = table.array[column.ID]
        if values.ndim != 1:
            continue
        name = column.name or column.ID
        out.columns[name] = _plain(values)
        if column.unit is not None:
            out.units[name] = str(column.unit)
        if column.ucd:
            out.ucds[name] = str(column.ucd)
    return out


def _read_ecsv(stream: BinaryIO, path: str) -> RawTable:  # noqa: ARG001 - one signature for all formats
    from astropy.table import Table

    out = RawTable()
    table = Table.read(stream.read().decode("utf-8").splitlines(), format="ascii.ecsv")
    for name in table.colnames:
        out.columns[name] = _plain(np.ma.asarray(table[name]))
        if table[name].unit is not None:
            out.units[name] = str(table[name].unit)
        if table[name].info.meta and "ucd" in table[name].info.meta:
            out.ucds[name] = str(table[name].info.meta["ucd"])
    return out


def _read_parquet(stream: BinaryIO, path: str) -> RawTable:  # noqa: ARG001 - one signature for all formats
    import pyarrow.parquet as pq

    return _from_arrow(pq.read_table(stream))


def _read_text(stream: BinaryIO, path: str) -> RawTable:
    """Read CSV, or words separated by blanks, with a header that may stand behind a `#` (as PyBDSF writes it)."""
    import pyarrow.csv

    try:
        lines = stream.read().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise RequestError(f"{path} is not a source list that skysift reads; give {_KINDS}.") from error
    comment, data = "", list[str]()
    for line in lines:
        if not line.lstrip().startswith("#"):
            data += [line] if line.strip() else []
        elif not data and line.strip("# \t"):
            comment = line
    sample = data[-1] if data else comment
    delimiter = next((d for d in (",", ";", "\t", "|") if d in sample), " ")
    named, first = _split(comment.lstrip().lstrip("#"), delimiter), _split(data[0] if data else "", delimiter)
    if data and (len(named) != len(first) or _are_names(first)):  # the comment is prose, and the first line the header
        named, data = first, data[1:]
    if not _are_names(named):
        raise RequestError(f"{path} has no line that names its columns; put one in front, such as ra,dec,flux.")
    named = [f"{name}_{i}" if name in named[:i] else name or f"column_{i}" for i, name in enumerate(named)]
    out = RawTable(columns={name: np.empty(0) for name in named})
    if data:
        text = "\n".join(re.sub(r"[ \t]+", ",", line.strip()) for line in data) if delimiter == " " else "\n".join(data)
        table = pyarrow.csv.read_csv(
            io.BytesIO(text.encode()),
            read_options=pyarrow.csv.ReadOptions(column_names=named),
            parse_options=pyarrow.csv.ParseOptions(delimiter="," if delimiter == " " else delimiter),
            convert_options=pyarrow.csv.ConvertOptions(
                strings_can_be_null=True, null_values=["", "--", "null", "NULL", "None", "nan", "NaN", "N/A", "NA"]
            ),
        )
        out = _from_arrow(table)
    equinox = re.search(r"Equinox\s*:\s*([\d.]+)", "\n".join(lines[:20]))
    out.equinox = float(equinox.group(1)) if equinox else 2000.0
    return out


def _split(line: str, delimiter: str) -> list[str]:
    parts = line.split() if delimiter == " " else next(csv.reader([line], delimiter=delimiter), [])
    return [part.strip().strip("\"'") for part in parts]


def _are_names(words: list[str]) -> bool:
    """Whether words name columns: at least two, and none starts like a number or a coordinate."""
    given = [word for word in words if word]
    return len(given) >= 2 and not any(word[0] in "+-.0123456789" for word in given)


def _from_arrow(table: pa.Table) -> RawTable:
    out = RawTable()
    for column in table.schema:
        values = _arrow_values(table.column(column.name))
        if values is None:
            continue
        name = column.name.strip().strip("\"'")
        out.columns[name] = values
        metadata = column.metadata or {}
        if metadata.get(b"unit"):
            out.units[name] = metadata[b"unit"].decode()
        if metadata.get(b"ucd"):
            out.ucds[name] = metadata[b"ucd"].decode()
    return out


def _arrow_values(values: pa.ChunkedArray) -> npt.NDArray[Any] | None:
    """Numbers, or text as objects; None for what a source list has no use of."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = values.type
    if types.is_integer(kind) and values.null_count == 0:
        return np.asarray(values.to_numpy())
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return np.asarray(values.cast(pa.float64(), safe=False).to_numpy())
    if types.is_string(kind) or types.is_large_string(kind):
        return np.array(values.to_pylist(), object)
    if types.is_time(kind):  # what 12:34:56 is taken for
        return np.array(values.cast(pa.string()).to_pylist(), object)
    if types.is_list(kind) and (types.is_string(kind.value_type) or types.is_large_string(kind.value_type)):
        return np.array([None if v is None else ",".join(x or "" for x in v) for v in values.to_pylist()], object)
    return None


def _plain(values: Any) -> npt.NDArray[Any]:
    """Native byte order, masked numbers as NaN, text as str objects with None where empty."""
    mask = np.ma.getmaskarray(values)
    array = np.asarray(np.ma.getdata(values))
    if array.dtype.kind in "SUO":
        words = [w.decode(errors="replace") if isinstance(w, bytes) else w for w in array.tolist()]
        return np.array(
            [
                None if m or w is None or not str(w).strip() else str(w).strip()
                for w, m in zip(words, mask, strict=True)
            ],
            object,
        )
    if mask.any() or array.dtype.kind == "f":
        return np.where(mask, np.nan, array.astype(np.float64))
    return array.astype(array.dtype.newbyteorder("="))
