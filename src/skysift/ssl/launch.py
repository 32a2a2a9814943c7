"""Being one of several processes that `torchrun` or Slurm's `srun` has started.

The process of rank 0 takes the request, looks into the store, preprocesses and publishes; the others wait until it
calls them, train along, and leave. What they must know of each other outside of training goes through a small store
of keys that lives where torch's own rendezvous does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from skysift.errors import RequestError, SkysiftError

POLL_SECONDS = 0.3
GRACE_SECONDS = 5.0
"""How long a process may take to fail by itself after another one has."""
MEETING = timedelta(minutes=10)
"""How long processes wait for the one of rank 0 to start."""


@dataclass(frozen=True)
class World:
    """Which process this is, of how many."""

    rank: int
    size: int

    @classmethod
    def of(cls, environment: MutableMapping[str, str] = os.environ) -> World:
        """Read what the launcher says; what `srun` says is written down in torch's names as well.

        Raises
        ------
        RequestError
            If `srun` put different numbers of processes on its nodes.
        """
        if "RANK" not in environment and "SLURM_STEP_NODELIST" in environment:
            _translate(environment)
        if "RANK" not in environment:
            return cls(0, 1)
        return cls(int(environment["RANK"]), int(environment.get("WORLD_SIZE", "1")))


def _translate(environment: MutableMapping[str, str]) -> None:
    """Write Slurm's variables of a job step in the names that torchrun uses."""
    size = int(environment.get("SLURM_STEP_NUM_TASKS", environment.get("SLURM_NTASKS", "1")))
    if size == 1:
        return
    nodes = int(environment.get("SLURM_STEP_NUM_NODES", environment.get("SLURM_NNODES", "1")))
    if size % nodes:
        raise RequestError(
            f"srun started {size} processes on {nodes} nodes; give each node as many (--ntasks-per-node)"
        )
    local, on_each = environment["SLURM_LOCALID"], size // nodes
    if environment.get("SLURM_GPUS_PER_TASK") == "1":  # each process sees one device, its own
        local, on_each = "0", 1
    job, step = int(environment.get("SLURM_JOB_ID", "0")), int(environment.get("SLURM_STEP_ID", "0"))
    from lightning_fabric.plugins.environments import SLURMEnvironment

    found = {
        "RANK": environment["SLURM_PROCID"],
        "WORLD_SIZE": str(size),
        "LOCAL_RANK": local,
        "LOCAL_WORLD_SIZE": str(on_each),
        "GROUP_RANK": environment.get("SLURM_NODEID", "0"),
        "MASTER_ADDR": environment.get("MASTER_ADDR")
        or SLURMEnvironment.resolve_root_node_address(environment["SLURM_STEP_NODELIST"]),
        "MASTER_PORT": environment.get("MASTER_PORT") or str(15000 + (31 * job + step) % 15000),
    }
    environment.update(found)


class Channel:
    """Notes that the processes leave for each other: a task for those of rank 1 and more, a failure, the end.

    Parameters
    ----------
    world : World
        Which process this is.
    """

    def __init__(self, world: World) -> None:
        from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

        self.world = world
        agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        try:
            store = TCPStore(
                os.environ["MASTER_ADDR"],
                int(os.environ["MASTER_PORT"]),
                world.size,
                is_master=world.rank == 0 and not agent,
                timeout=MEETING,
                wait_for_workers=False,
                multi_tenant=True,
            )
        except (KeyError, RuntimeError) as error:
            raise SkysiftError(
                f"the processes don't find each other at MASTER_ADDR:MASTER_PORT ({str(error).splitlines()[0]})"
            ) from error
        self._store = PrefixStore(f"skysift-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)

    def call(self, device: str, precision: str) -> None:
        """Call the others to train (rank 0)."""
        self._tell("task", {"device": device, "precision": precision})

    def end(self, code: int) -> None:
        """Say that the command has ended, and stay until the others have heard of it (rank 0)."""
        self._tell("end", code)
        patience = time.monotonic() + 4 * GRACE_SECONDS
        while time.monotonic() < patience and self._store.add("left", 0) < self.world.size - 1:
            time.sleep(POLL_SECONDS)

    def leave(self) -> None:
        """Say that this process needs the channel no more (all others)."""
        self._store.add("left", 1)

    def wait(self) -> dict[str, str] | int:
        """Return the task once there is one, or the exit code of a command that had none for others."""
        while True:
            for key in ("end", "task"):
                found = self._told(key)
                if found is not None:
                    return found
            time.sleep(POLL_SECONDS)

    def fail(self, text: str) -> None:
        """Leave word of an error in this process, unless another one failed first."""
        self._store.compare_set("failure", "", json.dumps({"rank": self.world.rank, "text": text}))

    def failure(self, patience: float = 0.0) -> str | None:
        """Return what went wrong in another process, waiting so many seconds for word of it."""
        deadline = time.monotonic() + patience
        while True:
            found = self._told("failure")
            if found is not None:
                return f"process {found['rank']}: {found['text']}" if found["rank"] != self.world.rank else None
            if time.monotonic() >= deadline:
                return None
            time.sleep(POLL_SECONDS)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """End this process, should it hang while another one has failed or gone."""
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(done,), daemon=True)
        watch.start()
        try:
            yield
        finally:
            done.set()
            watch.join()

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(POLL_SECONDS):
            try:
                text = self.failure()
                ended = self._told("end") if self.world.rank else None
            except RuntimeError:
                text, ended = None, 1  # whoever keeps the notes has gone
            if text is None and not ended:
                continue
            if not done.wait(GRACE_SECONDS):
                if self.world.rank == 0:
                    print(f"skysift: error: {text}", file=sys.stderr, flush=True)
                _end_with_children(ended or 1)

    def _tell(self, key: str, value: Any) -> None:
        self._store.set(key, json.dumps(value))

    def _told(self, key: str) -> Any:
        return json.loads(self._store.get(key)) if self._store.check([key]) else None


def _end_with_children(code: int) -> None:
    """Leave at once, from whatever thread, and take worker processes along."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(code)
