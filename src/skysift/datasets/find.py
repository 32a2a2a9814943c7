"""Finding labelled sets by path, or by name in the folder that SKYSIFT_DATASETS names."""

from __future__ import annotations

import os
from pathlib import Path

from skysift.datasets.names import KNOWN
from skysift.errors import RequestError

__all__ = ["VARIABLE", "find_labelled_set"]

VARIABLE = "SKYSIFT_DATASETS"


def find_labelled_set(reference: str) -> str:
    """Return the path of a labelled set.

    Parameters
    ----------
    reference : str
        A path or URL; else the name of a folder or file below `$SKYSIFT_DATASETS`, with or without its ending, or the
        name of a published set (`skysift.datasets.names.KNOWN`) whose files lie there as they were unpacked.

    Raises
    ------
    RequestError
        If there is none of that name, or several.
    """
    path = Path(reference).expanduser()
    if "://" in reference or path.exists():
        return str(path) if "://" not in reference else reference
    root = os.environ.get(VARIABLE)
    if root is None:
        raise RequestError(f"{reference}: no such file or folder; to use names of labelled sets, set {VARIABLE}.")
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise RequestError(f"{VARIABLE}={root} is no folder; set it to the one that holds the labelled sets.")
    if (folder / reference).exists():
        return str(folder / reference)
    known = KNOWN.get(reference.lower())
    for name in known.folders if known else ():
        if (folder / name).exists():
            return str(folder / name)
    found = sorted(p for p in folder.rglob("*") if reference in (p.name, p.name.split(".")[0]) and p.name[0] != ".")
    if len(found) == 1:
        return str(found[0])
    if found:
        names = ", ".join(str(p.relative_to(folder)) for p in found[:4])
        raise RequestError(f"{reference} names several labelled sets in {folder} ({names}): give one of these.")
    if known:
        raise RequestError(
            f"{reference} ({known.what}) is not in {folder}: put it there as {' or '.join(known.folders)}, "
            f"unpacked from {known.source}."
        )
    there = ", ".join(sorted(p.name for p in folder.iterdir() if p.name[0] != ".")[:12]) or "nothing"
    raise RequestError(f"{reference}: no such file or folder, and no labelled set in {folder} (there is {there}).")
