"""The forms of labelled sets, each in a module of its own."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from skysift.datasets import batches, folder, idx, mgcls, mirabest, npz, rgd, rgz, solo_learn_radio, table, usps
from skysift.datasets.labelled import LabelledSet, Request
from skysift.datasets.names import KNOWN
from skysift.errors import RequestError

__all__ = ["FORMATS", "companions_of", "format_of", "read_labelled"]

FORMATS: tuple[ModuleType, ...] = (
    idx,
    batches,
    mgcls,
    npz,
    solo_learn_radio,
    rgz,
    mirabest,
    rgd,
    usps,
    folder,
    table,
)
"""Modules with `fits(path)`, `companions(path, request)` and `read(path, request)`; what a publisher lays out is tried
before the general forms."""


def format_of(path: str) -> tuple[ModuleType, Path]:
    """Return the module that reads a labelled set, and the path that it reads.

    A folder that holds a single labelled file stands for that file.

    Raises
    ------
    RequestError
        If no form fits.
    """
    place = Path(path)
    for module in FORMATS:
        if module.fits(place):
            return module, place
    if place.is_dir():
        inside = [(m, p) for p in sorted(place.iterdir()) if p.is_file() for m in (npz, table) if m.fits(p)]
        archives = [pair for pair in inside if pair[0] is npz]
        for choice in (archives, inside):
            if len(choice) == 1:
                return choice[0]
    if place.suffix.lower() in (".h5", ".hdf5"):
        raise RequestError(f"{path} is HDF5, which is not read: save its images and labels as .npz, or take PNG files.")
    raise RequestError(
        f"{path} is no labelled set: give a folder of one folder a class, .npz with images and labels, idx files, a "
        f"table of paths or positions with labels, or the files of {', '.join(KNOWN)} as they are published."
    )


def companions_of(path: str, request: Request) -> list[str]:
    """Return the files that a labelled set depends on beside `path` itself."""
    module, place = format_of(path)
    found: list[str] = module.companions(place, request)
    return found


def read_labelled(path: str, request: Request | None = None) -> LabelledSet:
    """Read a labelled set of any form.

    Parameters
    ----------
    path : str
        See `format_of`.
    request : Request, optional
        How to read it.

    Raises
    ------
    RequestError
        If it is none, or not as it should be.
    """
    module, place = format_of(path)
    labelled: LabelledSet = module.read(place, request or Request())
    return labelled
