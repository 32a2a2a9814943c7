"""Adding, undoing and reading, on both databases."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from skysift.discovery.ledger import Ledger, Rating
from skysift.errors import RequestError, SkysiftError

NOW = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
A, B, C = (f"{i:016x}" for i in (10, 11, 12))


def said(cutout: str, minutes: float, **what: object) -> Rating:
    return Rating(**{"cutout_id": cutout, "user": "vera", "time": NOW + timedelta(minutes=minutes), **what})


def test_ratings_come_back_as_given_and_numbered(ledger: Ledger) -> None:
    assert ledger.version == 0
    first = said(A, 0, judgement="interesting", score=5, tags=("ring", "ORC"), comment="faint", model="iso v3")
    assert ledger.add(first)
    assert not ledger.add(first)
    assert ledger.add_many([said(B, 1, score=0), said(C, 1, judgement="artefact")]) == 2
    assert ledger.version == len(ledger) == 3
    table = ledger.ratings()
    assert table["number"].to_pylist() == [1, 2, 3]
    assert table.slice(0, 1).drop_columns(["action", "rating_id"]).to_pylist() == [
        {
            "number": 1,
            "cutout_id": A,
            "user": "vera",
            "judgement": "interesting",
            "score": 5,
            "tags": ["ring", "ORC"],
            "comment": "faint",
            "time": NOW,
            "model": "iso v3",
            "undoes": None,
            "undone": False,
        }
    ]
    assert ledger.ratings(since=1)["cutout_id"].to_pylist() == [B, C]
    assert ledger.ratings(cutout_ids=[C, A, C])["cutout_id"].to_pylist() == [A, C]
    assert ledger.users() == ["vera"]
    assert ledger.ratings(user="otto").num_rows == 0


def test_an_undo_is_a_further_row_and_takes_back_a_whole_action(ledger: Ledger) -> None:
    ledger.add(said(A, 0, score=2))
    ledger.add_many([said(B, 1, tags=("ring",)), said(C, 1, tags=("ring",))])
    ledger.add(Rating(cutout_id=A, user="otto", score=1))
    undone = ledger.undo("vera")
    assert undone is not None
    assert undone.cutout_id == C
    assert ledger.version == 6
    assert ledger.current()["cutout_id"].to_pylist() == [A, A]
    assert [r.cutout_id for r in ledger.undo_action("vera")] == [A]
    assert ledger.undo("vera") is None
    assert ledger.current()["user"].to_pylist() == ["otto"]
    history = ledger.history(A)
    assert history["undone"].to_pylist() == [True, False, False]
    assert history["undoes"].to_pylist() == [None, None, history["rating_id"][0].as_py()]
    assert ledger.ratings(undone=True).num_rows == ledger.version == 7


def test_the_ledger_as_it_was(ledger: Ledger) -> None:
    ledger.add(said(A, 0, score=2))
    ledger.add(said(A, 1, score=3))
    before = ledger.version
    ledger.undo("vera")
    assert ledger.current()["score"].to_pylist() == [2]
    assert ledger.current(until=before)["score"].to_pylist() == [3]
    assert ledger.current(until=1)["score"].to_pylist() == [2]
    assert ledger.ratings(until=before, undone=True)["undone"].to_pylist() == [False, False]


def test_current_is_the_latest_verdict_all_tags_and_the_latest_comment(ledger: Ledger) -> None:
    ledger.add(said(A, 5, judgement="artefact", comment="a ray"))
    ledger.add(said(A, 6, score=4, tags=("ring", "jet")))
    ledger.add(said(A, 7, tags=("-ring", "shell"), comment="no ray"))
    ledger.add(said(A, 1, judgement="boring", tags=("first",)))  # written last, said first
    [row] = ledger.current().to_pylist()
    assert (row["judgement"], row["score"]) == (None, 4)
    assert row["tags"] == ["first", "jet", "shell"]
    assert row["comment"] == "no ray"
    assert row["time"] == NOW + timedelta(minutes=7)


def test_the_database_itself_refuses_changes(ledger: Ledger) -> None:
    ledger.add(said(A, 0, score=2))
    for statement in ("DELETE FROM skysift_ratings", "UPDATE skysift_ratings SET score = 5"):
        with pytest.raises(SkysiftError, match="never changed or deleted"), ledger._writing() as connection:
            connection.execute(text(statement))
    with pytest.raises(SkysiftError, match="ledger can't be used"), ledger._writing() as connection:
        connection.execute(
            text(
                "INSERT INTO skysift_ratings (number, rating_id, action, cutout_id, user_name, tags, comment, time_us, "
                "model, undoes) VALUES (9, 'x', 'x', 'x', 'x', '[]', '', 0, '', 'there is no such rating')"
            )
        )
    assert ledger.current()["score"].to_pylist() == [2]


def test_all_or_none(ledger: Ledger) -> None:
    there, nowhere = said(A, 0, score=1), said(B, 0, score=1)
    undo = Rating(cutout_id=B, user="vera", undoes=nowhere.rating_id)
    with pytest.raises(RequestError, match="no rating"):
        ledger.add_many([there, undo])
    assert ledger.version == 0
    ledger.add(there)
    with pytest.raises(RequestError, match="can't take it back"):
        ledger.add(Rating(cutout_id=A, user="otto", undoes=there.rating_id))
    ledger.undo("vera")
    with pytest.raises(RequestError, match="already"):
        ledger.add(Rating(cutout_id=A, user="vera", undoes=there.rating_id))
    assert ledger.version == 2


@pytest.mark.parametrize(("schema", "hint"), [(0, "export it"), (2, "upgrade skysift")])
def test_another_schema_is_refused_in_one_sentence(address: str, schema: int, hint: str) -> None:
    with Ledger.open(address) as ledger, ledger._writing() as connection:
        connection.execute(text(f"UPDATE skysift_ledger SET schema_version = {schema}"))
    for create in (True, False):
        with pytest.raises(RequestError, match=f"schema {schema}.*{hint}"):
            Ledger.open(address, create=create)


def test_no_ledger_is_made_unless_asked(address: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no ledger"):
        Ledger.open(address, create=False)
    assert not (tmp_path / "ledger.sqlite").exists()


def test_sqlite_keeps_a_write_ahead_log_and_foreign_keys(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l.sqlite") as ledger, ledger._reading() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys")]
        assert [*found, connection.exec_driver_sql("PRAGMA busy_timeout").scalar()] == ["wal", 1, 60000]


def test_what_is_no_ledger_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all, just words that go on for a while\n" * 50)
    with pytest.raises(SkysiftError, match="file is not a database"):
        Ledger.open(tmp_path / "text")
    with pytest.raises(RequestError, match="no such folder"):
        Ledger.open(tmp_path / "absent" / "l.sqlite")
    with pytest.raises(RequestError, match="is a folder"):
        Ledger.open(tmp_path)
    sqlite3.connect(tmp_path / "other.sqlite").execute("CREATE TABLE t (a)").connection.close()
    with pytest.raises(RequestError, match="there is no ledger"):
        Ledger.open(tmp_path / "other.sqlite", create=False)
