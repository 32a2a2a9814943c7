"""Keeping a store in order: remove, collect what was abandoned, bind sources that moved."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from skysift.errors import RequestError
from skysift.store.lineage import ancestors, descendants
from skysift.store.store import Store


@dataclass(frozen=True)
class Abandoned:
    """Partial work that nobody is doing: its id, bytes, and age [s]."""

    id: str
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
    """Remove partial work that no process holds the lock of; return what was found."""
    found = []
    for folder in sorted(store.partial.iterdir()) if store.partial.is_dir() else []:
        lock = FileLock(store.root / ".locks" / f"{folder.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        try:
            size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
            found.append(Abandoned(folder.name, size, time.time() - folder.stat().st_mtime))
            if not dry_run:
                shutil.rmtree(folder)
        finally:
            lock.release()
    return found


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
    family = [artifact, *(a for a in ancestors(store, artifact.id).values() if a is not None)]
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
