"""Keeping a store in order: remove, collect what was abandoned, bind sources that moved."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from skysift.errors import RequestError
from skysift.store.lineage import ancestors, descendants
from skysift.store.store import Store


@dataclass(frozen=True)
class Abandoned:
    """What nobody needs: the id that it belongs to, what it is, bytes, and age [s]."""

    id: str
    what: str
    bytes: int
    age: float


def remove(store: Store, reference: str, *, force: bool = False) -> str:
    """Remove an artifact; its id is returned.

    Raises
    ------
    RequestError
        If something was made from it, unless `force`.
    SkysiftError
        If its manifest is damaged, unless `force`.
    """
    artifact = store.get(reference, damaged=force)
    below = descendants(store, artifact.id)
    if below and not force:
        names = ", ".join(f"{a.kind} {a.id[:12]}" for a in list(below.values())[:3])
        raise RequestError(
            f"{artifact.kind} {artifact.id[:12]} is needed by {names}: remove those first, or add --force."
        )
    store.forget_names(artifact.id)
    grave = store.partial / f"removed-{artifact.id}"
    shutil.rmtree(grave, ignore_errors=True)
    artifact.folder.rename(grave)
    shutil.rmtree(grave)
    shutil.rmtree(store.root / "logs" / artifact.id, ignore_errors=True)
    return artifact.id


def collect(store: Store, *, dry_run: bool = False) -> list[Abandoned]:
    """Remove what nobody needs: partial work, and logs and locks of artifacts that are no more; return what was found.

    Nothing that a process holds the lock of is touched.
    """
    partial = sorted(store.partial.iterdir()) if store.partial.is_dir() else []
    found = [_sweep(store, folder, folder.name, "partial work", dry_run=dry_run) for folder in partial]
    known = {artifact.id for artifact in store.artifacts(damaged=True)}
    for folder in sorted((store.root / "logs").glob("*")):
        if folder.name not in known:
            found.append(_sweep(store, folder, folder.name, "logs", dry_run=dry_run))
    for path in sorted((store.root / ".locks").glob("*.lock")):
        if path.stem not in known:
            found.append(_sweep(store, path, path.stem, "lock", dry_run=dry_run))
    return [item for item in found if item is not None]


def _sweep(store: Store, path: Path, id_: str, what: str, *, dry_run: bool) -> Abandoned | None:
    """Remove a file or folder of an artifact unless a process holds its lock; None if one does."""
    with _unheld(store.root / ".locks" / f"{id_}.lock", dry_run=dry_run) as unheld:
        if not unheld:
            return None
        files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
        found = Abandoned(id_, what, sum(p.stat().st_size for p in files), time.time() - path.stat().st_mtime)
        if not dry_run:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return found


@contextmanager
def _unheld(lock: Path, *, dry_run: bool) -> Iterator[bool]:
    """Hold a lock if no process does; a lock file that is not there is not made to look."""
    if dry_run and not lock.exists():
        yield True
        return
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        held.release()


def relink(store: Store, reference: str, root: Path) -> dict[str, str]:
    """Find the source files of an artifact (and of all that it was made from) below `root`.

    Returns
    -------
    dict of str to str
        Fingerprint -> path of the files found.

    Raises
    ------
    RequestError
        If `root` is no folder, or one that is missing was not found there.
    """
    if not root.is_dir():
        raise RequestError(f"{root}: no such folder; --root names the folder that holds the mosaics now.")
    artifact = store.get(reference)
    family = [artifact, *(a for a in ancestors(store, artifact.id).values() if a is not None and a.damage is None)]
    wanted = {
        fingerprint
        for member in family
        for group in [
            *member.manifest["sources"].values(),
            *([f for _, f in pairs] for pairs in member.manifest["companions"].values()),
        ]
        for fingerprint in group
    }
    found = store.sources.relink(wanted, root)
    missing = []
    for fingerprint in sorted(wanted - set(found)):
        try:
            store.sources.locate(fingerprint)
        except RequestError:
            missing.append(fingerprint)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise RequestError(
            f"{len(found)} of {len(wanted)} source files found below {root}; "
            f"no file there has the content of {missing[0]}{more}."
        )
    return found
