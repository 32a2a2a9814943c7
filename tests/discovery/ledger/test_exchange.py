"""Files of ratings: exact round trips, and importing twice is importing once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skysift.discovery.ledger import Ledger, Rating, export_ratings, import_ratings
from skysift.errors import RequestError

NOW = datetime(2026, 1, 31, 12, 0, 0, 7, tzinfo=UTC)
AWKWARD = [
    'a "quoted", comma; semicolon',
    "=1+1",
    "# no comment",
    "null",
    "NaN",
    "<script>alert(1)</script> &amp;",
    "Zwicky\u2019s \u00e9toile \u65e5\u672c",
    "\U0001f4ab\U0001f4ab ring",
    "x" * 2000,
    "0012",
    "'",
]
SUFFIXES = [".csv", ".parquet", ".vot"]


def fill(ledger: Ledger) -> None:
    for i, comment in enumerate(AWKWARD):
        ledger.add(
            Rating(
                cutout_id=f"{i:016x}",
                user="vera" if i % 2 else "J\u00fcrgen \U0001f52d",
                comment=comment,
                score=None if i % 3 else i % 6,
                judgement=[None, "boring", "artefact"][i % 3],
                tags=("ring", "odd circle", "-x")[: i % 4],
                time=NOW + timedelta(microseconds=i),
                model=f"m {i}" if i % 2 else "",
            )
        )
    ledger.add_many([Rating(cutout_id=f"{i:016x}", user="otto", score=5, time=NOW) for i in range(2)])
    ledger.undo("otto")
    ledger.undo("vera")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_round_trip_is_exact_and_a_second_import_adds_nothing(tmp_path: Path, suffix: str) -> None:
    with Ledger.open(tmp_path / "a.sqlite") as one, Ledger.open(tmp_path / "b.sqlite") as other:
        fill(one)
        path = tmp_path / f"ratings{suffix}"
        assert export_ratings(one, path) == one.version == len(AWKWARD) + 5
        assert import_ratings(other, path) == (one.version, one.version)
        assert import_ratings(other, path) == (one.version, 0)
        assert (
            other.ratings(undone=True)
            .drop_columns(["number"])
            .sort_by("rating_id")
            .equals(one.ratings(undone=True).drop_columns(["number"]).sort_by("rating_id"))
        )
        assert other.current().sort_by("cutout_id").equals(one.current().sort_by("cutout_id"))
        assert sorted(p.name for p in tmp_path.glob("*ratings*")) == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_ledger_makes_an_empty_file(tmp_path: Path, suffix: str) -> None:
    with Ledger.open(tmp_path / "a.sqlite") as ledger:
        assert export_ratings(ledger, tmp_path / f"r{suffix}") == 0
        assert import_ratings(ledger, tmp_path / f"r{suffix}") == (0, 0)


def test_between_the_two_databases(tmp_path: Path, database: str) -> None:
    with Ledger.open(tmp_path / "a.sqlite") as one, Ledger.open(database) as other:
        fill(one)
        export_ratings(one, tmp_path / "r.csv")
        import_ratings(other, tmp_path / "r.csv")
        export_ratings(other, tmp_path / "back.csv")
        assert sorted((tmp_path / "back.csv").read_text().splitlines()) == sorted(
            (tmp_path / "r.csv").read_text().splitlines()
        )


def test_other_peoples_files(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("\ufeffscore,cutout_id,other\n4.0,00000000000000aa,x\n,00000000000000ab,y\n")
    with Ledger.open(tmp_path / "a.sqlite") as ledger:
        with pytest.raises(RequestError, match="no column user; say it for all rows with --user"):
            import_ratings(ledger, path, time=NOW)
        with pytest.raises(RequestError, match="row 2: says nothing"):
            import_ratings(ledger, path, user="vera", time=NOW)
        assert ledger.version == 0
        path.write_text("score,cutout_id,tags\n4.0,00000000000000aa,ring; jet\n")
        assert import_ratings(ledger, path, user="vera", time=NOW) == (1, 1)
        assert ledger.current().to_pylist()[0] | {"model": ""} == {
            "cutout_id": "00000000000000aa",
            "user": "vera",
            "judgement": None,
            "score": 4,
            "tags": ["ring", "jet"],
            "comment": "",
            "time": NOW,
            "model": "",
        }
        nanoseconds = pa.array([NOW], pa.timestamp("ns", tz="UTC"))
        table = {
            "cutout_id": ["00000000000000ac"],
            "score": [float("nan")],
            "judgement": ["boring"],
            "time": nanoseconds,
        }
        pq.write_table(pa.table(table), tmp_path / "p.parquet")
        assert import_ratings(ledger, tmp_path / "p.parquet", user="vera") == (1, 1)


def test_two_ledgers_that_both_took_it_back_can_be_joined(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "a.sqlite") as one, Ledger.open(tmp_path / "b.sqlite") as other:
        for ledger in (one, other):
            ledger.add(Rating(cutout_id="0" * 16, user="vera", score=1, time=NOW))
            ledger.undo("vera")
        export_ratings(one, tmp_path / "r.csv")
        assert import_ratings(other, tmp_path / "r.csv") == (2, 0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.txt", "x", "unknown format; name a file that ends in .csv"),
        ("r.csv", "", "empty"),
        ("r.csv", "a,b\n1,2\n", "a column cutout_id and one of"),
        ("r.csv", "cutout_id,score\n1\n", "row 1: 1 values for 2 columns"),
        (
            "r.csv",
            "cutout_id,score,user,time\nzz,1,v,2026-01-01T00:00:00Z\n",
            "row 1: cutout_id: must be 16 hex digits",
        ),
        (
            "r.csv",
            "cutout_id,score,user,time\n00000000000000aa,9,v,2026-01-01T00:00:00Z\n",
            "row 1: score: .*less than",
        ),
        ("r.csv", "cutout_id,score,user,time\n00000000000000aa,1.5,v,2026-01-01T00:00:00Z\n", "row 1: score"),
        ("r.csv", "cutout_id,score,user,time\n00000000000000aa,1,v,2026-01-01T00:00:00\n", "row 1: time: .*timezone"),
        ("r.csv", "cutout_id,score,user,time\n00000000000000aa,1,v\x1b[2J,2026-01-01T00:00:00Z\n", "U[+]001B"),
        (
            "r.csv",
            f"rating_id,cutout_id,score,user,time\n{'0' * 32},00000000000000aa,1,v,2026-01-01T00:00:00Z\n",
            "the row was changed",
        ),
        ("r.parquet", "not parquet", "not a Parquet table"),
        ("r.vot", "<html></html>", "not a VOTable"),
    ],
)
def test_what_is_no_file_of_ratings_is_refused_whole(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with Ledger.open(tmp_path / "a.sqlite") as ledger:
        with pytest.raises(RequestError, match=message):
            import_ratings(ledger, tmp_path / name)
        assert ledger.version == 0


def test_export_says_where_it_can_not_write(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "a.sqlite") as ledger:
        with pytest.raises(RequestError, match="no such folder"):
            export_ratings(ledger, tmp_path / "absent" / "r.csv")
        with pytest.raises(RequestError, match="unknown format"):
            export_ratings(ledger, tmp_path / "r.xlsx")
