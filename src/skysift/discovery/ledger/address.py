"""Where a ledger is: a file or a PostgreSQL database; passwords are never shown."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from skysift.errors import RequestError

BUSY_SECONDS = 60
"""How long a writer waits for the others."""

WRITES = "skysift_writes"
"""Execution option of a connection whose transactions write."""

_UNCLEAR = re.compile(r"[@/?#].*@", re.DOTALL)


@dataclass(frozen=True)
class Address:
    """A ledger's place.

    Attributes
    ----------
    url : URL
        With the password, if there is one.
    path : Path or None
        The SQLite file.
    """

    url: URL = field(repr=False)
    path: Path | None

    @classmethod
    def of(cls, where: str | os.PathLike[str]) -> Address:
        """Read a path, `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`.

        Raises
        ------
        RequestError
            If it is none of them; what was given is not repeated, since it may hold a password.
        """
        text = os.fspath(where)
        if not text.strip():
            raise RequestError("The ledger's address is empty: give a file or postgresql://USER@HOST/DATABASE.")
        if "://" not in text:
            return cls._file(Path(text).expanduser())
        scheme, _, rest = text.partition("://")
        try:
            # an @ behind the first / or ? may be that of a password, which would end up as user, host or database
            if scheme.partition("+")[0] != "sqlite" and _UNCLEAR.search(rest):
                raise ValueError
            url = make_url(text)
        except (SQLAlchemyError, ValueError):
            raise RequestError(
                "The ledger's address can't be read: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with "
                "characters like @ and / of the password as %40 and %2F."
            ) from None
        family, _, driver = url.drivername.partition("+")
        if family == "sqlite" and driver in ("", "pysqlite"):
            if url.host or url.username or not url.database or url.query or url.database == ":memory:":
                raise RequestError("A ledger on SQLite is a file: write sqlite:///PATH, or the path alone.")
            return cls._file(Path(url.database))
        if family in ("postgresql", "postgres") and driver in ("", "psycopg"):
            return cls(url.set(drivername="postgresql+psycopg"), None)
        raise RequestError("A ledger is a SQLite file or a PostgreSQL database (postgresql://USER@HOST/DATABASE).")

    @classmethod
    def _file(cls, path: Path) -> Address:
        full = path.absolute()
        return cls(URL.create("sqlite+pysqlite", database=str(full)), full)

    def __str__(self) -> str:
        """Return the file, or the database's URL without password and options."""
        if self.path is not None:
            return str(self.path)
        shown = self.url.set(drivername="postgresql", query={})
        return shown.render_as_string(hide_password=True)

    def scrubbed(self, text: str) -> str:
        """Return a message without the password."""
        given = [self.url.password, *(v for k, v in self.url.query.items() if "password" in k)]
        for secret in (str(value) for value in given if value):
            text = text.replace(secret, "***")
        return text

    def engine(self) -> Engine:
        """Return an engine: on SQLite with a write-ahead log, a busy timeout and foreign keys.

        Raises
        ------
        RequestError
            If the driver for PostgreSQL is not installed, or the file's folder is not there.
        """
        if self.path is None:
            try:
                import psycopg  # noqa: F401
            except ImportError:
                raise RequestError("A ledger on PostgreSQL needs psycopg: pip install 'skysift[postgresql]'.") from None
            return create_engine(self.url, pool_pre_ping=True, hide_parameters=True)
        if not self.path.parent.is_dir():
            raise RequestError(f"{self.path.parent}: no such folder; choose another place for the ledger.")
        if self.path.is_dir():
            raise RequestError(f"{self.path} is a folder; name a file for the ledger.")
        engine = create_engine(self.url, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
        return engine


def _set_up(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # transactions are begun by _begin, not by the driver
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin(connection: object) -> None:
    from sqlalchemy import Connection

    assert isinstance(connection, Connection)
    writes = connection.get_execution_options().get(WRITES, False)
    # a transaction that reads first and writes later would fail where another one wrote in between
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def default_ledger(store: str | os.PathLike[str]) -> str:
    """Return the ledger that SKYSIFT_LEDGER names, else `ledger.sqlite` in a store's folder."""
    return os.environ.get("SKYSIFT_LEDGER") or str(Path(store) / "ledger.sqlite")
