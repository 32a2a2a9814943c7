"""What a stage is handed when it runs: its inputs, its folder, workers, and a way to report."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from skysift.errors import RequestError, SkysiftWarning
from skysift.store.artifact import Artifact
from skysift.store.progress import Progress
from skysift.store.sources import SourceFile
from skysift.store.work import Mapper, run_shard

if TYPE_CHECKING:
    from skysift.store.store import Store

T = TypeVar("T")
R = TypeVar("R")
SCRATCH = ".scratch"


class WorkForce:
    """An engine with a progress bar: `map` over items, in order."""

    def __init__(self, mapper: Mapper, progress: Progress) -> None:
        self._mapper, self._progress = mapper, progress

    @property
    def workers(self) -> int:
        """How many items are worked on at once."""
        return self._mapper.workers

    @property
    def remote(self) -> bool:
        """Whether the work runs on other machines."""
        return self._mapper.remote

    def map(self, fn: Callable[[T], R], items: Sequence[T], *, label: str, done: int = 0) -> Iterator[R]:
        """Yield `fn(item)` for each item, in order. `fn` must be a module's function (or a partial of one)."""
        total = done + len(items)
        results = self._mapper.imap(fn, items)
        return self._progress.track(results, total=total, label=label, done=done, parallel=self.workers)


class Context:
    """Everything a running stage may use.

    Attributes
    ----------
    folder : Path
        The partial artifact; plain files left here are published.
    scratch : Path
        Work in progress: there again after a kill, gone before publishing.
    log_dir : Path
        For logs that carry clocks (TensorBoard); not part of the artifact.
    store : Store
        Where artifacts are.
    engine : WorkForce
        Where work runs.
    device : str
        The torch device that was asked for (`auto`, `cpu`, `cuda:0`).
    runtime : dict
        Put here what belongs into `run.json`: throughput, timings.
    """

    def __init__(
        self,
        *,
        store: Store,
        folder: Path,
        log_dir: Path,
        mapper: Mapper,
        progress: Progress,
        device: str,
        sources: dict[str, list[SourceFile]],
        companions: dict[str, list[tuple[str, SourceFile]]],
        should_stop: Callable[[], bool],
    ) -> None:
        self.store, self.folder, self.log_dir = store, folder, log_dir
        self.progress, self.engine, self.device = progress, WorkForce(mapper, progress), device
        self.scratch = folder / SCRATCH
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.runtime: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.should_stop = should_stop
        self._sources, self._companions = sources, companions
        self._bars_before = len(progress.history)

    def input(self, id_: str) -> Artifact:
        """Return the artifact with this id."""
        return self.store.get(id_)

    def sources(self, field: str) -> list[SourceFile]:
        """Return the files of a `Source` field, by fingerprint unless their order matters."""
        return self._sources[field]

    def companions(self, name: str) -> list[tuple[str, SourceFile]]:
        """Return the companions of that name: the owner (a source's fingerprint, or its own string) and the file."""
        return self._companions.get(name, [])

    def locate(self, fingerprint: str) -> str:
        """Return where the source file with this fingerprint is now.

        Raises
        ------
        RequestError
            If it has moved or changed.
        """
        return self.store.sources.locate(fingerprint)

    def fingerprint(self, path: str) -> str:
        """Return a file's fingerprint and let the store remember where the file is."""
        return self.store.sources.fingerprint(path)

    def sharded(
        self, fn: Callable[[T, Path], None], tasks: Iterable[T], *, label: str, suffix: str = ".parquet"
    ) -> list[Path]:
        """Let `fn(task, path)` write one file a task, skipping those that an earlier, killed run finished.

        Parameters
        ----------
        fn : callable
            A module's function, or a partial of one. The file appears in one step once `fn` returns.
        tasks : iterable
            The same, in the same order, whenever the request is the same.
        label : str
            What the progress line says; also the shards' folder, so distinct within a stage.
        suffix : str
            File name ending.

        Returns
        -------
        list of Path
            The files, in the order of the tasks.
        """
        folder = self.scratch / "".join(c if c.isalnum() else "-" for c in label)
        folder.mkdir(exist_ok=True)
        jobs = [(task, str(folder / f"{number:06d}{suffix}")) for number, task in enumerate(tasks)]
        paths = [Path(name) for _, name in jobs]
        missing = [job for job, path in zip(jobs, paths, strict=True) if not path.exists()]
        for _ in self.engine.map(partial(run_shard, fn), missing, label=label, done=len(jobs) - len(missing)):
            pass
        lost = [path.name for path in paths if not path.exists()]
        if lost:
            raise RequestError(
                f"{len(lost)} shards written by workers are not visible at {folder}: "
                "the store must be on a file system that all workers share."
            )
        return paths

    @property
    def bars(self) -> list[dict[str, Any]]:
        """What this stage's progress bars estimated, and what it took [s]."""
        return self.progress.history[self._bars_before :]

    def warn(self, text: str) -> None:
        """Say something that does not stop the work; it is kept in `run.json`."""
        self.warnings.append(text)
        print(f"warning: {text}", file=sys.stderr)

    def keep_warnings(self, caught: Iterable[warnings.WarningMessage]) -> None:
        """Pass on Python warnings that were recorded while reading, each text once."""
        for text in dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, SkysiftWarning)):
            self.warn(text)
