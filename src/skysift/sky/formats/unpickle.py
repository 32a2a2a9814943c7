"""Reading pickled batches of images without running anything that a pickle asks for.

The data sets that follow CIFAR-10 (https://www.cs.toronto.edu/~kriz/cifar.html) are pickles, and a pickle is a program:
it names functions and has them called. Here no name is ever imported. The few names that NumPy writes for an array are
answered by stand-ins of this module, which put an array together from plain bytes; every other name ends the reading.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError, SkysiftError

__all__ = ["read_plain_pickle"]

MOST_BYTES = 4 << 30
"""Largest file that is read; the batches in use have a few megabytes."""
_DTYPE = re.compile(r"(b1|[iu][1248]|f[248]|[SU]\d{1,5})")
_DAMAGE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)


def read_plain_pickle(data: bytes, path: str) -> dict[str, Any]:
    """Read a pickled dictionary of numbers, texts, arrays, and lists of these.

    Parameters
    ----------
    data : bytes
        Content of the file, of any protocol, written by Python 2 or 3.
    path : str
        Where it comes from, for messages.

    Returns
    -------
    dict of str to object
        Values are int, float, bool, str, bytes, None, ndarray, or lists of such; arrays are read-only.

    Raises
    ------
    RequestError
        If the pickle names anything but NumPy's arrays, or holds something else than such a dictionary.
    SkysiftError
        If it is damaged.
    """
    if len(data) > MOST_BYTES:
        raise RequestError(f"{path} has {len(data)} bytes, too many for a batch of images; save it as .npz.")
    try:
        found = _Reader(io.BytesIO(data), path).load()
    except _DAMAGE as error:
        raise SkysiftError(
            f"{path} is truncated or damaged ({error or type(error).__name__}); fetch it again."
        ) from error
    if not isinstance(found, dict):
        raise RequestError(f"{path} holds a pickled {type(found).__name__}, not a batch of images; save it as .npz.")
    plain = {_text(key): _value(value, path) for key, value in found.items()}
    # arrays that are named many times over would fill the memory: each has its own bytes in a file that is meant well
    if sum(_size(value) for value in plain.values()) > len(data):
        raise SkysiftError(f"{path} unfolds to more bytes than it has, which no batch of images does; fetch it again.")
    return plain


class _Reader(pickle.Unpickler):
    """Pickle's machine, which is handed a stand-in for each name that it may know."""

    def __init__(self, stream: io.BytesIO, path: str) -> None:
        super().__init__(stream, encoding="latin1")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """Answer a name, or end the reading; nothing is looked up or imported."""
        call = _NAMES.get((module, name))
        if call is None:
            raise RequestError(
                f"{self._path} asks to run {module}.{name}, which a batch of images never needs, so it is not read: "
                "make sure where it comes from, and save its images and labels as .npz."
            )
        return _Name(call)

    def persistent_load(self, pid: Any) -> Any:
        """Refuse references to something outside the file."""
        raise pickle.UnpicklingError(f"refers to an object outside itself, {str(pid)[:40]}")


class _Name:
    """A name that a pickle may call, and do nothing else with."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("changes a function")


class _Dtype:
    """Stands for `numpy.dtype`: numbers and texts of a fixed size, nothing structured, no objects."""

    __slots__ = ("dtype",)

    def __init__(self, text: Any, *_: Any) -> None:
        if not (isinstance(text, str) and _DTYPE.fullmatch(text)):
            raise pickle.UnpicklingError(f"holds values of type {str(text)[:20]!r} instead of numbers")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order, parts = state[1], state[2:5]
        if order not in ("<", ">", "|", "=") or any(part is not None for part in parts):
            raise pickle.UnpicklingError("holds records instead of numbers")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands for `numpy.ndarray`: shape, type and bytes arrive together."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array: npt.NDArray[Any] = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        self.array = _build(raw, dtype, shape, "F" if fortran else "C")


def _build(raw: Any, dtype: Any, shape: Any, order: Any) -> npt.NDArray[Any]:
    """Make an array of bytes that the pickle holds; NumPy checks their number."""
    if isinstance(raw, str):  # how Python 2 wrote bytes
        raw = raw.encode("latin1")
    if not isinstance(raw, bytes | bytearray) or not isinstance(dtype, _Dtype):
        raise pickle.UnpicklingError("holds an array of objects")
    array = np.frombuffer(bytes(raw), dtype.dtype).reshape(
        tuple(int(n) for n in shape), order="F" if order == "F" else "C"
    )
    array.flags.writeable = False
    return array


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> npt.NDArray[Any]:
    return _build(raw, dtype, shape, order)


def _scalar(dtype: Any, raw: Any = b"") -> Any:
    return _build(raw, dtype, (1,), "C")[0].item()


def _encode(text: Any, encoding: Any) -> bytes:
    """How Python 3 writes bytes for Python 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError(f"holds bytes in {str(encoding)[:20]!r}")
    return text.encode("latin1")


_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _reconstruct,
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


def _value(value: Any, path: str) -> Any:
    return [_leaf(item, path) for item in value] if isinstance(value, list | tuple) else _leaf(value, path)


def _leaf(value: Any, path: str) -> Any:
    if isinstance(value, _Array):
        return value.array
    if value is None or isinstance(value, bool | int | float | str | bytes | np.ndarray):
        return value
    raise RequestError(f"{path} holds a {type(value).__name__} inside a list, which no batch of images does.")


def _text(key: Any) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)


def _size(value: Any) -> int:
    if isinstance(value, list):
        return sum(_size(item) for item in value)
    return int(value.nbytes) if isinstance(value, np.ndarray) else 0
