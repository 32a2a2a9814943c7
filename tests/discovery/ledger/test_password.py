"""Passwords in addresses are never shown."""

from __future__ import annotations

import traceback

import pytest

from skysift.discovery.ledger import Ledger
from skysift.discovery.ledger.address import Address
from skysift.errors import SkysiftError
from tests.cli.runner import skysift

SECRETS = ("s3cr", "t0p")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://vera:s3cr%40t0p@127.0.0.1:1/ratings",
        "postgresql://vera@127.0.0.1:1/ratings?password=s3cr@t0p",
        "postgresql://vera:s3cr/t0p@127.0.0.1:1/ratings",
        "postgresql://vera:s3cr:t0p@127.0.0.1:x/ratings",
        "postgresql+asyncpg://vera:s3crt0p@127.0.0.1:1/ratings",
        "mysql://vera:s3crt0p@127.0.0.1:1/ratings",
        "sqlite://vera:s3crt0p@h/ratings",
        "sqlite://vera:s3cr/t0p@h/ratings",
        "postgresql://vera:s3cr@t0p@127.0.0.1:1/ratings",
        "postgresql://vera:s3cr?t0p@127.0.0.1:1/ratings",
        "postgresql://vera:s3cr#t0p@127.0.0.1:1/ratings",
        "postgresql://vera@127.0.0.1:1/ratings?password=s3crt0p",
    ],
)
def test_in_no_message(url: str) -> None:
    with pytest.raises(SkysiftError) as caught:
        Ledger.open(url)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert not [secret for secret in SECRETS if secret in shown], shown


def test_a_file_may_have_an_at(tmp_path) -> None:
    (tmp_path / "a@b").mkdir()
    with Ledger.open(f"sqlite:///{tmp_path}/a@b/ledger.sqlite") as ledger:
        assert ledger.address == f"{tmp_path}/a@b/ledger.sqlite"


def test_neither_in_the_address_of_an_open_ledger(database: str) -> None:
    with Ledger.open(database) as ledger:
        assert ledger.address.startswith("postgresql://vera:***@/ratings_")
        assert "s3cr" not in repr(ledger) + str(ledger.address) + repr(Address.of(database))


def test_nor_by_the_command() -> None:
    done = skysift("ratings", "show", "--debug", "--ledger", "postgresql://vera:s3crt0p@127.0.0.1:1/ratings")
    assert done.code in (1, 2)
    assert not [secret for secret in SECRETS if secret in done.out + done.err]
