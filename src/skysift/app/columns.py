"""Columns of a survey, each read from its artifact when it is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skysift.errors import RequestError

Array = NDArray[Any]
Codes = NDArray[np.int32]
MOST_ORDERS = 16
"""Sorted orders that are kept."""
LISTS = ("labels", "rating: tags")
"""Columns whose texts are several words, joined by a comma."""


class Columns(Mapping[str, Array]):
    """Arrays of equal length N by name; thread-safe.

    Numbers are float or integer arrays with NaN where there is none; texts are object arrays of str, "" where there
    is none.

    Examples
    --------
    >>> columns = Columns()
    >>> columns.add("snr", lambda: np.array([3.0, 7.5]), unit="")
    >>> columns["snr"].max()
    7.5
    """

    def __init__(self) -> None:
        self._makers: dict[str, Callable[[], Array]] = {}
        self._made: dict[str, Array] = {}
        self._codes: dict[str, tuple[Codes, list[str]]] = {}
        self._texts: set[str] = set()
        self._orders: dict[tuple[str, bool], NDArray[np.int64]] = {}
        self._lock = threading.RLock()
        self.units: dict[str, str] = {}
        self.descriptions: dict[str, str] = {}

    def add(
        self, name: str, make: Callable[[], Array], *, text: bool = False, unit: str = "", description: str = ""
    ) -> None:
        """Add a column that `make` reads when it is first asked for; a later one of the same name replaces it."""
        with self._lock:
            self.drop(name)
            self._makers[name] = make
            if text:
                self._texts.add(name)
            self.units[name] = unit
            self.descriptions[name] = description

    def drop(self, name: str) -> None:
        """Forget a column, if there is one of that name."""
        with self._lock:
            for table in (self._makers, self._made, self._codes, self.units, self.descriptions):
                table.pop(name, None)
            self._texts.discard(name)
            for direction in (False, True):
                self._orders.pop((name, direction), None)

    def __getitem__(self, name: str) -> Array:
        with self._lock:
            if name not in self._made:
                if name not in self._makers:
                    known = ", ".join(list(self._makers)[:8])
                    raise RequestError(f"There is no column {name!r} here: choose one of {known} ...")
                array = self._makers[name]()
                array.flags.writeable = False
                self._made[name] = array
            return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._makers))

    def __len__(self) -> int:
        return len(self._makers)

    def is_text(self, name: str) -> bool:
        """Tell whether a column holds texts, without reading it."""
        return name in self._texts

    @property
    def numbers(self) -> list[str]:
        """Names of the columns of numbers."""
        return [name for name in self if name not in self._texts]

    @property
    def texts(self) -> list[str]:
        """Names of the columns of texts."""
        return [name for name in self if name in self._texts]

    def codes(self, name: str) -> tuple[Codes, list[str]]:
        """Return a column of texts as numbers: codes, shape (N,), and the sorted texts that they stand for."""
        with self._lock:
            if name not in self._codes:
                encoded = pa.array(self[name], pa.string()).dictionary_encode()
                words = np.asarray(encoded.dictionary.to_pylist(), dtype=object)
                order = np.argsort(words.astype(str), kind="stable")
                place = np.empty(len(words), np.int32)
                place[order] = np.arange(len(words), dtype=np.int32)
                codes = place[encoded.indices.to_numpy(zero_copy_only=False)] if len(words) else np.zeros(0, np.int32)
                self._codes[name] = (codes, [str(word) for word in words[order]])
            return self._codes[name]

    def order(self, name: str, *, descending: bool = False) -> NDArray[np.int64]:
        """Return all rows sorted by a column, shape (N,); equal ones stay in order, those without a number end last."""
        with self._lock:
            if (name, descending) not in self._orders:
                values = self.codes(name)[0] if self.is_text(name) else self[name]
                values = values.astype(np.int64) if values.dtype.kind in "bui" else values
                order = np.argsort(-values if descending else values, kind="stable").astype(np.int64)
                if len(self._orders) >= MOST_ORDERS:
                    self._orders.pop(next(iter(self._orders)))
                self._orders[name, descending] = order
            return self._orders[name, descending]


def words_of(name: str, text: str) -> list[str]:
    """Return the words of a text in a column of that name: those of a list, or the text itself."""
    return text.split(", ") if name in LISTS else [text]


def texts_of(column: Any) -> Array:
    """Return a pyarrow column of strings, or of lists of strings, as an object array of str."""
    if pa.types.is_list(column.type):
        lists = column.to_pylist()
        return np.array([", ".join(entry) if entry else "" for entry in lists] or [], dtype=object)
    strings = column.cast(pa.string()).fill_null("")
    return np.asarray(strings.to_numpy(zero_copy_only=False), dtype=object)


def numbers_of(column: Any) -> Array:
    """Return a pyarrow column of numbers as an array; float with NaN where there are nulls."""
    if column.null_count and not pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
    return np.array(column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy())
