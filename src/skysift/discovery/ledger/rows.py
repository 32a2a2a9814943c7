"""Between database rows, ratings and tables of ratings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from skysift.discovery.ledger.rating import Rating

_SAID = [
    pa.field("cutout_id", pa.string(), nullable=False),
    pa.field("user", pa.string(), nullable=False),
    pa.field("judgement", pa.string()),
    pa.field("score", pa.int8()),
    pa.field("tags", pa.list_(pa.string()), nullable=False),
    pa.field("comment", pa.string(), nullable=False),
    pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("model", pa.string(), nullable=False),
]

RATINGS_SCHEMA = pa.schema(
    [
        pa.field("number", pa.int64(), nullable=False),
        pa.field("rating_id", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        *_SAID,
        pa.field("undoes", pa.string()),
        pa.field("undone", pa.bool_(), nullable=False),
    ]
)
"""Columns of `Ledger.ratings`."""

CURRENT_SCHEMA = pa.schema(_SAID)
"""Columns of `Ledger.current`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def row_of(number: int, rating_id: str, rating: Rating, action: str) -> dict[str, Any]:
    """Return a rating as a row of the database."""
    return {
        "number": number,
        "rating_id": rating_id,
        "action": action,
        "cutout_id": rating.cutout_id,
        "user_name": rating.user,
        "judgement": rating.judgement,
        "score": rating.score,
        "tags": json.dumps(list(rating.tags)),
        "comment": rating.comment,
        "time_us": rating.microseconds,
        "model": rating.model,
        "undoes": rating.undoes,
    }


def from_row(row: Any) -> Rating:
    """Return the rating of a row of the database."""
    return Rating(
        cutout_id=row.cutout_id,
        user=row.user_name,
        judgement=row.judgement,
        score=row.score,
        tags=tuple(json.loads(row.tags)),
        comment=row.comment,
        time=_EPOCH + timedelta(microseconds=row.time_us),
        model=row.model,
        undoes=row.undoes,
    )


def table_of(rows: Sequence[Any]) -> Any:
    """Return rows of the database as a table; without a column `undone`, none is."""
    columns = {
        "number": [row.number for row in rows],
        "rating_id": [row.rating_id for row in rows],
        "action": [row.action for row in rows],
        "cutout_id": [row.cutout_id for row in rows],
        "user": [row.user_name for row in rows],
        "judgement": [row.judgement for row in rows],
        "score": [row.score for row in rows],
        "tags": [json.loads(row.tags) for row in rows],
        "comment": [row.comment for row in rows],
        "time": [row.time_us for row in rows],
        "model": [row.model for row in rows],
        "undoes": [row.undoes for row in rows],
        "undone": [bool(getattr(row, "undone", False)) for row in rows],
    }
    return pa.table([pa.array(columns[field.name], field.type) for field in RATINGS_SCHEMA], schema=RATINGS_SCHEMA)


def latest(ratings: Any) -> Any:
    """Return what each user thinks of each cutout, from a table of ratings that stand; see `Ledger.current`."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    columns = {name: ratings.column(name).to_pylist() for name in CURRENT_SCHEMA.names if name != "time"}
    times = ratings.column("time").cast(pa.int64()).to_pylist()
    # a stable sort: ratings of one moment stay in the order of their numbers
    for i in sorted(range(len(times)), key=times.__getitem__):
        key = (columns["cutout_id"][i], columns["user"][i])
        entry = found.setdefault(key, {"judgement": None, "score": None, "tags": {}, "comment": ""})
        if columns["judgement"][i] is not None or columns["score"][i] is not None:
            entry["judgement"], entry["score"] = columns["judgement"][i], columns["score"][i]
        for tag in columns["tags"][i]:
            if tag.startswith("-"):
                entry["tags"].pop(tag[1:], None)
            else:
                entry["tags"][tag] = None
        entry["comment"] = columns["comment"][i] or entry["comment"]
        entry["time"], entry["model"] = times[i], columns["model"][i]
    rows = [
        {**entry, "cutout_id": cutout, "user": user, "tags": list(entry["tags"])}
        for (cutout, user), entry in found.items()
    ]
    arrays = [pa.array([row[field.name] for row in rows], field.type) for field in CURRENT_SCHEMA]
    return pa.table(arrays, schema=CURRENT_SCHEMA)
