"""Ten clients at once, each a process of its own."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from typing import Any

from skysift.discovery.ledger import Ledger, Rating

CLIENTS, EACH = 10, 8


def client(address: str, number: int, start: Any) -> None:
    start.wait(60)
    with Ledger.open(address) as ledger:
        for i in range(EACH):
            ledger.add(Rating(cutout_id=f"{i:016x}", user=f"user {number}", score=number % 6))
        ledger.add_many(Rating(cutout_id=f"{i:016x}", user="shared", comment=f"{number}") for i in range(3))
        ledger.undo("shared")


def test_ten_clients_rating_at_once_lose_nothing(address: str) -> None:
    context = multiprocessing.get_context("fork")
    start = context.Barrier(CLIENTS)
    processes = [context.Process(target=client, args=(address, number, start)) for number in range(CLIENTS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0] * CLIENTS
    with Ledger.open(address, create=False) as ledger:
        table = ledger.ratings(undone=True)
        assert table["number"].to_pylist() == list(range(1, ledger.version + 1))
        assert ledger.version == CLIENTS * (EACH + 3 + 3)
        by_user = Counter(table["user"].to_pylist())
        assert all(by_user[f"user {number}"] == EACH for number in range(CLIENTS))
        # every action of the shared user was taken back exactly once, whoever did it
        shared = table.to_pylist()
        undone = [row["undoes"] for row in shared if row["undoes"]]
        assert sorted(undone) == sorted(r["rating_id"] for r in shared if r["user"] == "shared" and not r["undoes"])
        assert ledger.current(user="shared").num_rows == 0
        assert ledger.current().num_rows == CLIENTS * EACH


def test_the_version_tells_another_client_of_every_write(address: str) -> None:
    with Ledger.open(address) as one, Ledger.open(address) as other:
        seen = other.version
        for i in range(3):
            one.add(Rating(cutout_id=f"{i:016x}", user="vera", score=i))
            assert other.version == seen + 1
            assert other.ratings(since=seen)["score"].to_pylist() == [i]
            seen = other.version
