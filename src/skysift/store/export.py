"""Folders outside of the store that appear complete or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import skysift
from skysift.errors import RequestError, SkysiftError
from skysift.store.digest import file_digest, write_json

RECORD = "export.json"


@contextmanager
def exported(to: str | Path, about: dict[str, Any], *, overwrite: bool = False) -> Iterator[Path]:
    """Give a folder to write into, which takes its name only once all is written.

    Parameters
    ----------
    to : path
        The folder. It must not be there, or be empty.
    about : dict
        What is exported, for `export.json`, which also gets the digest of every file.
    overwrite : bool
        Replace an earlier export; anything else stays.

    Yields
    ------
    Path
        The folder to write into; what is in it is lost if an exception comes.

    Raises
    ------
    RequestError
        If the folder holds something already.
    SkysiftError
        If it can't be written.
    """
    to = Path(to).expanduser().absolute()
    _check(to, overwrite=overwrite)
    partial: Path | None = None
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{to.name}.", suffix=".partial", dir=to.parent))
        yield partial
        files = sorted(path for path in partial.rglob("*") if path.is_file())
        digests = {path.relative_to(partial).as_posix(): file_digest(path) for path in files}
        write_json(partial / RECORD, {**about, "skysift": skysift.__version__, "files": digests})
        for path in (partial, *partial.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        _replace(partial, to, overwrite=overwrite)
    except OSError as error:
        where = error.filename or to
        raise SkysiftError(f"{where}: the export can't be written ({error.strerror}); choose another --to.") from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def _check(to: Path, *, overwrite: bool) -> None:
    if to.is_symlink() or (to.exists() and not to.is_dir()):
        raise RequestError(f"{to} is no folder; choose another --to.")
    if not to.is_dir() or not any(to.iterdir()):
        return
    if not overwrite:
        raise RequestError(f"{to} is not empty; choose another --to, or --overwrite an earlier export.")
    others = sorted({path.name for path in to.iterdir()} - _earlier(to))
    if others:
        raise RequestError(f"{to} holds {others[0]}, which no export left there; choose another --to.")


def _earlier(to: Path) -> set[str]:
    """Return the names at the top of a folder that an earlier export left there."""
    try:
        files = json.loads((to / RECORD).read_text())["files"]
        return {RECORD, *(str(name).split("/")[0] for name in files)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _replace(partial: Path, to: Path, *, overwrite: bool) -> None:
    _check(to, overwrite=overwrite)  # something may have come meanwhile
    if not to.exists():
        partial.rename(to)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{to.name}.", suffix=".old", dir=to.parent))
    to.rename(old / to.name)
    try:
        partial.rename(to)
    except OSError:
        (old / to.name).rename(to)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
