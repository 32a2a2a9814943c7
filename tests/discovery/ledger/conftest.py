"""Ledgers on SQLite and on a private PostgreSQL that lives as long as the tests."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from skysift.discovery.ledger import Ledger

NUMBERS = itertools.count()


def _server_user() -> str | None:
    """Return whom the server runs as: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), "root")


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """A PostgreSQL server on a unix socket; yields the socket's folder."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.skip("no PostgreSQL server here (apt-get install postgresql)")
    user = _server_user()
    if user == "root":
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")
    folder = Path(tempfile.mkdtemp(prefix="skysift-pg-", dir="/tmp"))
    if user is not None:
        shutil.chown(folder, user)
    identity = {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}

    def run(program: str, *words: str) -> None:
        log = folder.parent / f"{folder.name}.log"
        with log.open("a") as stream:
            done = subprocess.run(
                [found[-1].with_name(program), *words],
                cwd=folder,
                stdout=stream,
                stderr=stream,
                check=False,
                **identity,
            )
        assert done.returncode == 0, log.read_text()

    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c shared_buffers=16MB"
    try:
        run("initdb", "-D", str(folder / "data"), "-U", "vera", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        run("pg_ctl", "-D", str(folder / "data"), "-w", "-t", "120", "-o", options, "start")
        try:
            yield str(folder)
        finally:
            run("pg_ctl", "-D", str(folder / "data"), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)


@pytest.fixture
def database(cluster: str) -> str:
    """URL of a new database, with a password in it."""
    import psycopg

    name = f"ratings_{next(NUMBERS)}"
    with psycopg.connect(host=cluster, user="vera", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql://vera:{quote('s3cr@t/', safe='')}@/{name}?host={quote(cluster, safe='')}"


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new ledger may be, on each of the two."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.sqlite")
    return str(request.getfixturevalue("database"))


@pytest.fixture
def ledger(address: str) -> Iterator[Ledger]:
    """An empty ledger, on each of the two."""
    with Ledger.open(address) as opened:
        yield opened
