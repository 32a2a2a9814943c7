"""The store: runs requests, keeps what they make, and finds it again."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

from filelock import FileLock, Timeout

from skysift.errors import RequestError
from skysift.store.artifact import MANIFEST, RUN, Artifact
from skysift.store.context import SCRATCH, Context
from skysift.store.digest import file_digest, read_json_object, write_json
from skysift.store.disk import check_writable, readable_errors, store_folder, writable
from skysift.store.environment import describe_run
from skysift.store.fields import Input, Source, as_tuple, markers
from skysift.store.progress import Progress
from skysift.store.sources import SourceFile, SourceIndex, expand
from skysift.store.stage import Stage, full_config, identity
from skysift.store.work import Mapper, Threads

A = TypeVar("A", Artifact, Artifact | None)
ID = re.compile(r"[0-9a-f]{32}")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class Store:
    """A folder of artifacts, `STORE/KIND/ID`.

    Parameters
    ----------
    root : path
        The folder; made with the first artifact.

    Raises
    ------
    RequestError
        If no folder can have that name.

    Examples
    --------
    >>> store = Store("skysift-store")
    >>> cutouts = store.run(Cutouts(mosaics=("survey/*.fits",), window_size=(128,)))
    """

    def __init__(self, root: str | Path = "skysift-store") -> None:
        self.root = store_folder(root)
        self.partial = self.root / ".partial"
        self.sources = SourceIndex(self.root / "sources.json")

    def run(
        self,
        stage: Stage,
        *,
        engine: Mapper | None = None,
        progress: Progress | None = None,
        device: str = "auto",
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Artifact:
        """Return the artifact that a stage makes: at once where it exists, else by doing the work.

        Parameters
        ----------
        stage : Stage
            The request. Ids may be given by prefix or name.
        engine : Mapper, optional
            Where work runs; threads of this process by default.
        progress : Progress, optional
            Where progress is shown; nowhere by default.
        device : str
            Torch device for stages that use one.
        should_stop : callable
            Asked by long stages whether to stop cleanly.

        Raises
        ------
        RequestError
            If the request cannot be carried out as it was put.
        SkysiftError
            If the work fails; what was finished is kept, and the same request carries on from there.
        """
        with readable_errors(self.root):
            self._create()
            stage, sources, companions = self._prepare(stage, remember=writable(self.root))
            id_ = _identity(stage, sources, companions)
            final = self.root / stage.kind / id_
            if (done := self.finished(id_, stage.kind)) is not None:
                return done
            check_writable(self.root)
            progress = progress or Progress(quiet=True)
            with self._locked(id_, progress):
                if (done := self.finished(id_, stage.kind)) is not None:
                    return done
                folder = self.partial / id_
                context = Context(
                    store=self,
                    folder=folder,
                    log_dir=self.root / "logs" / id_,
                    mapper=engine or Threads(),
                    progress=progress,
                    device=device,
                    sources=sources,
                    companions=companions,
                    should_stop=should_stop,
                )
                if not (folder / MANIFEST).is_file():
                    _clear(folder)
                    start = time.time()
                    try:
                        counts = stage.run(context)
                    except RequestError:
                        _drop_empty(folder)
                        raise
                    self._describe(stage, context, counts, start)
                self._publish(folder, final)
            return Artifact(id_, stage.kind, final)

    def identify(self, stage: Stage, *, planned: Mapping[str, str] = MappingProxyType({})) -> str:
        """Return the id that a request would have, without doing the work or touching the disk.

        Parameters
        ----------
        stage : Stage
            The request.
        planned : mapping of str to str
            Id -> kind of artifacts that may be inputs although they have yet to be made.
        """
        stage, sources, companions = self._prepare(stage, planned, remember=False)
        return _identity(stage, sources, companions)

    def finished(self, id_: str, kind: str) -> Artifact | None:
        """Return the artifact with this full id and kind if it has been made.

        Raises
        ------
        SkysiftError
            If it has been, and its manifest is damaged.
        """
        return _sound(_artifact(self.root / kind / id_))

    def get(self, reference: str, *, damaged: bool = False) -> Artifact:
        """Return the artifact with this id, unique prefix of an id, or name.

        Parameters
        ----------
        reference : str
            Which one.
        damaged : bool
            Whether one with a damaged manifest will do.

        Raises
        ------
        RequestError
            If nothing or more than one thing fits.
        SkysiftError
            If its manifest is damaged.
        """
        reference = self.names().get(reference, reference)
        if ID.fullmatch(reference):
            hits = [a for folder in self._kinds() if (a := _artifact(folder / reference)) is not None]
        elif re.fullmatch(r"[0-9a-f]{4,31}", reference):
            hits = [a for a in self.artifacts(damaged=True) if a.id.startswith(reference)]
        else:
            hits = []
        if not hits:
            short = "; the beginning of an id needs four digits or more" if len(reference) < 4 else ""
            raise RequestError(f"No artifact {reference!r} in {self.root}{short}: `skysift ls` shows what is there.")
        if len(hits) > 1:
            ids = ", ".join(sorted(a.id[:12] for a in hits))
            raise RequestError(f"{reference!r} fits several artifacts ({ids}): give more digits.")
        return hits[0] if damaged else _sound(hits[0])

    def artifacts(self, *, damaged: bool = False) -> Iterator[Artifact]:
        """Yield all finished artifacts, by kind and id; those with a damaged manifest only if asked for."""
        for folder in self._kinds():
            for path in sorted(folder.iterdir()):
                artifact = _artifact(path) if ID.fullmatch(path.name) else None
                if artifact is not None and (damaged or artifact.damage is None):
                    yield artifact

    def names(self) -> dict[str, str]:
        """Return the names that people gave: name -> id."""
        return read_json_object(self.root / "names.json", "remove it, and name the artifacts again (`skysift name`).")

    def name(self, reference: str, name: str, *, force: bool = False) -> str | None:
        """Give an artifact a name; an artifact has one at a time. The name that it had before is returned.

        Raises
        ------
        RequestError
            If it can't be a name, or is another artifact's and not to be taken from it by `force`.
        """
        artifact = self.get(reference)
        if not NAME.fullmatch(name) or re.fullmatch(r"[0-9a-f]{4,32}", name):
            raise RequestError(f"{name!r} can't be a name: letters, digits, '_', '.', '-', and not like an id.")
        with FileLock(str(self.root / "names.json.lock")):
            names = self.names()
            holder = next((a for a in self.artifacts(damaged=True) if a.id == names.get(name)), None)
            if holder is not None and holder.id != artifact.id and not force:
                where = f"{holder.kind} {holder.id[:12]}"
                raise RequestError(f"The name {name!r} is that of {where}: choose another, or move it with --force.")
            kept = {n: i for n, i in names.items() if i != artifact.id}
            write_json(self.root / "names.json", {**kept, name: artifact.id})
            return next((n for n, i in names.items() if i == artifact.id), None)

    def forget_names(self, id_: str) -> None:
        """Take away the names of an artifact."""
        with FileLock(str(self.root / "names.json.lock")):
            names = self.names()
            if id_ in names.values():
                write_json(self.root / "names.json", {n: i for n, i in names.items() if i != id_})

    def _kinds(self) -> list[Path]:
        if not self.root.is_dir():
            return []
        return sorted(p for p in self.root.iterdir() if p.is_dir() and p.name[0] != "." and p.name != "logs")

    def _prepare(
        self, stage: Stage, planned: Mapping[str, str] = MappingProxyType({}), *, remember: bool = True
    ) -> tuple[Stage, dict[str, list[SourceFile]], dict[str, list[tuple[str, SourceFile]]]]:
        """Resolve ids and files of a request."""
        resolved: dict[str, Any] = {}
        files: dict[str, list[str]] = {}
        for field, mark in markers(type(stage)).items():
            value = getattr(stage, field)
            if value is None:
                continue
            if isinstance(mark, Input):
                ids = [self._input(reference, mark, stage, field, planned) for reference in as_tuple(value)]
                resolved[field] = tuple(ids) if isinstance(value, tuple | list) else ids[0]
            elif isinstance(mark, Source):
                files[field] = expand(as_tuple(value), mark, field=field)
        stage = stage.model_copy(update=resolved)
        sources = {}
        for field, paths in files.items():
            mark = cast("Source", markers(type(stage))[field])
            prints = self.sources.fingerprints(paths, write=remember)
            found = [SourceFile(p, f) for p, f in zip(paths, prints, strict=True)]
            unique = list({f.fingerprint: f for f in reversed(found)}.values())[::-1]
            sources[field] = found if mark.ordered else sorted(unique, key=lambda f: f.fingerprint)
        owners = {f.path: f.fingerprint for group in sources.values() for f in group}
        companions = {
            name: [
                (owners.get(owner, owner), SourceFile(path, fingerprint))
                for (owner, path), fingerprint in zip(
                    pairs, self.sources.fingerprints((p for _, p in pairs), write=remember), strict=True
                )
            ]
            for name, pairs in stage.companions(files).items()
        }
        return stage, sources, companions

    def _input(self, reference: str, mark: Input, stage: Stage, field: str, planned: Mapping[str, str]) -> str:
        if reference in planned:
            id_, kind = reference, planned[reference]
        else:
            artifact = self.get(reference)
            id_, kind = artifact.id, artifact.kind
        if mark.kinds and kind not in mark.kinds:
            kinds = " or ".join(mark.kinds)
            what = f"{reference} is a {kind} artifact"
            raise RequestError(f"{type(stage).__name__} needs {kinds} as {field}, but {what}.")
        return id_

    def _create(self) -> None:
        if not (self.root / "store.json").is_file():
            check_writable(self.root)
            try:
                self.partial.mkdir(parents=True, exist_ok=True)
            except FileNotFoundError as error:
                reason = f"{self.root}: no folder can be made here ({error.strerror})"
                raise RequestError(f"{reason}; choose another with --store.") from None
            (self.root / ".locks").mkdir(exist_ok=True)
            write_json(self.root / "store.json", {"format": 1})

    @contextmanager
    def _locked(self, id_: str, progress: Progress) -> Iterator[None]:
        lock = FileLock(self.root / ".locks" / f"{id_}.lock")
        try:
            lock.acquire(timeout=1)
        except Timeout:
            if not progress.quiet:
                print(f"another process is working on {id_}: waiting for it", file=sys.stderr)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _describe(self, stage: Stage, context: Context, counts: dict[str, Any], start: float) -> None:
        """Write the manifest, last: where there is one, the partial artifact is complete."""
        found = (p for p in context.folder.rglob("*") if p.is_file())
        files = sorted(p for p in found if context.scratch not in p.parents)
        manifest = {
            "id": context.folder.name,
            "kind": stage.kind,
            "stage": type(stage).__name__,
            "version": stage.version,
            "config": full_config(stage),
            "inputs": {i: self.get(i).digest() for i in sorted(set(stage.input_ids()))},
            "sources": {f: [s.fingerprint for s in group] for f, group in context._sources.items()},
            "companions": {
                n: sorted([owner, s.fingerprint] for owner, s in pairs)
                for n, pairs in context._companions.items()
                if pairs
            },
            "counts": counts,
            "files": {
                p.relative_to(context.folder).as_posix(): {"bytes": p.stat().st_size, "blake2": file_digest(p)}
                for p in files
            },
        }
        paths = {s.fingerprint: s.path for group in context._sources.values() for s in group}
        write_json(context.folder / RUN, describe_run(start, context, paths))
        write_json(context.folder / MANIFEST, manifest)

    def _publish(self, folder: Path, final: Path) -> None:
        shutil.rmtree(folder / SCRATCH)
        for path in folder.rglob("*"):
            path.chmod(path.stat().st_mode | (folder.stat().st_mode & 0o044))  # as readable as the store's folders
        final.parent.mkdir(exist_ok=True)
        folder.rename(final)


def _identity(
    stage: Stage, sources: dict[str, list[SourceFile]], companions: dict[str, list[tuple[str, SourceFile]]]
) -> str:
    return identity(
        stage,
        {name: [f.fingerprint for f in group] for name, group in sources.items()},
        {name: [(owner, f.fingerprint) for owner, f in pairs] for name, pairs in companions.items()},
    )


def _artifact(folder: Path) -> Artifact | None:
    return Artifact(folder.name, folder.parent.name, folder) if (folder / MANIFEST).is_file() else None


def _sound(artifact: A) -> A:
    """Return the artifact, having read its manifest."""
    if artifact is not None:
        artifact.manifest  # noqa: B018
    return artifact


def _drop_empty(folder: Path) -> None:
    """Remove a partial folder in which a refused request left nothing to carry on with."""
    if not any(path.is_file() for path in folder.rglob("*")):
        shutil.rmtree(folder)


def _clear(folder: Path) -> None:
    """Remove what a killed run left outside its scratch folder."""
    for path in folder.iterdir():
        if path.name != SCRATCH:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def default_root() -> Path:
    """Return the store that the environment names, else `skysift-store` here."""
    return Path(os.environ.get("SKYSIFT_STORE") or "skysift-store")
