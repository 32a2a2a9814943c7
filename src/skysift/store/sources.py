"""Source files: which paths a request means, what is in them (fingerprints), and where they are now."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from skysift.errors import RequestError
from skysift.store.digest import canonical_json, file_digest, hex_digest, is_url, read_json_object, write_json
from skysift.store.fields import Source


@dataclass(frozen=True)
class SourceFile:
    """A file that a stage reads, and the digest of its bytes (32 hex digits)."""

    path: str
    fingerprint: str


def expand(patterns: Iterable[str], mark: Source, *, field: str = "files") -> list[str]:
    """Turn files, folders, globs and URLs into the paths of files, in a deterministic order.

    Raises
    ------
    RequestError
        Where a pattern names nothing.
    """
    found: list[str] = []
    for pattern in patterns:
        path = Path(pattern).expanduser()
        if is_url(pattern) or path.is_file() or (mark.tree and path.is_dir()):
            found.append(pattern if is_url(pattern) else str(path.resolve()))
            continue
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and p.name.lower().endswith(mark.suffixes))
            if not inside:
                raise RequestError(f"{path}: no file ending in {', '.join(mark.suffixes)} for {field} in this folder.")
        else:
            inside = [Path(p) for p in sorted(glob.glob(str(path), recursive=True)) if Path(p).is_file()]  # noqa: PTH207
            if not inside:
                raise RequestError(f"{pattern}: no such file or folder for {field}; check the path.")
        found.extend(str(p.resolve()) for p in inside)
    return list(dict.fromkeys(found))


class SourceIndex:
    """Remembers fingerprints by (path, size, mtime_ns) and finds files again by fingerprint.

    One JSON file in the store; artifacts themselves hold no paths. An entry is path -> [size, mtime_ns, fingerprint,
    [[size, fingerprint] of what was there before, ...]].
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(str(path) + ".lock")
        self._known: dict[str, list[Any]] | None = None
        self._unwritten: dict[str, list[Any]] = {}
        self._paths: tuple[dict[str, list[Any]], dict[str, list[str]]] | None = None

    def fingerprint(self, path: str) -> str:
        """Return the digest of a file's bytes (or of a folder's names and contents), and remember it."""
        return self.fingerprints([path])[0]

    def fingerprints(self, paths: Iterable[str], *, write: bool = True) -> list[str]:
        """Return the fingerprints of many files, writing the index once, or later with `write=False`."""
        paths = list(paths)
        known = {**self._read(), **self._unwritten}
        fresh: dict[str, list[Any]] = {}
        prints: list[str] = []
        for path in paths:
            size, mtime = _stat(path)
            entry = known.get(path) or fresh.get(path)
            if entry is None or entry[:2] != [size, mtime] or mtime is None:
                entry = [size, mtime, _digest(path), _past(entry)]
                fresh[path] = entry
            prints.append(str(entry[2]))
        self._unwritten |= fresh
        if write and self._unwritten:
            self._merge(self._unwritten)
            self._unwritten = {}
        return prints

    def locate(self, fingerprint: str) -> str:
        """Return a path that holds the file with this fingerprint now.

        Raises
        ------
        RequestError
            If the file has moved or changed since.
        """
        paths = self._by_fingerprint().get(fingerprint, [])
        for path in paths:
            if self._unchanged(path, fingerprint):
                return path
        self._known = None
        where = f" (last seen at {paths[0]})" if paths else ""
        raise RequestError(
            f"The source file with fingerprint {fingerprint}{where} has moved or changed: put it back, "
            "or run `skysift relink ID --root FOLDER` with the folder that holds it now."
        )

    def relink(self, wanted: Iterable[str], root: Path) -> dict[str, str]:
        """Look for files with the wanted fingerprints below `root`; return fingerprint -> new path."""
        missing = set(wanted)
        known = {fingerprint: size for entry in self._read().values() for size, fingerprint in _past(entry)}
        sizes = {known[fingerprint] for fingerprint in missing} if missing <= set(known) else set()
        found: dict[str, str] = {}
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            if not missing:
                break
            if sizes and path.stat().st_size not in sizes:
                continue
            fingerprint = self.fingerprint(str(path.resolve()))
            if fingerprint in missing:
                missing.discard(fingerprint)
                found[fingerprint] = str(path.resolve())
        return found

    def _unchanged(self, path: str, fingerprint: str) -> bool:
        try:
            size, mtime = _stat(path)
        except RequestError:
            return False
        if mtime is not None and self._read().get(path, [])[:3] == [size, mtime, fingerprint]:
            return True
        return self.fingerprint(path) == fingerprint

    def _by_fingerprint(self) -> dict[str, list[str]]:
        known = self._read()
        if self._paths is None or self._paths[0] is not known:
            table: dict[str, list[str]] = {}
            for path, entry in known.items():
                for _, fingerprint in _past(entry):
                    table.setdefault(str(fingerprint), []).append(path)
            self._paths = (known, table)
        return self._paths[1]

    def _read(self) -> dict[str, list[Any]]:
        if self._known is None:
            self._known = read_json_object(
                self.path, "remove it, then `skysift relink ID --root FOLDER` finds the sources again."
            )
        return self._known

    def _merge(self, fresh: dict[str, list[Any]]) -> None:
        with self._lock:
            self._known = None
            merged = {**self._read(), **fresh}
            write_json(self.path, merged)
            self._known = merged


def _past(entry: list[Any] | None) -> list[list[Any]]:
    """Return size and fingerprint of all that an entry's path has held, its present content last."""
    if entry is None:
        return []
    earlier = [pair for pair in (entry[3] if len(entry) > 3 else []) if pair[1] != entry[2]]
    return [*earlier, [entry[0], entry[2]]]


def tree_files(root: Path) -> Iterator[Path]:
    """Yield the files of a folder that count as sources, in a fixed order; hidden ones don't."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts):
            yield path


def _digest(path: str) -> str:
    folder = Path(path)
    if not is_url(path) and folder.is_dir():
        entries = [[p.relative_to(folder).as_posix(), file_digest(p)] for p in tree_files(folder)]
        return hex_digest(canonical_json(entries).encode())
    return file_digest(path)


def _stat(path: str) -> tuple[int, int | None]:
    """Return size and modification time; None as time where it can't vouch for the content."""
    if is_url(path):
        import fsspec

        system, inner = fsspec.url_to_fs(path)
        try:
            return int(system.info(inner)["size"] or 0), None
        except FileNotFoundError:
            raise RequestError(f"{path}: no such file; check the address.") from None
    try:
        state = Path(path).stat()
    except FileNotFoundError:
        raise RequestError(f"{path}: no such file; check the path.") from None
    except PermissionError:
        raise RequestError(f"{path}: not readable by you; ask for read permission.") from None
    return state.st_size, None if Path(path).is_dir() else state.st_mtime_ns
