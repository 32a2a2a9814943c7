"""The cells of a benchmark: one encoder, labelled set, protocol, label fraction and draw each."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skysift.errors import SkysiftError
from skysift.evaluation.benchmark.layout import Sheet
from skysift.evaluation.protocols.base import Pictures, Problem, Protocol
from skysift.evaluation.splits import Fold
from skysift.metrics.classification import confusion_matrix
from skysift.store.digest import hex_digest

if TYPE_CHECKING:
    from skysift.evaluation.images import ImageSource

Rows = NDArray[np.int64]
_TRAINING = threading.Lock()
"""Held while a network is trained, where cells share a process: torch has one state of random numbers in each."""


@dataclass(frozen=True)
class Cell:
    """One cell: what is scored, and on which samples. It is small and travels to a worker.

    Attributes
    ----------
    encoder, dataset, protocol : str
        Names.
    repeat, draw : int
        Which training of the encoder, and which draw.
    fraction : float
        Share of the training labels.
    folder : Path
        Of the features artifact.
    options : Protocol
        The protocol with its options.
    rows, classes : ndarray of int64, shape (n,)
        Catalogue rows and class indices of all samples.
    fold : Fold
        Training and test samples.
    n_classes, seed : int
        Number of classes, and seed of the draw.
    device : str
        Torch device for protocols that use one.
    images : ImageSource or None
        What fine-tuning reads, one row a sample.
    """

    encoder: str
    repeat: int
    dataset: str
    protocol: str
    fraction: float
    draw: int
    folder: Path
    options: Protocol
    rows: Rows
    classes: Rows
    fold: Fold
    n_classes: int
    seed: int
    device: str
    images: ImageSource | None = None


@dataclass(frozen=True)
class Result:
    """What a cell found.

    Attributes
    ----------
    confusion : ndarray of int64, shape (k, k)
        Row = true class, column = predicted class.
    right : ndarray of bool, shape (n_test,)
        Whether each test sample was classified rightly, in the order of the fold.
    samples : str
        Digest of the ids of training and test cutouts, as the worker saw them.
    chosen : dict
        Settings that validation samples chose.
    notes : list of str
        What a user should know.
    """

    confusion: NDArray[np.int64]
    right: NDArray[np.bool_]
    samples: str
    chosen: dict[str, Any]
    notes: list[str]

    @classmethod
    def read(cls, path: Path) -> Result:
        """Read a finished cell."""
        found = json.loads(path.read_text())
        bits = np.frombuffer(bytes.fromhex(found["right"]), dtype=np.uint8)
        confusion = np.array(found["confusion"], dtype=np.int64)
        right = np.unpackbits(bits, count=int(confusion.sum())).astype(bool)
        return cls(confusion, right, found["samples"], found["chosen"], found["notes"])

    def write(self, path: Path) -> None:
        """Write it for a run that carries on."""
        content = {
            "confusion": self.confusion.tolist(),
            "right": np.packbits(self.right).tobytes().hex(),
            "samples": self.samples,
            "chosen": self.chosen,
            "notes": self.notes,
        }
        path.write_text(json.dumps(content))


def make_cells(
    sheets: list[Sheet],
    protocols: Mapping[str, Protocol],
    *,
    seed: int,
    device: str,
    images: Mapping[tuple[str, str, int], ImageSource] = MappingProxyType({}),
) -> list[Cell]:
    """Return all cells, by draw, labelled set, protocol, encoder and label fraction.

    Draws come first so that cheap and dear protocols alternate: what remains can then be told from what was done.

    Parameters
    ----------
    sheets : list of Sheet
        Labelled sets with their features and draws.
    protocols : mapping of str to Protocol
        Name -> options and method.
    seed : int
        Of the first draw; each further one has the next.
    device : str
        Torch device for protocols that use one.
    images : mapping, optional
        Labelled set, encoder, repeat -> what fine-tuning reads.
    """
    cells = [
        Cell(
            encoder=member.encoder,
            repeat=member.repeat,
            dataset=sheet.dataset,
            protocol=name,
            fraction=fraction,
            draw=draw,
            folder=member.folder,
            options=options,
            rows=sheet.samples.rows,
            classes=sheet.samples.classes,
            fold=fold,
            n_classes=len(sheet.samples.class_set),
            seed=seed + draw,
            device=device,
            images=images.get((sheet.dataset, member.encoder, member.repeat)),
        )
        for sheet in sheets
        for name, options in protocols.items()
        for member in sheet.members
        for fraction, found in sheet.folds.items()
        for draw, fold in enumerate(found.folds)
    ]
    return sorted(cells, key=lambda cell: cell.draw)


def work_cell(cell: Cell, out: Path) -> None:
    """Work out one cell and write its result."""
    from threadpoolctl import threadpool_limits

    alone = nullcontext() if cell.images is None else _TRAINING
    with threadpool_limits(limits=1), alone:  # sums in one order, however many cores there are
        outcome = cell.options.evaluate(_problem(cell))
    truth, predicted = cell.classes[cell.fold.test], outcome.probabilities.argmax(axis=1)
    result = Result(
        confusion=confusion_matrix(truth, predicted, cell.n_classes),
        right=predicted == truth,
        samples=_digest(cell),
        chosen=outcome.chosen,
        notes=outcome.notes,
    )
    result.write(out)


def check_pairing(cells: list[Cell], results: list[Result]) -> None:
    """Assert that all encoders saw the same training and test cutouts in every draw of a labelled set.

    Raises
    ------
    SkysiftError
        If they did not: paired tests would be wrong.
    """
    seen: dict[tuple[str, float, int], tuple[str, str]] = {}
    for cell, result in zip(cells, results, strict=True):
        samples, encoder = seen.setdefault((cell.dataset, cell.fraction, cell.draw), (result.samples, cell.encoder))
        if result.samples != samples:
            raise SkysiftError(
                f"dataset {cell.dataset!r}, draw {cell.draw}: {cell.encoder!r} was scored on other cutouts than "
                f"{encoder!r}; please report this as a bug."
            )


def _problem(cell: Cell) -> Problem:
    features, fold = _features(cell.folder), cell.fold

    def matrix(samples: Rows) -> NDArray[np.float32]:
        return np.asarray(features[cell.rows[samples]], dtype=np.float32)

    return Problem(
        train=matrix(fold.train),
        train_classes=cell.classes[fold.train],
        fit=matrix(fold.fit),
        fit_classes=cell.classes[fold.fit],
        validation=matrix(fold.validation),
        validation_classes=cell.classes[fold.validation],
        test=matrix(fold.test),
        n_classes=cell.n_classes,
        seed=cell.seed,
        device=cell.device,
        pictures=None
        if cell.images is None
        else Pictures(cell.images, fold.train, fold.fit, fold.validation, fold.test),
    )


def _digest(cell: Cell) -> str:
    ids = _cutout_ids(cell.folder)
    parts = (ids[cell.rows[part]] for part in (cell.fold.train, cell.fold.test))
    return hex_digest("|".join(",".join(part.tolist()) for part in parts).encode())


@lru_cache(maxsize=2)
def _features(folder: Path) -> Any:
    return np.load(folder / "features.npy", mmap_mode="r")


@lru_cache(maxsize=2)
def _cutout_ids(folder: Path) -> NDArray[np.str_]:
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "catalogue.parquet", columns=["cutout_id"])
    return np.asarray(table.column("cutout_id").to_pylist(), dtype=str)
