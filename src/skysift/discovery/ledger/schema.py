"""The ledger's tables, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    event,
    insert,
    inspect,
    select,
)

from skysift.discovery.ledger.rating import JUDGEMENTS
from skysift.errors import RequestError

SCHEMA = 1
"""Version of the tables; raised whenever they change."""

NO_LEDGER = "there is no ledger; give the first rating, or another address with --ledger."

METADATA = MetaData()

STATE = Table(
    "skysift_ledger",
    METADATA,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("one = 1", name="one_row"),
)
"""One row: the schema, and the number of the last rating; who writes holds this row, so numbers have no gaps."""

RATINGS = Table(
    "skysift_ratings",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("rating_id", String(32), nullable=False, unique=True),
    Column("action", String(32), nullable=False, index=True),
    Column("cutout_id", String(16), nullable=False, index=True),
    Column("user_name", Text, nullable=False, index=True),
    Column("judgement", String(16)),
    Column("score", SmallInteger),
    Column("tags", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("undoes", String(32), ForeignKey("skysift_ratings.rating_id"), unique=True),
    CheckConstraint("score BETWEEN 0 AND 5", name="score_range"),
    CheckConstraint(f"judgement IN {JUDGEMENTS}", name="judgement_known"),
)

_REFUSAL = "ratings are never changed or deleted"
for _what in ("UPDATE", "DELETE"):
    event.listen(
        RATINGS,
        "after_create",
        DDL(
            f"CREATE TRIGGER skysift_no_{_what.lower()} BEFORE {_what} ON skysift_ratings "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        ).execute_if(dialect="sqlite"),
    )
event.listen(
    RATINGS,
    "after_create",
    DDL(
        "CREATE OR REPLACE FUNCTION skysift_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$; "
        "CREATE TRIGGER skysift_append_only BEFORE UPDATE OR DELETE ON skysift_ratings "
        "FOR EACH ROW EXECUTE FUNCTION skysift_append_only()"
    ).execute_if(dialect="postgresql"),
)

_LOCK = 0x736B79736966
"""Key of PostgreSQL's advisory lock while the tables are made."""


def prepare(connection: Connection, where: str) -> None:
    """Make the tables unless they are there; several clients may try at once.

    Parameters
    ----------
    connection : Connection
        In a transaction that may write.
    where : str
        The ledger's address, for messages.

    Raises
    ------
    RequestError
        If they are there in another version.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    if not inspect(connection).has_table(STATE.name):
        METADATA.create_all(connection)
        connection.execute(insert(STATE).values(one=1, schema_version=SCHEMA, version=0))
    check(connection, where)


def check(connection: Connection, where: str) -> None:
    """Check that the tables have the version that this program knows.

    Raises
    ------
    RequestError
        If not, or if there are none.
    """
    if not inspect(connection).has_table(STATE.name):
        raise RequestError(f"{where}: {NO_LEDGER}")
    found = connection.execute(select(STATE.c.schema_version)).scalar()
    if found is None or found < SCHEMA:
        raise RequestError(
            f"{where}: the ledger has schema {found}, this skysift needs {SCHEMA}; export it with the skysift that "
            "made it and import the file into a new ledger."
        )
    if found > SCHEMA:
        raise RequestError(
            f"{where}: the ledger has schema {found}, this skysift knows {SCHEMA}; upgrade skysift, or choose another "
            "ledger with --ledger."
        )
