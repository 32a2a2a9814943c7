"""Where work runs must not change what comes out."""

from __future__ import annotations

import math
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from skysift.engine import ClusterConfig, Engine
from skysift.errors import RequestError, SkysiftError
from skysift.store import Store
from tests.conftest import ROOT
from tests.store.toys import Squares

PATHS = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
ENVIRONMENT = {**os.environ, "PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def dask(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dask", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_embedded_cluster_is_loopback_encrypted_and_in_order() -> None:
    with Engine(workers=2, memory_limit="1GB") as engine:
        results = engine.imap(math.sqrt, range(20))
        assert len(engine.client.scheduler_info()["workers"]) == 2, "workers are up before the first item counts"
        assert list(results) == [math.sqrt(n) for n in range(20)]
        info = engine.client.scheduler_info()
        assert engine.client.scheduler.address.startswith("tls://127.0.0.1:")
        assert all(worker["memory_limit"] == 1_000_000_000 for worker in info["workers"].values())
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        listening = [c.laddr.ip for p in family for c in p.net_connections("inet") if c.status == "LISTEN"]
        assert len(listening) >= 3
        assert set(listening) == {"127.0.0.1"}


@pytest.mark.slow
def test_same_bytes_with_processes_and_threads(tmp_path: Path) -> None:
    threads = Store(tmp_path / "a").run(Squares(count=12))
    with Engine(workers=2) as engine:
        spread = Store(tmp_path / "b").run(Squares(count=12), engine=engine)
    assert threads.digest() == spread.digest()


@pytest.mark.slow
def test_scheduler_with_two_workers_one_killed_half_way(tmp_path: Path) -> None:
    expected = Store(tmp_path / "a").run(Squares(count=40))
    address = f"tcp://127.0.0.1:{free_port()}"
    worker = ("worker", address, "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1", "--no-dashboard")
    with processes() as started:
        host, port = address.removeprefix("tcp://").split(":")
        started.append(dask("scheduler", "--host", host, "--port", port, "--no-dashboard"))
        started += [dask(*worker), dask(*worker)]
        with Engine(scheduler=address) as engine:
            engine.client.wait_for_workers(2, timeout=60)
            assert engine.workers == 2
            assert engine.remote
            marks = tmp_path / "marks"
            store = Store(tmp_path / "b")

            def kill_half_way() -> None:
                while not marks.exists() or len(marks.read_text().split()) < 15:
                    time.sleep(0.02)
                started[2].kill()

            import threading

            killer = threading.Thread(target=kill_half_way)
            killer.start()
            artifact = store.run(Squares(count=40, pause=0.1, marks=str(marks)), engine=engine)
            killer.join()
            assert started[2].wait(10) != 0
            assert len(engine.client.scheduler_info()["workers"]) == 1
    assert artifact.digest() == expected.digest()


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    with Engine(workers=2) as engine:
        artifact = Store(tmp_path / "b").run(Squares(count=12, die_once=str(tmp_path / "flag")), engine=engine)
    assert (tmp_path / "flag").exists()
    assert artifact.digest() == Store(tmp_path / "a").run(Squares(count=12)).digest()


STARTING = """
import os, signal, sys, threading
import distributed
from skysift.cli.running import Running, Session
from skysift.errors import Stopped
from tests.store.toys import Squares

real = distributed.LocalCluster

def start(**options):
    threading.Timer(0.3, lambda: os.killpg(os.getpgrp(), signal.SIGINT)).start()
    return real(**options)

distributed.LocalCluster = start
if __name__ == "__main__":
    try:
        with Session(Running(store=sys.argv[1], workers=2, quiet=True)) as active:
            active.run(Squares(count=40, pause=0.1))
    except Stopped as stopped:
        sys.exit(f"stopped {stopped}")
"""


def python(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, start_new_session=True
    )


@pytest.mark.slow
def test_an_interrupt_while_workers_start_stops_in_order(tmp_path: Path) -> None:
    done = python(STARTING, tmp_path / "store")
    *told, last = done.stderr.splitlines()
    assert done.returncode == 1
    assert last == "stopped by SIGINT; give the same command again and it carries on."
    assert set(told) <= {"stopping as soon as the workers are up"}
    assert not list(Store(tmp_path / "store").artifacts())
    with Engine(workers=2) as engine:
        again = Store(tmp_path / "store").run(Squares(count=40), engine=engine)
    assert again.digest() == Store(tmp_path / "fresh").run(Squares(count=40)).digest()


DYING = """
import os
from skysift.engine import Engine
from skysift.errors import SkysiftError

if __name__ == "__main__":
    try:
        with Engine(workers=2) as engine:
            list(engine.imap(os._exit, [1, 1, 1]))
    except SkysiftError as error:
        print(error)
"""


@pytest.mark.slow
def test_workers_that_die_again_and_again_are_told_of_once() -> None:
    done = python(DYING)
    assert done.stdout.startswith("Workers died 3 times at the same piece of work")
    assert done.stderr == ""


def test_a_cluster_that_fails_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed

    def fail(**options: object) -> None:
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(distributed, "LocalCluster", fail)
    with Engine(workers=2) as engine, pytest.raises(SkysiftError, match="The workers could not start"):
        engine.imap(math.sqrt, range(4))


def test_no_scheduler_there() -> None:
    engine = Engine(scheduler=f"tcp://127.0.0.1:{free_port()}")
    with pytest.raises(SkysiftError, match="No Dask scheduler answers"):
        engine.client  # noqa: B018


def test_scheduler_and_cluster_exclude_each_other() -> None:
    with pytest.raises(RequestError, match="exclude each other"):
        Engine(scheduler="tcp://127.0.0.1:1", cluster="x.yaml")


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_job_script(tmp_path: Path) -> None:
    path = write(
        tmp_path / "slurm.yaml",
        "system: slurm\njobs: 3\ncores: 4\nmemory: 16GB\nqueue: long\naccount: ska\nwalltime: '02:00:00'\n",
    )
    config = ClusterConfig.read(path)
    cluster = config.build()
    try:
        script = cluster.job_script()
    finally:
        cluster.close()
    assert config.jobs == 3
    for line in (
        "#SBATCH -p long",
        "#SBATCH -A ska",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --mem=15G",
        "#SBATCH -t 02:00:00",
    ):
        assert line in script
    assert "export OMP_NUM_THREADS=1" in script
    assert re.search(r"--nthreads 1 .*--nworkers 4", script)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("system: cray\n", "system"),
        ("jobs: 3\n", "system"),
        ("system: slurm\njobs: 0\n", "jobs"),
        ("system: [slurm\n", "not YAML"),
        ("just text\n", "the file"),
    ],
)
def test_bad_cluster_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        ClusterConfig.read(write(tmp_path / "bad.yaml", text))


def test_unknown_job_option(tmp_path: Path) -> None:
    path = write(tmp_path / "bad.yaml", "system: slurm\nqueu: long\n")
    with pytest.raises(RequestError, match="does not fit dask-jobqueue"):
        ClusterConfig.read(path).build()


def test_memory_that_no_worker_can_start_with_is_refused() -> None:
    with Engine(workers=2, memory_limit="10MB") as engine, pytest.raises(RequestError, match="--memory-limit 10MB"):
        list(engine.imap(math.sqrt, range(4)))
