"""Chunks on several cores: a thread a core, each doing whole chunks, instead of every operation split over all cores.

Splitting each small operation makes all cores wait for the slowest one a hundred times per search; on a
busy machine that costs more than the arithmetic.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

_LOCK = threading.Lock()
_USERS = 0
_THREADS = 1


@contextmanager
def one_thread_an_operation() -> Iterator[int]:
    """Let torch use one thread an operation; yield how many it used before.

    Uses may be nested and may come from several threads; the number is global to torch, and so is the count of uses.
    """
    global _USERS, _THREADS
    with _LOCK:
        if _USERS == 0:
            _THREADS = torch.get_num_threads()
            torch.set_num_threads(1)
        _USERS += 1
        threads = _THREADS
    try:
        yield threads
    finally:
        with _LOCK:
            _USERS -= 1
            if _USERS == 0:
                torch.set_num_threads(_THREADS)


def each_chunk(work: Callable[[slice], None], rows: int, chunk: int, device: torch.device) -> None:
    """Call `work(slice)` for each chunk of `rows`, on as many cores as torch may use.

    Parameters
    ----------
    work : callable
        Writes its result somewhere of its own; chunks are independent of each other.
    rows, chunk : int
        How many there are, and how many in a chunk.
    device : torch.device
        On anything but a CPU the chunks are done one after another.
    """
    parts = [slice(start, min(start + chunk, rows)) for start in range(0, rows, chunk)]
    with one_thread_an_operation() as threads:
        if device.type != "cpu" or min(threads, len(parts)) < 2:
            for part in parts:
                work(part)
            return
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(work, parts):
                pass
