"""A bounded folder of expanded files, shared by every process of the user."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, BinaryIO

from filelock import FileLock

from skysift.errors import RequestError, SkysiftError

DEFAULT_GIGABYTES = 50.0
_ABANDONED = 24 * 3600.0  # [s]; a part that old was left by a killed process


def cache_folder() -> Path:
    """The folder: SKYSIFT_CACHE, or `skysift` in the user's cache folder."""
    named = os.environ.get("SKYSIFT_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skysift"


def cache_limit() -> int:
    """Most bytes that the folder may hold: SKYSIFT_CACHE_GB, 50 by default.

    Raises
    ------
    RequestError
        SKYSIFT_CACHE_GB is not a positive number.
    """
    text = os.environ.get("SKYSIFT_CACHE_GB", str(DEFAULT_GIGABYTES))
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = 0.0
    if not gigabytes > 0:
        raise RequestError(f"SKYSIFT_CACHE_GB={text} is not a size; set a number of gigabytes above 0.")
    return int(gigabytes * 1e9)


def open_cached(key: str, write: Callable[[IO[bytes]], None], *, source: str) -> BinaryIO:
    """Open the cached file of a key, writing it first where it is not there yet.

    The file comes back open, so that no eviction by another process can take it away between finding and opening.
    Two processes that ask for one key wait for each other; readers of finished files never wait.

    Parameters
    ----------
    key : str
        File name; must change whenever the source does.
    write : callable
        Writes the content into an open binary file.
    source : str
        Path or URL that is expanded, for messages.

    Raises
    ------
    SkysiftError
        The folder is full or cannot be written.
    """
    folder = cache_folder()
    path = folder / key
    with contextlib.suppress(OSError):  # what is wrong with the folder shows below
        return _touch_open(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{key}.lock"):
            with contextlib.suppress(FileNotFoundError):
                return _touch_open(path)
            part = folder / f"{key}.part"
            try:
                with part.open("wb") as stream:
                    write(stream)
                opened = part.open("rb")  # before it has its name, under which another process may evict it
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise SkysiftError(
            f"{source} cannot be expanded into the cache {folder} ({error.strerror or error});"
            " free some space there or set SKYSIFT_CACHE to another folder."
        ) from error
    evict(folder, cache_limit(), keep=path)
    return opened


def _touch_open(path: Path) -> BinaryIO:
    stream = path.open("rb")
    with contextlib.suppress(OSError):  # somebody else's cache: reading is enough
        os.utime(path)
    return stream


def evict(folder: Path, limit: int, *, keep: Path | None = None) -> int:
    """Delete the files longest unused until the folder holds at most `limit` bytes.

    Parameters
    ----------
    folder : Path
        The cache.
    limit : int
        Most bytes to leave.
    keep : Path, optional
        File that stays whatever its size.

    Returns
    -------
    int
        Bytes deleted.
    """
    entries: list[tuple[float, int, Path]] = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process evicts too
            stat = path.stat()
            if path.suffix == ".part" and time.time() - stat.st_mtime > _ABANDONED:
                path.unlink()
            elif path.suffix not in {".part", ".lock"}:
                entries.append((stat.st_mtime, stat.st_size, path))
    total = sum(size for _, size, _ in entries)
    freed = 0
    for _, size, path in sorted(entries):
        if total - freed <= limit:
            break
        if path != keep:
            path.unlink(missing_ok=True)
            freed += size
    return freed


def copy(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy a stream in pieces of 4 MiB."""
    shutil.copyfileobj(source, target, 4 << 20)
