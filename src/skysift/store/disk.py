"""Whether a store can be where it was asked to be, and disk errors said in one sentence."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skysift.errors import CARRY_ON, RequestError, SkysiftError, Stopped


def store_folder(root: str | Path) -> Path:
    """Return the full path of a store's folder, which need not be there yet.

    Raises
    ------
    RequestError
        If the name is empty, or it or a part of it is a file.
    """
    if not str(root).strip():
        raise RequestError("The store's name is empty: give a folder with --store or SKYSIFT_STORE.")
    path = Path(root).expanduser().resolve()
    there = _nearest(path)
    if not there.is_dir():
        raise RequestError(f"{there} is a file, so {path} can't be a store: choose a folder with --store.")
    return path


def writable(root: Path) -> bool:
    """Tell whether a store's folder can be written to, or made."""
    return os.access(_nearest(root), os.W_OK | os.X_OK)


def check_writable(root: Path) -> None:
    """Check that a store's folder can be written to, or made.

    Raises
    ------
    SkysiftError
        If not.
    """
    if not writable(root):
        raise SkysiftError(f"{_nearest(root)}: no permission to write; choose another folder with --store.")


@contextmanager
def readable_errors(root: Path) -> Iterator[None]:
    """Say in one sentence that the disk is full or not writable, and that Ctrl-C stopped the work."""
    try:
        yield
    except OSError as error:
        where = error.filename or root
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SkysiftError(
                f"{where}: no space left on the disk; free some and give the same command again, it carries on."
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise SkysiftError(f"{where}: no permission to write; choose another folder with --store.") from error
        raise
    except KeyboardInterrupt as error:
        raise Stopped(str(error) or f"by Ctrl-C; {CARRY_ON}") from error


def _nearest(path: Path) -> Path:
    """Return the path itself, or the nearest above it that exists."""
    return next(p for p in (path, *path.parents) if os.path.exists(p))  # noqa: PTH110 - no error where nothing may be read
