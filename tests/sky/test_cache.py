"""The bounded cache: one expansion for all, oldest out first, no half-written entries."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from skysift.errors import RequestError, SkysiftError
from skysift.sky.cache import cache_folder, cache_limit, evict, open_cached


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SKYSIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entries(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".lock")


def put(key: str, size: int = 100, age: float = 0.0) -> None:
    open_cached(key, lambda stream: stream.write(b"x" * size), source=key).close()
    when = time.time() - age
    os.utime(cache_folder() / key, (when, when))


def test_folder(monkeypatch, folder):
    assert cache_folder() == folder
    monkeypatch.delenv("SKYSIFT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/skysift")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "skysift"


def test_limit(monkeypatch):
    assert cache_limit() == 50e9
    monkeypatch.setenv("SKYSIFT_CACHE_GB", "0.5")
    assert cache_limit() == 5e8
    for wrong in ("-1", "0", "plenty", "nan"):
        monkeypatch.setenv("SKYSIFT_CACHE_GB", wrong)
        with pytest.raises(RequestError, match=f"SKYSIFT_CACHE_GB={wrong} is not a size"):
            cache_limit()


def test_longest_unused_goes_first(folder, monkeypatch):
    for name, age in (("old", 300), ("used", 200), ("young", 100)):
        put(name, age=age)
    open_cached("used", pytest.fail, source="used").close()  # a hit counts as use
    monkeypatch.setenv("SKYSIFT_CACHE_GB", "3.5e-7")
    put("new")
    assert entries(folder) == ["new", "used", "young"]
    put("large", size=900)
    assert entries(folder) == ["large"]
    assert evict(folder, 0) == 900
    assert entries(folder) == []


def test_an_entry_in_use_survives_eviction(folder):
    put("a")
    with open_cached("a", pytest.fail, source="a") as stream:
        evict(folder, 0)
        assert stream.read() == b"x" * 100


def test_nothing_half_written_is_left(folder):
    def fail(stream):
        stream.write(b"half")
        raise SkysiftError("the source broke off")

    with pytest.raises(SkysiftError, match="broke off"):
        open_cached("k", fail, source="k")
    assert entries(folder) == []

    def full(stream):
        raise OSError(28, "No space left on device")

    with pytest.raises(SkysiftError, match=r"m\.gz cannot be expanded .*No space left.* set SKYSIFT_CACHE"):
        open_cached("k", full, source="m.gz")
    (folder / "dead.part").write_bytes(b"killed")
    os.utime(folder / "dead.part", (1, 1))
    put("next")
    assert entries(folder) == ["next"]


def test_a_folder_that_cannot_be_made(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SKYSIFT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(SkysiftError, match="set SKYSIFT_CACHE to another folder"):
        put("k")


def test_threads_expand_once(folder):
    calls: list[int] = []

    def slow(stream):
        calls.append(1)
        time.sleep(0.1)
        stream.write(b"done")

    got: list[bytes] = []

    def ask() -> None:
        with open_cached("k", slow, source="k") as stream:
            got.append(stream.read())

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [b"done"] * 6
    assert calls == [1]


def test_processes_share_the_cache(tmp_path, folder):
    """Several at once ask for the same file under a bound that evicts all the time."""
    import gzip

    for name in "abc":
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(name.encode() * 200_000))
    code = (
        "import sys\nfrom skysift.sky.files import open_seekable\n"
        "for i in range(40):\n"
        "    name = 'abc'[i % 3]\n"
        "    with open_seekable(f'{sys.argv[1]}/{name}.gz') as stream:\n"
        "        assert stream.read() == name.encode() * 200_000\n"
    )
    environment = {**os.environ, "SKYSIFT_CACHE_GB": "3e-4"}
    workers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment) for _ in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert sum(p.stat().st_size for p in folder.iterdir()) <= 400_000
