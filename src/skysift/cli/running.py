"""What every working command shares: the store, the workers, how to report, how to stop."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from skysift.errors import CARRY_ON, RequestError

if TYPE_CHECKING:
    from skysift.store import Artifact, Stage, Store

RUNNING = Group("Running", sort_key=90)
StoreOption = Annotated[
    str | None,
    Parameter(help="Folder of artifacts. [default: $SKYSIFT_STORE, else skysift-store]", group=RUNNING),
]


@Parameter(name="*", group=RUNNING)
@dataclass(frozen=True)
class Running:
    """Options that change how work runs, never what it makes."""

    store: StoreOption = None
    workers: Annotated[int | None, Parameter(help="Worker processes on this machine. [default: its cores]")] = None
    memory_limit: Annotated[str, Parameter(help="Memory of one worker, as 4GB.")] = "auto"
    scheduler: Annotated[str | None, Parameter(help="Address of a running Dask scheduler.")] = None
    tls_ca: Annotated[str | None, Parameter(help="CA file, for a scheduler that speaks TLS.")] = None
    tls_cert: Annotated[str | None, Parameter(help="Certificate file, likewise.")] = None
    tls_key: Annotated[str | None, Parameter(help="Key file, likewise.")] = None
    cluster: Annotated[str | None, Parameter(help="YAML of a batch system's cluster (Slurm, PBS ...).")] = None
    device: Annotated[str, Parameter(help="Where networks run: auto, cpu, cuda, cuda:1 ...")] = "auto"
    json: Annotated[bool, Parameter(help="Print the manifest in place of the id.", negative=())] = False
    quiet: Annotated[bool, Parameter(help="Show no progress.", negative=())] = False
    debug: Annotated[bool, Parameter(help="Show the traceback of an error.", negative=())] = False


class Session:
    """A store with an engine and a progress line, while one command runs."""

    def __init__(self, running: Running) -> None:
        from skysift.store.progress import Progress

        self.running = running
        self.store = open_store(running.store)
        self.progress = Progress(quiet=running.quiet)
        self._stack = ExitStack()
        self._engine: Any = None
        self._asked_to_stop = False
        self._waits = False

    def run(self, stage: Stage) -> Artifact:
        """Run one stage with this session's engine, progress and device."""
        self._waits = stage.stops_itself
        return self.store.run(
            stage,
            engine=self.engine,
            progress=self.progress,
            device=self.running.device,
            should_stop=lambda: self._asked_to_stop,
        )

    @property
    def engine(self) -> Any:
        """The engine; its workers start with the first work."""
        if self._engine is None:
            from skysift.engine import Engine

            running = self.running
            if running.workers is not None and running.workers < 1:
                raise RequestError("--workers must be at least 1.")
            tls = {"ca_file": running.tls_ca, "client_cert": running.tls_cert, "client_key": running.tls_key}
            self._engine = self._stack.enter_context(
                Engine(
                    workers=running.workers,
                    memory_limit=running.memory_limit,
                    scheduler=running.scheduler,
                    tls={k: v for k, v in tls.items() if v is not None},
                    cluster=running.cluster,
                )
            )
        return self._engine

    def show(self, artifact: Artifact) -> None:
        """Print the artifact's id (or manifest), the only line on stdout."""
        print(json.dumps(artifact.manifest, indent=1) if self.running.json else artifact.id)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        again = self._asked_to_stop
        self._asked_to_stop = True
        if not self._waits or again:
            # not Stopped: libraries catch any Exception while they are imported
            raise KeyboardInterrupt(f"by {signal.Signals(number).name}; {CARRY_ON}")
        print("stopping at the next checkpoint (once more: at once)", file=sys.stderr)

    def __enter__(self) -> Session:
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.signal(number, self._on_signal)
            self._stack.callback(signal.signal, number, before)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()


@contextmanager
def session(running: Running | None) -> Iterator[Session]:
    """Open a session for the options of one command."""
    with Session(running or Running()) as opened:
        yield opened


def open_store(root: str | None) -> Store:
    """Return the store that an option or the environment names."""
    from skysift.store.store import Store, default_root

    return Store(default_root() if root is None else root)
