"""Where work runs: worker processes here, a Dask scheduler somewhere, or jobs of a batch system."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import resource_tracker
from pathlib import Path
from types import FrameType
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from skysift.errors import RequestError, SkysiftError

T = TypeVar("T")
R = TypeVar("R")

JOB_SYSTEMS = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
}
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
MALLOC = {"MALLOC_TRIM_THRESHOLD_": 1 << 28, "MALLOC_MMAP_THRESHOLD_": 1 << 25}
"""Workers keep freed memory of NumPy's arrays: Dask's own setting (64 KiB) has the kernel clear every page anew, which
doubles the time of array work."""
TRIES = 3
LEAST_MEMORY = 256_000_000


class ClusterConfig(BaseModel):
    """What `--cluster FILE.yaml` holds: the batch system, how many jobs, and what dask-jobqueue takes for a job."""

    model_config = ConfigDict(frozen=True, extra="allow")

    system: Literal["slurm", "pbs", "sge", "lsf", "htcondor", "oar", "moab"] = Field(
        description="The batch system that jobs are submitted to."
    )
    jobs: PositiveInt = Field(1, description="How many jobs to ask for.")
    cores: PositiveInt = Field(1, description="Cores of a job.")
    memory: str = Field("4GB", description="Memory of a job, with its unit.")

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read the YAML file.

        Raises
        ------
        RequestError
            If the file is missing or has something else in it.
        """
        import yaml

        try:
            content = yaml.safe_load(Path(path).read_text())
            return cls.model_validate(content)
        except FileNotFoundError:
            raise RequestError(f"{path}: no such file; --cluster takes a YAML file.") from None
        except yaml.YAMLError as error:
            raise RequestError(f"{path}: not YAML ({str(error).splitlines()[0]}).") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise RequestError(f"{path}: {where}: {first['msg']}.") from None

    def build(self) -> Any:
        """Return the dask-jobqueue cluster; no job is submitted before it is scaled.

        Raises
        ------
        SkysiftError
            If dask-jobqueue is not installed.
        """
        try:
            import dask_jobqueue
        except ImportError:
            raise SkysiftError(
                "--cluster needs dask-jobqueue: install it with `pip install skysift[cluster]`."
            ) from None
        nanny = {f"DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON__{name}": value for name, value in MALLOC.items()}
        options = {
            "processes": self.cores,
            "job_script_prologue": [f"export {name}={value}" for name, value in {**ONE_THREAD, **nanny}.items()],
            "scheduler_options": {"dashboard": False},
            **(self.model_extra or {}),
        }
        try:
            return getattr(dask_jobqueue, JOB_SYSTEMS[self.system])(cores=self.cores, memory=self.memory, **options)
        except (TypeError, ValueError) as error:
            raise RequestError(f"The cluster file does not fit dask-jobqueue's {self.system}: {error}.") from None


class Engine:
    """A Dask client that starts when the first work comes.

    Parameters
    ----------
    workers : int, optional
        Worker processes on this machine; its cores by default.
    memory_limit : str
        Memory of one worker (`"4GB"`, or `"auto"`: an equal share of the machine's).
    scheduler : str, optional
        Address of a running Dask scheduler (`tcp://host:8786`, `tls://...`).
    tls : mapping of str to str, optional
        `ca_file`, `client_cert` and `client_key` for a scheduler that speaks TLS.
    cluster : path, optional
        YAML file of a batch system's cluster; see `ClusterConfig`.

    Examples
    --------
    >>> with Engine(workers=4) as engine:
    ...     store.run(stage, engine=engine)
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        memory_limit: str = "auto",
        scheduler: str | None = None,
        tls: dict[str, str] | None = None,
        cluster: str | Path | None = None,
    ) -> None:
        if scheduler is not None and cluster is not None:
            raise RequestError("--scheduler and --cluster exclude each other: give one.")
        self._local = workers or _cores()
        self._memory_limit = memory_limit
        self._scheduler, self._tls = scheduler, tls
        self._config = ClusterConfig.read(cluster) if cluster is not None else None
        self._client: Any = None
        self._cluster: Any = None

    @property
    def remote(self) -> bool:
        """Whether the work runs on other machines, which have devices of their own."""
        return self._scheduler is not None or self._config is not None

    @property
    def workers(self) -> int:
        """How many items are worked on at once."""
        if self._config is not None:
            return self._config.jobs * self._config.cores
        if self._scheduler is not None:
            return max(1, sum(self.client.nthreads().values()))
        return self._local

    @property
    def client(self) -> Any:
        """The Dask client; the cluster starts with its first use.

        Raises
        ------
        SkysiftError
            If the scheduler can't be reached.
        """
        if self._client is None:
            self._client = self._connect()
        return self._client

    def imap(self, fn: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Yield `fn(item)` for each item, in order; work of a lost worker is done again by another.

        Workers are up when this returns; what `fn` needs is imported there. A single item is worked on in this
        process, with one thread as by a worker: no cluster starts for it.

        Raises
        ------
        SkysiftError
            If a task takes its worker down again and again.
        """
        items = list(items)
        if len(items) <= 1 and not self.remote:
            return _here(fn, items)
        if not self.remote:
            self.client.run(_nothing, fn, on_error="ignore")
        return self._spread(fn, items)

    def _spread(self, fn: Callable[[T], R], items: list[T]) -> Iterator[R]:
        from distributed import KilledWorker

        ahead = 3 * self.workers
        pending: deque[Any] = deque()
        try:
            for item in items:
                pending.append(self.client.submit(fn, item, pure=False))
                if len(pending) >= ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except KilledWorker as error:
            if not self.remote:  # workers that are stopped while they start anew print tracebacks
                with contextlib.suppress(TimeoutError):
                    self.client.wait_for_workers(self._local, timeout=10)
            raise SkysiftError(
                f"Workers died {TRIES} times at the same piece of work, most often for lack of memory: "
                "give fewer --workers or a larger --memory-limit."
            ) from error
        finally:
            for future in pending:
                future.cancel()

    def close(self) -> None:
        """Stop the workers that this engine started."""
        for part in (self._client, self._cluster):
            if part is not None:
                with contextlib.suppress(TimeoutError):
                    part.close(timeout=10)
        self._client = self._cluster = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _connect(self) -> Any:
        import dask
        from distributed import Client
        from distributed.security import Security

        _silence()
        dask.config.set({"distributed.scheduler.allowed-failures": TRIES, "distributed.admin.tick.limit": "30s"})
        if self._config is not None:
            self._cluster = self._config.build()
            self._cluster.scale(jobs=self._config.jobs)
            return Client(self._cluster)
        if self._scheduler is not None:
            tls = self._tls or {}
            security = None
            if tls:
                security = Security(
                    tls_ca_file=tls.get("ca_file"),
                    tls_client_cert=tls.get("client_cert"),
                    tls_client_key=tls.get("client_key"),
                    require_encryption=True,
                )
            try:
                return Client(self._scheduler, security=security, timeout=10, set_as_default=False)
            except (OSError, ValueError) as error:
                raise SkysiftError(f"No Dask scheduler answers at {self._scheduler}: {error}.") from None
        with _interrupts_wait():
            self._cluster = _local_cluster(self._local, self._memory_limit)
        return Client(self._cluster, set_as_default=False)


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Hold Ctrl-C back while processes start: this one stops once they are up, and they never see it.

    A process inherits the signals that are blocked. It is this process that stops the others, in order.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    resource_tracker.ensure_running()  # or its start lets SIGINT through in the thread that starts processes
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        print("stopping as soon as the workers are up", file=sys.stderr)

    before = signal.signal(signal.SIGINT, note)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        waiting = signal.SIGINT in signal.sigpending()
        signal.signal(signal.SIGINT, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if asked and not waiting:
            signal.raise_signal(signal.SIGINT)


def _local_cluster(workers: int, memory_limit: str) -> Any:
    """Start worker processes that only this user's processes on this machine can talk to."""
    import dask
    from dask.utils import parse_bytes
    from distributed import LocalCluster

    if memory_limit != "auto" and parse_bytes(memory_limit) < LEAST_MEMORY:
        raise RequestError(f"--memory-limit {memory_limit} is less than a worker needs to start: give 256MB or more.")
    environment = {**MALLOC, "DASK_LOGGING__DISTRIBUTED": "critical"}
    dask.config.set({f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in environment.items()})
    try:
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            worker_dashboard_address="127.0.0.1:0",
            memory_limit=memory_limit,
            security=True,
            silence_logs=logging.CRITICAL,
            env=ONE_THREAD,
        )
    except RuntimeError as error:
        raise SkysiftError(
            f"The workers could not start ({error}): try again, or give fewer with --workers."
        ) from error


def _silence() -> None:
    """Keep Dask's log to itself: what a user must know is raised, and a stop leaves errors there that are none."""
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _nothing(fn: Any) -> None:
    """Receive a function, and with it what its module imports."""


def _here(fn: Callable[[T], R], items: list[T]) -> Iterator[R]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield from map(fn, items)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
