"""Parts of a labelled set such that each can be classified by the others without seeing its own pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skysift.errors import RequestError
from skysift.evaluation.samples import Samples
from skysift.evaluation.splits import group_samples
from skysift.evaluation.windows import overlapping

Rows = NDArray[np.int64]


def part_samples(
    samples: Samples, by: str, cell_order: int | None, folds: int, *, seed: int
) -> list[tuple[Rows, Rows]]:
    """Divide the samples into parts of whole groups, each class spread evenly.

    Parameters
    ----------
    samples : Samples
        Labelled samples.
    by : str
        What stays together: `sky`, `mosaic`, `image`, `group`.
    cell_order : int, optional
        HEALPix order of the cells.
    folds : int
        Number of parts.
    seed : int
        Of the division.

    Returns
    -------
    list of (train, held)
        Rows of the samples, ascending. Every sample is held once; training windows that overlap a held one are left
        out there.

    Raises
    ------
    RequestError
        If there are fewer groups than parts.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    groups, order = group_samples(samples, by, cell_order)
    count = int(groups.max()) + 1
    if count < folds:
        what = "sky cells" if order is not None else "groups"
        raise RequestError(
            f"The {len(samples)} labelled cutouts lie in {count} {what}, too few for {folds} parts: use a larger "
            "--cell-order, --split image, or fewer --folds."
        )
    rows = np.arange(len(samples))
    rarest = int(np.bincount(samples.classes)[np.unique(samples.classes)].min())
    divide = StratifiedGroupKFold(folds, shuffle=True, random_state=seed) if rarest >= folds else None
    parts = np.empty(len(samples), np.int64)
    if divide is not None:
        for number, (_, held) in enumerate(divide.split(rows[:, None], samples.classes, groups)):
            parts[held] = number
    else:  # a class with fewer samples than parts can't be in every one
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed])))
        parts = (rng.permutation(count) % folds)[groups]
    found = []
    for number in range(folds):
        held, train = np.flatnonzero(parts == number), np.flatnonzero(parts != number)
        if len(held):
            found.append((train[~overlapping(samples.windows, train, held)], held))
    return found
