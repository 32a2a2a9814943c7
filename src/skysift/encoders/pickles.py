"""Pickles of torch that other people wrote: read without running anything of them."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from skysift.errors import SkysiftError

__all__ = ["SAVE", "read_pickle", "whole_objects"]

SAVE = "load it with the program that wrote it and save `model.state_dict()` with torch.save"
_ZIP = b"PK\x03\x04"
_PICKLES = tuple(bytes((0x80, protocol)) for protocol in (2, 3, 4, 5))
_FAILURES = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    OSError,
)


def read_pickle(path: Path) -> tuple[Any, list[str]]:
    """Read a checkpoint with `weights_only=True`.

    Objects of classes that torch does not know (options of the training program) are replaced by empty ones, so that
    nothing of the file is executed and no other package is needed.

    Returns
    -------
    content : object
        What the file holds: most often nested dictionaries with tensors.
    foreign : list of str
        The classes that were replaced.

    Raises
    ------
    SkysiftError
        If the file is damaged, no checkpoint, or can't be read without running code of it.
    """
    with path.open("rb") as stream:
        head = stream.read(16)
    if not head:
        raise SkysiftError(f"{path}: the file is empty; fetch it anew.")
    foreign: list[str] = []
    try:
        if head.startswith(_ZIP):
            foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        stand_ins: list[Any] = [(_stand_in(name), name) for name in foreign]
        with torch.serialization.safe_globals(stand_ins), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it reads what it can, or raises
            return torch.load(path, map_location="cpu", weights_only=True), foreign
    except _FAILURES as error:
        raise SkysiftError(f"{path}: {_why(path, head, str(error))}.") from error


def _why(path: Path, head: bytes, said: str) -> str:
    """Say what a file is that can't be read, and what to do."""
    if head.startswith(_ZIP):
        if not zipfile.is_zipfile(path):
            return "the file is truncated or damaged; fetch it anew"
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith("/constants.pkl") for name in names):
            return f"this is a TorchScript program, not weights; {SAVE}"
        if not any(name.endswith("data.pkl") for name in names):
            return f"this is a zip archive that torch.save did not write; {SAVE}"
    if not head.startswith((_ZIP, *_PICKLES)):
        return f"this is no checkpoint (it begins with {head[:12]!r}); fetch it anew, or give a .ckpt, .pth or .pt file"
    named = re.search(r"(?:GLOBAL|global:?) `?((?:\w+\.)+\w+)", said)
    return whole_objects([named[1]] if named else [])


def whole_objects(classes: Sequence[str]) -> str:
    """Say that a file holds objects of classes in place of tensors, and what to do."""
    what = f" ({', '.join(sorted(classes)[:3])})" if classes else ""
    return f"the file holds a whole model or other Python objects{what}, which are not unpickled; {SAVE}"


def _stand_in(name: str) -> type:
    """Return a class that takes a foreign one's place while unpickling and keeps nothing of it but items."""
    if name.split(".")[0] == "numpy":
        return type(name, (_Opaque,), {})
    return type(name, (_Items,), {})


class _Opaque:
    """Takes any state and forgets it."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _Opaque:  # noqa: ARG004
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _Items:
    """Makes an empty dictionary: the one type that torch's safe reader lets items be put into."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG004
        return OrderedDict()
