"""Pickled batches in the manner of CIFAR-10: MiraBest and FR-DEEP as they are handed out for training.

MiraBest (Porter & Scaife 2023, https://zenodo.org/records/4288837): the folder `batches`, `F_batches` (FIRST) or
`N_batches` (NVSS) with `data_batch_1` ... `data_batch_7`, `test_batch` and `batches.meta`, written by
`mirabest_builder.py` of https://github.com/fmporter/MiraBest_builder. FR-DEEP (Tang, Scaife & Leahy 2019,
arXiv:1903.11921): the folder `FIRST_PNG_dataset` or `NVSS_PNG_dataset` with eleven batches, read by `FRDEEP.py` of
https://github.com/HongmingTang060313/FR-DEEP. A batch is a dictionary with `data` (150 x 150 pixels of uint8 an image),
`labels` (numbers that count `label_names` of `batches.meta`) and, in MiraBest, `filenames`, from which positions come.

Pickles are programs; `skysift.sky.formats.unpickle` reads these without running anything in them.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from skysift.datasets.labelled import LabelledSet, Request
from skysift.datasets.mirabest import position
from skysift.errors import RequestError

__all__ = ["companions", "fits", "read"]

META = "batches.meta"
_BATCH = re.compile(r"(?P<part>data|test)_batch(?:_(?P<number>\d+))?")


def fits(path: Path) -> bool:
    """Tell whether a path is a batch, a folder of batches, or one that holds a single folder of them."""
    return bool(_batches(path))


def companions(path: Path, request: Request) -> list[str]:  # noqa: ARG001 - one signature for all formats
    """Return the file of class names that lies beside a single batch; a folder holds it already."""
    beside = path.parent / META
    return [str(beside)] if path.is_file() and beside.is_file() else []


def read(path: Path, request: Request) -> LabelledSet:  # noqa: ARG001 - one signature for all formats
    """Read batches; `data_batch_*` are for training, `test_batch` for the test.

    Raises
    ------
    RequestError
        If a file is no batch, asks to run something, or labels count further than the names.
    SkysiftError
        If a file is damaged.
    """
    from skysift.sky.formats.decoded import read_batch

    files = _batches(path)
    names = _class_names(files[0].parent / META)
    file, planes, labels, split, places = [], [], [], list[str | None](), []
    for number, batch in enumerate(files):
        found = read_batch(str(batch))
        count = len(found.labels)
        if names and not 0 <= min(found.labels) <= max(found.labels) < len(names):
            raise RequestError(f"{batch} has labels beyond the {len(names)} names of {META}; fetch both again.")
        file += [number] * count
        planes += list(range(count))
        labels += [[names[label] if names else str(label)] for label in found.labels]
        split += ["test" if batch.name.startswith("test") else "train"] * count
        places += [position(name) for name in found.names] or [(np.nan, np.nan)] * count
    ra, dec = np.array(places, np.float64).T
    known = bool(np.isfinite(ra).any())
    return LabelledSet(
        files=tuple(str(batch) for batch in files),
        file=np.array(file, np.int64),
        planes=np.array(planes, np.int64),
        labels=labels,
        ra=ra if known else None,
        dec=dec if known else None,
        split=split if len(set(split)) > 1 else None,
        classes=names,
    )


def _batches(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if _BATCH.fullmatch(path.name) else []
    inside = sorted(path.iterdir()) if path.is_dir() else []
    files = [p for p in inside if p.is_file() and _BATCH.fullmatch(p.name)]
    if not files:
        deeper = [p for p in inside if p.is_dir() and any(_BATCH.fullmatch(q.name) for q in p.iterdir())]
        return _batches(deeper[0]) if len(deeper) == 1 else []
    return sorted(files, key=_order)


def _order(path: Path) -> tuple[bool, int]:
    found = _BATCH.fullmatch(path.name)
    return path.name.startswith("test"), int(found["number"] or 0) if found else 0


def _class_names(path: Path) -> tuple[str, ...]:
    from skysift.sky.formats.unpickle import read_plain_pickle

    if not path.is_file():
        return ()
    names = read_plain_pickle(path.read_bytes(), str(path)).get("label_names")
    if not isinstance(names, list) or not names:
        raise RequestError(f"{path} has no list `label_names`; fetch it again, or remove it to use the numbers.")
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)
