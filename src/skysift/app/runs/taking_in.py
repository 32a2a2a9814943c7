"""Taking in a model: files that lie in one folder of the store, or are uploaded into it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skysift.errors import RequestError
from skysift.store.artifact import Artifact
from skysift.store.progress import Progress
from skysift.store.store import Store

FOLDER = "imports"
SUFFIXES = (".safetensors", ".ckpt", ".pth", ".pt", ".bin")
FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=+-]{0,119}")
MOST_BYTES = 2 * 2**30
"""Largest upload [byte]."""
MOST_HEADER = 100 * 2**20


class Wish(BaseModel):
    """What the form of the page asks for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    file: str = Field(max_length=120)
    backbone: str = Field("resnet18", pattern=r"^[a-z0-9_.]{1,60}$")
    preprocess: str = Field("riggi2024", pattern=r"^[a-z0-9_-]{1,40}$")
    image_size: int = Field(224, ge=16, le=1024)
    name: str = Field("", max_length=64)


def folder_of(store: Store) -> Path:
    """Return the folder whose files may be taken in."""
    return store.root / FOLDER


def files(store: Store) -> list[str]:
    """Return the names of the checkpoints that lie there; links that lead elsewhere are left out."""
    folder = folder_of(store)
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if _is_ours(p, folder))


def path_of(store: Store, name: str) -> Path:
    """Return the path of a checkpoint in the folder.

    Raises
    ------
    RequestError
        If there is no such file in it.
    """
    folder = folder_of(store)
    path = folder / name
    if not FILE.fullmatch(name) or not _is_ours(path, folder):
        raise RequestError(f"There is no checkpoint {name[:60]!r} in the store's folder {FOLDER}: put it there first.")
    return path


def take_in(store: Store, wish: dict[str, Any], progress: Progress | None = None) -> Artifact:
    """Make a model of a checkpoint, and give it a name if one is asked for.

    Raises
    ------
    RequestError
        If the wish is none, the file is not there, or does not hold that backbone.
    """
    from skysift.encoders.stages import ImportWeights

    try:
        asked = Wish.model_validate(wish)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise RequestError(f"The {field or 'form'} can't be used: check it and try again.") from None
    path = path_of(store, asked.file)
    stage = ImportWeights(
        file=str(path), backbone=asked.backbone, preprocess=asked.preprocess, image_size=asked.image_size
    )
    artifact = store.run(stage, progress=progress)
    if asked.name:
        store.name(artifact.id, asked.name)
    return artifact


class Upload:
    """A file that arrives in pieces; it appears in the folder once it is whole.

    Parameters
    ----------
    store : Store
        Whose folder.
    name : str
        Of the file; only safetensors can be uploaded, as nothing in them is code.
    size : int
        Bytes that were announced.

    Raises
    ------
    RequestError
        If the name or size can't be used.
    """

    def __init__(self, store: Store, name: str, size: int) -> None:
        if not FILE.fullmatch(name) or not name.endswith(".safetensors"):
            raise RequestError("Only .safetensors files can be uploaded, with letters, digits, '.', '_' and '-'.")
        if not 8 < size <= MOST_BYTES:
            raise RequestError(f"A file of {size} bytes can't be uploaded: at most {MOST_BYTES >> 30} GiB.")
        folder = folder_of(store)
        folder.mkdir(parents=True, exist_ok=True)
        self._final, self._size, self._got = folder / name, size, 0
        if self._final.exists():
            raise RequestError(f"{name} is there already: rename one of them.")
        self._part = folder / f".{os.urandom(8).hex()}.part"
        self._stream = self._part.open("wb")

    def write(self, chunk: bytes) -> None:
        """Take the next piece."""
        self._got += len(chunk)
        if self._got > self._size:
            raise RequestError("More came than was announced: try again.")
        self._stream.write(chunk)

    def finish(self) -> str:
        """Check what came, and put it in its place; return its name."""
        self._stream.close()
        if self._got != self._size or not is_safetensors(self._part):
            self.abandon()
            raise RequestError("That is no whole safetensors file: try again.")
        os.link(self._part, self._final)  # fails where one has appeared meanwhile
        self._part.unlink()
        return self._final.name

    def abandon(self) -> None:
        """Forget it."""
        self._stream.close()
        self._part.unlink(missing_ok=True)


def is_safetensors(path: Path) -> bool:
    """Tell whether a file begins as safetensors do: the header's length in 8 bytes, then JSON."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(MOST_HEADER, path.stat().st_size - 8):
            return False
        try:
            return isinstance(json.loads(stream.read(length)), dict)
        except (ValueError, RecursionError):
            return False


def _is_ours(path: Path, folder: Path) -> bool:
    inside = path.is_file() and path.resolve().parent == folder.resolve()
    return inside and path.suffix in SUFFIXES and not path.name.startswith(".")
