"""Ratings as files: CSV, Parquet, VOTable; what is exported and imported again is the same to the last character."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from skysift.discovery.ledger.book import Ledger
from skysift.discovery.ledger.rating import Rating, checked
from skysift.discovery.ledger.rows import RATINGS_SCHEMA
from skysift.errors import RequestError, SkysiftError

__all__ = ["FORMATS", "export_ratings", "import_ratings"]

COLUMNS = tuple(name for name in RATINGS_SCHEMA.names if name != "number")
"""Columns of a file: those of `Ledger.ratings` but for the number, which is the ledger's own."""

_FIELDS = tuple(Rating.model_fields)
_DESCRIPTIONS = {
    "rating_id": ("meta.id", "Identifier made of all that the rating says"),
    "action": ("", "Ratings given at once, which are undone at once"),
    "cutout_id": ("meta.id;meta.main", "Identifier of the cutout"),
    "user": ("meta.id.person", "Who said it"),
    "judgement": ("meta.code.class", "interesting, artefact or boring"),
    "score": ("meta.code.qual", "0 (dull) to 5; NaN: none"),
    "tags": ("meta.code.class", "The user's own classes, separated by semicolons; -NAME takes one away"),
    "comment": ("meta.note", "Free text"),
    "time": ("time.epoch", "When, UTC"),
    "model": ("meta.version", "Version of the model whose order the user saw"),
    "undoes": ("meta.id.assoc", "The rating that this row takes back"),
    "undone": ("meta.code", "Whether the rating was taken back"),
}


def export_ratings(ledger: Ledger, path: str | Path) -> int:
    """Write all rows of a ledger, those taken back among them, to a file; its ending gives the format.

    Parameters
    ----------
    ledger : Ledger
        The ledger.
    path : str or Path
        Ends in .csv, .parquet, .vot, .votable or .xml; replaced once all is written.

    Returns
    -------
    int
        How many rows.

    Raises
    ------
    RequestError
        If the ending is another one, or the folder is not there.
    """
    target = Path(path)
    write = _format(target)[0]
    if not target.parent.is_dir():
        raise RequestError(f"{target.parent}: no such folder; choose another file to export to.")
    table = ledger.ratings(undone=True).select(COLUMNS)
    partial = target.with_name(f".{target.name}.partial")
    try:
        write(table, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return int(table.num_rows)


def import_ratings(
    ledger: Ledger, path: str | Path, *, user: str | None = None, time: datetime | None = None
) -> tuple[int, int]:
    """Add the ratings of a file, all or none; those that are there already are left out.

    Parameters
    ----------
    ledger : Ledger
        Where to.
    path : str or Path
        As of `export_ratings`. Its columns are found by name, in any order; `cutout_id` and one of judgement, score,
        tags and comment are needed.
    user, time : optional
        For rows that don't say who and when.

    Returns
    -------
    read, new : int
        How many ratings the file holds, and how many of them were added.

    Raises
    ------
    RequestError
        If the file is none of the formats, a column is missing, or a row is no rating: nothing was added then.
    """
    source = Path(path)
    read = _format(source)[1]
    if not source.is_file():
        raise RequestError(f"{source}: no such file.")
    columns = read(source)
    if "cutout_id" not in columns or not columns.keys() & {"judgement", "score", "tags", "comment"}:
        raise RequestError(
            f"{source}: no ratings; a column cutout_id and one of judgement, score, tags, comment are needed."
        )
    defaults = {"user": user, "time": time}
    for name, option in (("user", "--user NAME"), ("time", "--time 2026-01-31T12:00:00Z")):
        if name not in columns and defaults[name] is None:
            raise RequestError(f"{source}: no column {name}; say it for all rows with {option}.")
    found: list[tuple[Rating, str]] = []
    for number in range(len(columns["cutout_id"])):
        row = {name: values[number] for name, values in columns.items()}
        found.append(_rating(row, defaults, f"{source}, row {number + 1}"))
    new = ledger.write([rating for rating, _ in found], [action for _, action in found], merge=True)
    return len({rating.rating_id for rating, _ in found}), new


def _rating(row: Mapping[str, Any], defaults: Mapping[str, Any], where: str) -> tuple[Rating, str]:
    """Return the rating of a row and its action."""
    values = {name: row[name] for name in _FIELDS if row.get(name) not in (None, "")}
    values = {name: value for name, value in defaults.items() if value is not None} | values
    if "score" in values:
        values["score"] = _whole(values["score"])
    if isinstance(values.get("tags"), str):
        values["tags"] = [tag for tag in values["tags"].split(";") if tag.strip()]
    rating = checked(values, where)
    if row.get("rating_id") not in (None, "", rating.rating_id):
        raise RequestError(
            f"{where}: its rating_id belongs to another rating, so the row was changed; empty that cell to add it as a "
            "new one."
        )
    action = str(row.get("action") or rating.rating_id)
    if len(action) != 32 or set(action) - set("0123456789abcdef"):
        raise RequestError(f"{where}: action must be 32 hex digits.")
    return rating, action


def _whole(score: Any) -> Any:
    """Return a score as an integer where it is one however written, None for NaN."""
    try:
        number = float(score)
    except (TypeError, ValueError):
        return score
    if math.isnan(number):
        return None
    return int(number) if number.is_integer() else score


def _format(path: Path) -> tuple[Callable[[Any, Path], None], Callable[[Path], dict[str, list[Any]]]]:
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise RequestError(f"{path}: unknown format; name a file that ends in {', '.join(FORMATS)}.")
    return found


def _texts(table: Any) -> dict[str, list[str]]:
    """Return the columns but for score and undone as texts."""
    columns = {name: table.column(name).to_pylist() for name in COLUMNS if name not in ("score", "undone", "time")}
    columns["tags"] = [";".join(tags) for tags in columns["tags"]]
    columns["time"] = [
        time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
        for time in table.column("time").to_pylist()
    ]
    return {name: [value or "" for value in values] for name, values in columns.items()}


def _write_csv(table: Any, path: Path) -> None:
    columns: dict[str, list[Any]] = {**_texts(table)}
    columns["score"] = ["" if score is None else score for score in table.column("score").to_pylist()]
    columns["undone"] = [str(undone).lower() for undone in table.column("undone").to_pylist()]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(zip(*(columns[name] for name in COLUMNS), strict=True))


def _read_csv(path: Path) -> dict[str, list[Any]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.reader(stream, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"{path}: not a CSV file in UTF-8 ({error}).") from None
    rows = [row for row in rows if row]
    if not rows:
        raise RequestError(f"{path}: empty; the first line of a CSV file names its columns.")
    names = [name.strip() for name in rows[0]]
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(names):
            raise RequestError(f"{path}, row {number}: {len(row)} values for {len(names)} columns.")
    return {name: [row[i] for row in rows[1:]] for i, name in enumerate(names)}


def _write_parquet(table: Any, path: Path) -> None:
    pq.write_table(table, path, compression="zstd")


def _read_parquet(path: Path) -> dict[str, list[Any]]:
    try:
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowInvalid, OSError) as error:
        raise RequestError(f"{path}: not a Parquet table ({str(error).splitlines()[0]}).") from None
    for i, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            cast = table.column(i).cast(pa.timestamp("us", tz=column.type.tz), safe=False)
            table = table.set_column(i, column.name, cast)
    return {name: table.column(name).to_pylist() for name in table.column_names if name in COLUMNS}


def _write_votable(table: Any, path: Path) -> None:
    from skysift.tables.votable import write_votable

    columns: dict[str, Any] = {name: pa.array(values, pa.string()) for name, values in _texts(table).items()}
    columns["score"] = table.column("score").cast(pa.float32()).combine_chunks()
    columns["undone"] = table.column("undone").combine_chunks()
    fields = [
        pa.field(
            name,
            columns[name].type,
            metadata={"ucd": _DESCRIPTIONS[name][0], "description": _DESCRIPTIONS[name][1]},
        )
        for name in COLUMNS
    ]
    plain = pa.table([columns[name] for name in COLUMNS], schema=pa.schema(fields))
    write_votable(plain, path, name="ratings", description="Ratings of cutouts by people; rows are never changed")


def _read_votable(path: Path) -> dict[str, list[Any]]:
    from astropy.io.votable import parse_single_table

    from skysift.sky.quiet import quiet

    try:
        with quiet():
            table = parse_single_table(str(path))
    except (OSError, ValueError, IndexError, SyntaxError) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise RequestError(f"{path}: not a VOTable ({reason}).") from None
    columns = {field.name: table.array[field.ID] for field in table.fields if field.name in COLUMNS}
    if any(values.ndim != 1 for values in columns.values()):
        raise SkysiftError(f"{path}: a column holds arrays; each cell must hold one value.")
    filled = {name: values.filled(_NOTHING[values.dtype.kind]) for name, values in columns.items()}
    return {name: [_cell(value) for value in values] for name, values in filled.items()}


_NOTHING: dict[str, Any] = {"U": "", "O": "", "S": b"", "f": math.nan, "b": False, "i": -1, "u": 99}


def _cell(value: Any) -> Any:
    plain = value.item() if hasattr(value, "item") else value
    return plain.decode() if isinstance(plain, bytes) else plain


FORMATS: dict[str, tuple[Callable[[Any, Path], None], Callable[[Path], dict[str, list[Any]]]]] = {
    ".csv": (_write_csv, _read_csv),
    ".parquet": (_write_parquet, _read_parquet),
    ".vot": (_write_votable, _read_votable),
    ".votable": (_write_votable, _read_votable),
    ".xml": (_write_votable, _read_votable),
}
"""Endings of files: how they are written, and read as columns."""
