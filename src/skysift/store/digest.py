"""Digests: canonical JSON, files, and the one hash function that all ids share (BLAKE2b)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from skysift.errors import SkysiftError

CHUNK = 1 << 22


def hex_digest(data: bytes, size: int = 16) -> str:
    """Return the BLAKE2b digest of `data` as `2 * size` hex digits."""
    return hashlib.blake2b(data, digest_size=size).hexdigest()


def canonical_json(value: Any) -> str:
    """Write `value` as JSON with one spelling: sorted keys, no spaces, ASCII, finite numbers only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def file_digest(path: str | Path) -> str:
    """Return the BLAKE2b digest (32 hex digits) of all bytes of a local file or an fsspec URL."""
    state = hashlib.blake2b(digest_size=16)
    with open_binary(path) as stream:
        while chunk := stream.read(CHUNK):
            state.update(chunk)
    return state.hexdigest()


def open_binary(path: str | Path) -> Any:
    """Open a local file or an fsspec URL for reading bytes."""
    if is_url(str(path)):
        import fsspec

        return fsspec.open(str(path), "rb").open()
    return Path(path).open("rb")


def is_url(path: str) -> bool:
    """Tell whether a path names a remote file (`https://...`, `s3://...`) rather than a local one."""
    return "://" in path


def write_json(path: Path, value: Any) -> None:
    """Write readable, deterministic JSON, in one step (temporary file, then rename)."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n")
    temporary.replace(path)


def read_json_object(path: Path, remedy: str) -> dict[str, Any]:
    """Read what `write_json` wrote of a dict; nothing where there is no file.

    Raises
    ------
    SkysiftError
        If the file is damaged; `remedy` says what to do.
    """
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text())
    except ValueError as error:
        raise SkysiftError(f"{path} is damaged ({error}): {remedy}") from error
    if not isinstance(value, dict):
        raise SkysiftError(f"{path} is damaged (no JSON object): {remedy}")
    return value
