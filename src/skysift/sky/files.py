"""Opening files as seekable bytes: local paths, `.gz` through the cache, URLs through fsspec."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import IO, Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from skysift.errors import RequestError, SkysiftError
from skysift.sky.cache import copy, open_cached

_GZIP = b"\x1f\x8b"


def is_url(path: str) -> bool:
    """Whether a path names a protocol of fsspec (`memory://`, `s3://`, `https://` ...)."""
    return "://" in path and not path.startswith("file://")


def local_path(path: str) -> Path | None:
    """The path on this machine (`file://` is taken off), or None for other URLs."""
    if is_url(path):
        return None
    return Path(unquote(urlsplit(path).path) if path.startswith("file://") else path)


def open_seekable(path: str) -> BinaryIO:
    """Open a file for reading at random; gzip is recognised by its first bytes and expanded into the cache once.

    Parameters
    ----------
    path : str
        Local path, `file://` or any URL that fsspec knows.

    Returns
    -------
    binary file
        At its start.

    Raises
    ------
    RequestError
        No such file, a folder, or no permission to read it.
    SkysiftError
        A truncated or damaged gzip file, or a full cache.
    """
    stream, key = _open_raw(path)
    try:
        head = stream.read(2)
        stream.seek(0)
        if head != _GZIP:
            return stream
        digest = hashlib.blake2b(repr(key).encode(), digest_size=16).hexdigest()
        opened = open_cached(digest, lambda target: _expand(path, stream, target), source=path)
    except BaseException:
        stream.close()
        raise
    stream.close()
    return opened


def _expand(path: str, stream: IO[bytes], target: IO[bytes]) -> None:
    try:
        with gzip.GzipFile(fileobj=stream) as expanded:
            copy(cast(IO[bytes], expanded), target)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SkysiftError(f"{path} is truncated or damaged ({error}); fetch it again.") from error


def _open_raw(path: str) -> tuple[BinaryIO, tuple[Any, ...]]:
    """Open without expansion; also what identifies the content for the cache."""
    local = local_path(path)
    if local is None:
        return _open_url(path)
    try:
        if local.is_dir():
            raise RequestError(
                f"{path} is a folder; name a file in it, or a pattern such as {path.rstrip('/')}/*.fits."
            )
        stat = local.stat()
        return local.open("rb"), (str(local.resolve()), stat.st_size, stat.st_mtime_ns)
    except FileNotFoundError as error:
        raise RequestError(f"There is no file {path}; check the path.") from error
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error


def _open_url(path: str) -> tuple[BinaryIO, tuple[Any, ...]]:
    import fsspec

    try:
        system, inner = fsspec.core.url_to_fs(path)
        if not system.isfile(inner):
            raise RequestError(f"There is no file {path}; check the address.")
        info = system.info(inner)
        marks = tuple(
            str(info.get(name)) for name in ("size", "ETag", "mtime", "LastModified", "last_modified", "created")
        )
        return cast(BinaryIO, system.open(inner, "rb")), (path, *marks)
    except (ValueError, ImportError) as error:
        raise RequestError(f"{path} cannot be opened ({error}); install the fsspec filesystem it needs.") from error
    except OSError as error:
        raise SkysiftError(f"{path} cannot be reached ({error}); check the address and the network.") from error


def size_of(stream: BinaryIO) -> int:
    """Length of an open file [byte]; the position stays."""
    here = stream.tell()
    end = stream.seek(0, 2)
    stream.seek(here)
    return end
