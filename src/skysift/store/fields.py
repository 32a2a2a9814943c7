"""What a stage's field is besides its type: an input artifact, a source file, or a matter of running only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pydantic import BaseModel

MOSAIC_SUFFIXES = (".fits", ".fit", ".fits.gz", ".fit.gz", ".fits.fz", ".fz")


@dataclass(frozen=True, init=False)
class Input:
    """Marks a field that holds the id of an artifact (or a tuple of ids).

    Parameters
    ----------
    *kinds : str
        The kinds that fit. None: any kind.
    ordered : bool
        Whether the order of several inputs changes the result, and with it the id.
    """

    kinds: tuple[str, ...]
    ordered: bool

    def __init__(self, *kinds: str, ordered: bool = False) -> None:
        object.__setattr__(self, "kinds", kinds)
        object.__setattr__(self, "ordered", ordered)


@dataclass(frozen=True)
class Source:
    """Marks a field that holds paths of files; they enter the id by content, never by path.

    Parameters
    ----------
    ordered : bool
        Whether the order of the files changes the result. If not, it changes neither the id nor the order in
        which the stage sees them (by fingerprint).
    suffixes : tuple of str
        Which files of a folder count, where a folder is given.
    tree : bool
        Take a folder as one source whose fingerprint covers the relative names and the contents of all files.
    named : bool
        Whether the value may be a name that the stage knows in place of a path.
    """

    ordered: bool = False
    suffixes: tuple[str, ...] = MOSAIC_SUFFIXES
    tree: bool = False
    named: bool = False


@dataclass(frozen=True)
class Runtime:
    """Marks a field that says how to run, not what to make: it enters neither the id nor the manifest."""


Marker = Input | Source | Runtime
MarkerName = Literal["input", "source", "runtime"]


def markers(stage: type[BaseModel]) -> dict[str, Marker]:
    """Return the marked fields of a stage class, by name."""
    found: dict[str, Marker] = {}
    for name, field in stage.model_fields.items():
        for item in field.metadata:
            if isinstance(item, Input | Source | Runtime):
                found[name] = item
    return found


def as_tuple(value: object) -> tuple[str, ...]:
    """Return a field's value (None, one string, or several) as a tuple of strings."""
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        return tuple(str(item) for item in value)
    return (str(value),)
