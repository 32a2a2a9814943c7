"""How a stage gets its work done elsewhere: the little that it asks of an engine, and the simplest one."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Mapper(Protocol):
    """Applies a function to many items and gives the results in the items' order."""

    @property
    def workers(self) -> int:
        """How many items are worked on at once."""
        ...

    @property
    def remote(self) -> bool:
        """Whether the work runs on other machines, which have devices of their own."""
        ...

    def imap(self, fn: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Yield `fn(item)` for each item, in order."""
        ...


class Threads:
    """Works in threads of this process: the default of the Python API.

    Parameters
    ----------
    workers : int, optional
        Number of threads; the processor's cores by default.
    """

    remote = False

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or available_cores()

    def imap(self, fn: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Yield `fn(item)` for each item, in order; at most twice `workers` are under way or waiting to be taken."""
        if self.workers == 1:
            yield from map(fn, items)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            pending: deque[Future[R]] = deque()
            try:
                for item in items:
                    pending.append(pool.submit(fn, item))
                    if len(pending) >= 2 * self.workers:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def available_cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_shard(fn: Callable[[Any, Path], None], job: tuple[Any, str]) -> str:
    """Work out one shard into a temporary file and put it in place with one rename."""
    task, name = job
    out = Path(name)
    temporary = out.with_name(f".{os.getpid()}-{out.name}")
    try:
        fn(task, temporary)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return name
