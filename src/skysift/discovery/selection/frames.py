"""Labelled cutouts: which are interesting, which ordinary, and which may not be told apart by pixels they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skysift.cutouts.catalogue import Catalogue
from skysift.datasets.labelled import Request
from skysift.datasets.labels import natural_order
from skysift.datasets.table import read_cutout_labels
from skysift.errors import RequestError

Rows = NDArray[np.int64]

ORDINARY, INTERESTING, OTHER = 0, 1, 2
KINDS = ("ordinary", "interesting", "other")
"""Name of each kind of labelled cutout, by its number."""

SELECTION, HELD_OUT, DROPPED = 0, 1, 2
PARTS = ("selection", "held-out", "dropped")
"""Name of each part of the labelled cutouts, by its number."""

BLOCK = 4
"""Side of the squares of a mosaic that stay in one part, in sides of the largest window."""


@dataclass(frozen=True)
class Frames:
    """The labelled cutouts of a catalogue.

    Attributes
    ----------
    rows : ndarray of int64, shape (m,)
        Their rows of the catalogue, ascending.
    labels : list of list of str
        Labels of each; may be several.
    kind : ndarray of int64, shape (m,)
        0 ordinary, 1 interesting, 2 neither.
    group : ndarray of int64, shape (m,)
        Equal for cutouts of one piece of a mosaic, which stay together.
    part : ndarray of int64, shape (m,)
        0 selects features, 1 is held out, 2 is left out since it shares sky with one that selects.
    """

    rows: Rows
    labels: list[list[str]]
    kind: Rows
    group: Rows
    part: Rows

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, part: int) -> Rows:
        """Return which of the labelled cutouts are of a part (0 or 1)."""
        return np.flatnonzero(self.part == part)

    def counts(self, part: int) -> dict[str, int]:
        """Return how many cutouts of each kind a part has."""
        found = np.bincount(self.kind[self.part == part], minlength=len(KINDS))
        return dict(zip(KINDS, found.tolist(), strict=True))


def read_frames(
    catalogue: Catalogue,
    table: str | None,
    *,
    interesting: Sequence[str],
    ordinary: Sequence[str],
    parts: int,
    seed: int,
) -> Frames:
    """Find the labelled cutouts of a catalogue and hold a part of them out.

    A cutout is interesting with one label of `interesting`; it is ordinary where it has none and no label that is not
    in `ordinary`; else it is neither.

    Parameters
    ----------
    catalogue : Catalogue
        All cutouts.
    table : str or None
        Table of `cutout_id` and labels; None: the labels that the catalogue has.
    interesting, ordinary : sequence of str
        Labels.
    parts : int
        One of so many parts is held out.
    seed : int
        Of the division.

    Returns
    -------
    Frames

    Raises
    ------
    RequestError
        If no cutout has one of the labels, or too few are labelled to be divided.
    """
    both = sorted(set(interesting) & set(ordinary))
    if both:
        raise RequestError(f"The label {both[0]} is among --interesting and among --ordinary: leave it out of one.")
    every = catalogue.labels if table is None else _of_table(catalogue, Path(table))
    rows = np.flatnonzero([bool(labels) for labels in every])
    labels = [every[row] for row in rows]
    kind = classify(labels, interesting, ordinary)
    _check(labels, kind, interesting, ordinary)
    chosen = catalogue.select(rows)
    group = blocks(chosen)
    held = hold_out(kind, group, parts, seed=seed)
    part = np.where(held, HELD_OUT, SELECTION)
    part[held & shares_sky(chosen, held)] = DROPPED
    found = Frames(rows.astype(np.int64), labels, kind, group, part.astype(np.int64))
    for number in (SELECTION, HELD_OUT):
        lacks = [name for name, count in found.counts(number).items() if not count and name != KINDS[OTHER]]
        if lacks:
            raise RequestError(
                f"The {PARTS[number]} part of the {len(found)} labelled cutouts has no {lacks[0]} ones: label more, "
                "farther apart, or choose another --seed."
            )
    return found


def classify(labels: Sequence[Sequence[str]], interesting: Sequence[str], ordinary: Sequence[str]) -> Rows:
    """Return the kind of each cutout, shape (m,): 0 ordinary, 1 interesting, 2 neither."""
    wanted, dull = set(interesting), set(ordinary)
    return np.array(
        [INTERESTING if wanted & set(found) else ORDINARY if set(found) <= dull else OTHER for found in labels],
        dtype=np.int64,
    )


def blocks(catalogue: Catalogue) -> Rows:
    """Number the pieces of mosaics that stay in one part: squares of four window sides; whole images of a stack.

    Parameters
    ----------
    catalogue : Catalogue
        m cutouts.

    Returns
    -------
    ndarray of int64, shape (m,)
    """
    windows = catalogue.windows
    centre = windows[:, :2] + windows[:, 2:] // 2
    square = centre // (BLOCK * max(int(windows[:, 2:].max()), 1))
    stack = catalogue.mosaics.column("plane").is_null().to_numpy()[catalogue.mosaic_rows()]
    plane = np.where(stack, catalogue.column("plane").astype(np.int64), 0)
    mosaic = np.unique(catalogue.column("mosaic").astype(str), return_inverse=True)[1]
    keys = np.column_stack([mosaic, plane, square])
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def hold_out(kind: Rows, group: Rows, parts: int, *, seed: int) -> NDArray[np.bool_]:
    """Choose one of so many parts, of whole groups, with its share of every kind; True = held out, shape (m,).

    Raises
    ------
    RequestError
        If there are fewer groups of interesting or ordinary cutouts than parts.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    for number in (INTERESTING, ORDINARY):
        there = len(np.unique(group[kind == number]))
        if there < parts:
            raise RequestError(
                f"The {KINDS[number]} cutouts lie on {there} pieces of sky, too few for --label-parts {parts}: "
                "label more of them."
            )
    # a few cutouts that are neither must not limit the division, so they count with the ordinary ones where rare
    few = np.bincount(kind, minlength=len(KINDS))[OTHER] < parts
    strata = np.where((kind == OTHER) & few, ORDINARY, kind)
    divide = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    _, held = next(iter(divide.split(np.zeros((len(kind), 1)), strata, group)))
    found = np.zeros(len(kind), dtype=bool)
    found[held] = True
    return found


def shares_sky(catalogue: Catalogue, held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which held-out cutouts share pixels, or sky, with one that is not held out; shape (m,)."""
    from skysift.curation.duplicates import window_overlaps

    first, second, _ = window_overlaps(catalogue, 0.0)
    across = held[first] != held[second]
    found = np.zeros(len(held), dtype=bool)
    found[first[across]] = found[second[across]] = True
    return found & held


def _of_table(catalogue: Catalogue, path: Path) -> list[list[str]]:
    given = read_cutout_labels(path, Request())
    if given is None:
        raise RequestError(f"{path} has no columns cutout_id and label, which --labels needs.")
    found = [given.get(str(id_), []) for id_ in catalogue.column("cutout_id")]
    if not any(found):
        raise RequestError(f"{path} labels none of these cutouts: check that its cutout_id are those of the features.")
    return found


def _check(labels: list[list[str]], kind: Rows, interesting: Sequence[str], ordinary: Sequence[str]) -> None:
    if not labels:
        raise RequestError("No cutout has a label: give a table with --labels.")
    for number, option, names in ((INTERESTING, "--interesting", interesting), (ORDINARY, "--ordinary", ordinary)):
        if not (kind == number).any():
            there = Counter(label for found in labels for label in found)
            some = ", ".join(sorted(there, key=natural_order)[:20])
            raise RequestError(
                f"No labelled cutout is {KINDS[number]} by the labels {', '.join(names)}; there are {some}: name "
                f"others with {option}."
            )
