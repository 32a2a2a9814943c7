"""The ledger itself: adding, undoing and reading ratings."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, exists, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from skysift.discovery.ledger.address import BUSY_SECONDS, WRITES, Address
from skysift.discovery.ledger.rating import Rating, check_cutout, check_user
from skysift.discovery.ledger.rows import from_row, latest, row_of, table_of
from skysift.discovery.ledger.schema import NO_LEDGER, RATINGS, STATE, check, prepare
from skysift.errors import RequestError, SkysiftError

__all__ = ["Ledger"]

_AT_ONCE = 500


class Ledger:
    """All ratings of cutouts by people: rows are added, none is ever changed or deleted.

    Made by `Ledger.open`; used by several threads and processes at once. Writers wait for each other, so that rows are
    numbered 1, 2, 3 ... without gaps in the order in which they became visible.

    Examples
    --------
    >>> ledger = Ledger.open("skysift-store/ledger.sqlite")
    >>> ledger.add(Rating(cutout_id="00c0ffee00c0ffee", user="vera", score=4, tags=("ring",)))
    >>> ledger.current().to_pylist()
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._engine = address.engine()
        self._writer = self._engine.execution_options(**{WRITES: True})

    @classmethod
    def open(cls, where: str | os.PathLike[str], *, create: bool = True) -> Ledger:
        """Open a ledger.

        Parameters
        ----------
        where : str or path
            A SQLite file, `sqlite:///PATH`, or `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`.
        create : bool
            Whether to make it where there is none.

        Raises
        ------
        RequestError
            If the address is none, there is no ledger and none is to be made, or it has another schema.
        SkysiftError
            If the database can't be reached or is damaged.
        """
        address = Address.of(where)
        if not create and address.path is not None and not address.path.is_file():
            raise RequestError(f"{address}: {NO_LEDGER}")
        ledger = cls(address)
        try:
            if create:
                ledger._write_ahead()
                with ledger._writing() as connection:
                    prepare(connection, str(address))
            else:
                with ledger._reading() as connection:
                    check(connection, str(address))
        except BaseException:
            ledger.close()
            raise
        return ledger

    @property
    def address(self) -> str:
        """Where it is; passwords are not shown."""
        return str(self._address)

    @property
    def version(self) -> int:
        """Number of the last row: grows with every write, cheap to ask."""
        with self._reading() as connection:
            return int(connection.execute(select(STATE.c.version)).scalar_one())

    def add(self, rating: Rating) -> bool:
        """Write a rating; return False if this very one (same content and time) is there already."""
        return self.add_many([rating]) == 1

    def add_many(self, ratings: Iterable[Rating]) -> int:
        """Write ratings, all or none; they are one action, which is undone as one.

        Returns
        -------
        int
            How many were new.
        """
        found = list(ratings)
        return self.write(found, [found[0].rating_id] * len(found)) if found else 0

    def write(self, ratings: Sequence[Rating], actions: Sequence[str], *, merge: bool = False) -> int:
        """Write ratings, all or none, each as part of the action of that name.

        Parameters
        ----------
        ratings : sequence of Rating
            Those that are there already are left out.
        actions : sequence of str
            For each, an id that it shares with others that were given at once.
        merge : bool
            Leave out rows that take back what was taken back already, as happens where two ledgers are joined.

        Returns
        -------
        int
            How many were new.

        Raises
        ------
        RequestError
            If one takes back a rating that is not there, is itself such a row, is somebody else's, or was taken back
            already.
        """
        given = {rating.rating_id: (rating, action) for rating, action in zip(ratings, actions, strict=True)}
        with self._writing() as connection:
            last = int(connection.execute(select(STATE.c.version).with_for_update()).scalar_one())
            known = _known(connection, list(given))
            new = {i: both for i, both in given.items() if i not in known and both[0].undoes is None}
            undoing = {i: both for i, both in given.items() if i not in known and both[0].undoes is not None}
            there = {
                **_known(connection, [str(r.undoes) for r, _ in undoing.values()]),
                **{i: r for i, (r, _) in new.items()},
            }
            taken = _taken_back(connection, [str(r.undoes) for r, _ in undoing.values()])
            # what is undone comes before what undoes it
            for i, (undo, action) in undoing.items():
                target = str(undo.undoes)
                _check_undo(undo, there.get(target))
                if target not in taken:
                    new[i] = (undo, action)
                    taken.add(target)
                elif not merge:
                    raise _UndoneMeanwhileError(f"Rating {target} was taken back already.")
            rows = [row_of(last + k, i, *both) for k, (i, both) in enumerate(new.items(), start=1)]
            for start in range(0, len(rows), _AT_ONCE):
                connection.execute(insert(RATINGS), rows[start : start + _AT_ONCE])
            connection.execute(update(STATE).values(version=last + len(rows)))
            return len(rows)

    def undo(self, user: str) -> Rating | None:
        """Take back a user's last action; return its rating (the last of several), or None if there is none left.

        A further row says so for every rating of the action; the ratings stay in the ledger.
        """
        undone = self.undo_action(user)
        return undone[-1] if undone else None

    def undo_action(self, user: str) -> list[Rating]:
        """Take back a user's last action; return all its ratings."""
        name = check_user(user)
        while True:
            with self._reading() as connection:
                standing = _standing(select(RATINGS)).where(RATINGS.c.user_name == name)
                newest = connection.execute(
                    standing.order_by(RATINGS.c.time_us.desc(), RATINGS.c.number.desc()).limit(1)
                )
                row = newest.first()
                if row is None:
                    return []
                rows = connection.execute(
                    standing.where(RATINGS.c.action == row.action).order_by(RATINGS.c.number)
                ).all()
            ratings = [from_row(row) for row in rows]
            now = datetime.now(UTC)
            undoing = [Rating(cutout_id=r.cutout_id, user=name, time=now, undoes=r.rating_id) for r in ratings]
            try:
                self.add_many(undoing)
            except _UndoneMeanwhileError:
                continue
            return ratings

    def history(self, cutout_id: str) -> Any:
        """Return all that was ever said about a cutout, undone or not, as a pyarrow.Table; columns as of `ratings`."""
        return self.ratings(cutout_ids=[check_cutout(cutout_id)], undone=True)

    def ratings(
        self,
        *,
        cutout_ids: Sequence[str] | None = None,
        user: str | None = None,
        since: int = 0,
        until: int | None = None,
        undone: bool = False,
    ) -> Any:
        """Return ratings in the order in which they were written.

        Parameters
        ----------
        cutout_ids : sequence of str, optional
            Only of these.
        user : str, optional
            Only of this one.
        since : int
            Only rows with higher numbers (an earlier `version`).
        until : int, optional
            As the ledger was at this version.
        undone : bool
            Also ratings that were taken back, and the rows that took them back.

        Returns
        -------
        pyarrow.Table
            number, rating_id, action, cutout_id, user, judgement, score, tags, comment, time, model, undoes, undone.
        """
        everything = select(RATINGS, _is_undone(until).label("undone"))
        query = everything if undone else _standing(select(RATINGS), until)
        if until is not None:
            query = query.where(RATINGS.c.number <= until)
        if user is not None:
            query = query.where(RATINGS.c.user_name == check_user(user))
        if since:
            query = query.where(RATINGS.c.number > since)
        query = query.order_by(RATINGS.c.number)
        with self._reading() as connection:
            if cutout_ids is None:
                return table_of(connection.execute(query).all())
            wanted = [check_cutout(i) for i in dict.fromkeys(cutout_ids)]
            rows: list[Any] = []
            for start in range(0, len(wanted), _AT_ONCE):
                part = query.where(RATINGS.c.cutout_id.in_(wanted[start : start + _AT_ONCE]))
                rows.extend(connection.execute(part).all())
        return table_of(sorted(rows, key=lambda row: row.number))

    def current(
        self, *, cutout_ids: Sequence[str] | None = None, user: str | None = None, until: int | None = None
    ) -> Any:
        """Return what each user thinks of each cutout now, without what was taken back.

        Judgement and score are those of the user's latest rating of the cutout that gave one of them; the comment is
        the latest; tags add up, and `-ring` takes `ring` away. Arguments are those of
        `ratings`.

        Returns
        -------
        pyarrow.Table
            cutout_id, user, judgement, score, tags, comment, time (of the latest), model; in the order of the first
            rating of each.
        """
        return latest(self.ratings(cutout_ids=cutout_ids, user=user, until=until))

    def users(self) -> list[str]:
        """Return the names of all who rated, in alphabetical order."""
        with self._reading() as connection:
            return sorted(connection.execute(select(RATINGS.c.user_name).distinct()).scalars())

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self.version

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"Ledger({self.address!r})"

    def _write_ahead(self) -> None:
        """Switch a SQLite file to a write-ahead log, for which nobody else may be at work in it."""
        if self._address.path is None:
            return
        end = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                with self._errors():
                    raw = self._engine.raw_connection()
                    try:
                        raw.cursor().execute("PRAGMA journal_mode=WAL")
                    finally:
                        raw.close()
                return
            except SkysiftError as error:
                if "locked" not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(0.02)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._errors(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._errors(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say in one sentence, without the password, what the database complains about."""
        import sqlite3

        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            cause = getattr(error, "orig", None) or error
            reason = (str(cause).strip().splitlines() or ["no reason given"])[0]
            text = self._address.scrubbed(reason)
            raise SkysiftError(f"{self._address}: the ledger can't be used: {text}.") from None


class _UndoneMeanwhileError(RequestError):
    """Another client took the same rating back first."""


def _is_undone(until: int | None = None) -> Any:
    """Return the condition that a rating was taken back, at a version or now."""
    later = RATINGS.alias("later")
    found = exists().where(later.c.undoes == RATINGS.c.rating_id)
    return found if until is None else found.where(later.c.number <= until)


def _standing(query: Select[Any], until: int | None = None) -> Select[Any]:
    """Keep ratings that were not taken back, at a version or now."""
    return query.where(RATINGS.c.undoes.is_(None), ~_is_undone(until))


def _known(connection: Connection, ids: list[str]) -> dict[str, Rating]:
    """Return those of these ratings that are in the ledger; ids that are not are left out."""
    found: dict[str, Rating] = {}
    for start in range(0, len(ids), _AT_ONCE):
        query = select(RATINGS).where(RATINGS.c.rating_id.in_(ids[start : start + _AT_ONCE]))
        found |= {row.rating_id: from_row(row) for row in connection.execute(query)}
    return found


def _taken_back(connection: Connection, ids: list[str]) -> set[str]:
    """Return those of these ratings that were taken back."""
    found: set[str] = set()
    for start in range(0, len(ids), _AT_ONCE):
        query = select(RATINGS.c.undoes).where(RATINGS.c.undoes.in_(ids[start : start + _AT_ONCE]))
        found.update(connection.execute(query).scalars())
    return found


def _check_undo(undo: Rating, rating: Rating | None) -> None:
    """Check that what is to be taken back is a rating of the same user and cutout."""
    if rating is None or rating.undoes is not None:
        raise RequestError(f"There is no rating {undo.undoes} to take back; import the file that holds it first.")
    if (rating.user, rating.cutout_id) != (undo.user, undo.cutout_id):
        raise RequestError(
            f"Rating {undo.undoes} is another user's or another cutout's, so {undo.user} can't take it back."
        )
