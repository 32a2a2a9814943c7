"""Lazy re-exports (PEP 562), so that importing a package costs nothing until a name is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def attach(
    package: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Build `__getattr__`, `__dir__` and `__all__` of a package from a table of its public names.

    Parameters
    ----------
    package : str
        The package's `__name__`.
    names : mapping of str to sequence of str
        Module of the package -> names that it offers.

    Returns
    -------
    tuple
        `(__getattr__, __dir__, __all__)`, to be assigned in the package's `__init__`.

    Examples
    --------
    >>> __getattr__, __dir__, __all__ = attach("skysift.sky", {"mosaic": ["Mosaic", "open_mosaic"]})
    """
    home = {name: module for module, offered in names.items() for name in offered}
    public = sorted(home)

    def getattr_(name: str) -> Any:
        if name in home:
            return getattr(importlib.import_module(f"{package}.{home[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def dir_() -> list[str]:
        return public

    return getattr_, dir_, public
