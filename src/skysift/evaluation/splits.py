"""Training, validation and test sets that share no pixel, drawn again and again from one seed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from skysift.errors import RequestError, SkysiftError
from skysift.evaluation.options import FINEST_ORDER, Splitting
from skysift.evaluation.samples import Samples
from skysift.evaluation.windows import overlapping

Rows = NDArray[np.int64]
ENOUGH_CELLS = 64
SQUARE_DEGREES = 41252.96125


@dataclass(frozen=True)
class Fold:
    """One draw: rows of the samples, in ascending order.

    Attributes
    ----------
    train : ndarray of int
        All training rows, those for validation among them.
    fit, validation : ndarray of int
        Two parts of `train` that share no pixel; overlapping rows are in neither. Empty where a class is too
        small to be parted, or too few would be left to choose by.
    test : ndarray of int
        Test rows; none shares a pixel with a training row.
    dropped : int
        Test rows left out because they overlap a training window.
    """

    train: Rows
    fit: Rows
    validation: Rows
    test: Rows
    dropped: int


@dataclass(frozen=True)
class Folds:
    """All draws and how they were made."""

    folds: list[Fold]
    by: str
    groups: int
    cell_order: int | None = None
    notes: list[str] = field(default_factory=list)


def make_folds(samples: Samples, options: Splitting, *, draws: int, seed: int) -> Folds:
    """Draw training and test sets.

    Groups (sky cells, mosaics, images) go to one side whole, so that each class has about its test fraction. Then
    test windows that overlap any window of the training side are dropped, and `train_per_class`,
    `label_fraction` and `test_per_class` choose from what is left. The test sets do not depend on the label
    fraction, and the training set of a smaller fraction is part of that of a larger one.

    Parameters
    ----------
    samples : Samples
        Labelled samples.
    options : Splitting
        What stays together, and how much is drawn.
    draws : int
        Number of draws. A fixed split without per-class numbers and label fraction can be drawn only once.
    seed : int
        Seed of the draws.

    Returns
    -------
    Folds

    Raises
    ------
    RequestError
        If there is nothing to split by, or a class is left without training or test samples.
    """
    by: str = options.split
    if by == "auto":
        by = "fixed" if samples.fixed is not None else "sky"
    if by == "fixed":
        return _fixed_folds(samples, options, draws, seed)
    groups, order = group_samples(samples, by, options.cell_order)
    count = int(groups.max()) + 1
    if count < 2:
        place = "sky cell" if order is not None else "group" if by == "group" else "mosaic"
        raise RequestError(
            f"All {len(samples)} labelled cutouts are in one {place}, so there is no way to part training from test by "
            "it: use a larger --cell-order, or --split image."
        )
    if options.folds is not None and count < options.folds:
        raise RequestError(
            f"There are {count} groups by {by} and {options.folds} folds: use fewer folds or finer groups."
        )
    folds: list[Fold] = []
    notes: list[str] = []
    for draw in range(draws):
        if options.folds is not None:
            turn, part = divmod(draw, options.folds)
            in_test = part_evenly(groups, samples.classes, options.folds, _generator(seed, turn, 5)) == part
        else:
            rng = _generator(seed, draw, 0)
            in_test = part_groups(groups, samples.classes, len(samples.class_set), options.test_fraction, rng)
        folds.append(_fold(samples, groups, in_test, options, seed, draw, notes))
    return Folds(folds, by, count, order, _once(notes))


def group_samples(samples: Samples, by: str, cell_order: int | None) -> tuple[Rows, int | None]:
    """Number the groups that must stay on one side of a split; return them and the HEALPix order of the cells."""
    windows = samples.windows
    order = None
    if by == "image":
        keys = np.arange(len(samples), dtype=np.int64)
    elif by == "group":
        if samples.named is None:
            raise RequestError("The data set names no groups (column `split`): choose --split sky, mosaic or image.")
        keys = np.where(samples.named >= 0, samples.named, windows.image + int(samples.named.max()) + 1)
    else:
        keys = windows.image.copy()
        known = windows.cell29 >= 0
        if by == "sky" and known.any():
            order = cell_order if cell_order is not None else _choose_order(samples)
            cells = windows.cell29[known] >> (2 * (29 - order))
            keys[known] = cells + int(keys.max()) + 1
    keys = join_groups(keys, samples.twins)
    return np.unique(keys, return_inverse=True)[1].astype(np.int64), order


def part_groups(
    groups: Rows, classes: Rows, n_classes: int, fraction: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Choose whole groups for the test so that every class comes near its share.

    Groups of several samples are gone through in random order, each to the side where the classes it holds are
    further behind; groups of one sample then fill what is missing.

    Parameters
    ----------
    groups, classes : ndarray of int, shape (n,)
        Group and class of each sample.
    n_classes : int
        Number of classes.
    fraction : float
        Share of each class for the test.
    rng : Generator
        Source of the random order.

    Returns
    -------
    ndarray of bool, shape (n,)
        True = test.
    """
    n_groups = int(groups.max()) + 1
    table = np.zeros((n_groups, n_classes), dtype=np.int64)
    np.add.at(table, (groups, classes), 1)
    sizes = table.sum(axis=1)
    totals = np.maximum(table.sum(axis=0), 1)
    chosen = np.zeros(n_groups, dtype=bool)
    taken = np.zeros(n_classes)
    passed = np.zeros(n_classes)
    for group in rng.permutation(np.flatnonzero(sizes > 1)):
        row = table[group]
        passed += row
        behind = (taken - fraction * passed) / totals
        if np.sum((behind + row / totals) ** 2) < np.sum(behind**2):
            chosen[group] = True
            taken += row
    if not chosen.any() and not (sizes == 1).any():  # few large groups: the one nearest to the fraction
        misses = ((table / totals - fraction) ** 2).sum(axis=1)
        chosen[misses.argmin()] = True
    single_class = table.argmax(axis=1)
    for index in range(n_classes):
        singles = np.flatnonzero((sizes == 1) & (single_class == index))
        missing = round(fraction * int(table[:, index].sum())) - int(taken[index])
        chosen[rng.permutation(singles)[: max(0, min(missing, len(singles)))]] = True
    return chosen[groups]


def part_evenly(groups: Rows, classes: Rows, parts: int, rng: np.random.Generator) -> Rows:
    """Part whole groups so that every class is spread evenly; return the number of the part (n,) of each sample."""
    part = np.full(len(groups), parts - 1, dtype=np.int64)
    left = np.arange(len(groups))
    for number in range(parts - 1):
        local = np.unique(groups[left], return_inverse=True)[1].astype(np.int64)
        chosen = part_groups(local, classes[left], int(classes.max()) + 1, 1 / (parts - number), rng)
        part[left[chosen]] = number
        left = left[~chosen]
    return part


def _fixed_folds(samples: Samples, options: Splitting, draws: int, seed: int) -> Folds:
    if options.folds is not None:
        raise RequestError("The data set's own split has no folds: choose --split sky or image, or leave folds out.")
    if samples.fixed is None:
        raise RequestError("The data set comes with no split into train and test: choose --split sky or image.")
    groups, _ = group_samples(samples, "image", None)
    drawn = options.train_per_class or options.test_per_class or options.label_fraction < 1
    notes: list[str] = []
    if draws > 1 and not drawn:
        notes.append("the data set's own split is used whole: one draw, its error from the bootstrap only")
        draws = 1
    folds = [_fold(samples, groups, samples.fixed, options, seed, draw, notes) for draw in range(draws)]
    return Folds(folds, "fixed", len(np.unique(groups)), None, _once(notes))


def _fold(
    samples: Samples,
    groups: Rows,
    in_test: NDArray[np.bool_],
    options: Splitting,
    seed: int,
    draw: int,
    notes: list[str],
) -> Fold:
    pool, candidates = np.flatnonzero(~in_test), np.flatnonzero(in_test)
    overlaps = overlapping(samples.windows, candidates, pool)
    test = candidates[~overlaps]
    test = _per_class(test, samples, options.test_per_class, _generator(seed, draw, 1), notes, "test")
    train = _per_class(pool, samples, options.train_per_class, _generator(seed, draw, 2), notes, "training")
    train = _label_fraction(train, samples, options.label_fraction, _generator(seed, draw, 3))
    for name, rows in (("training", train), ("test", test)):
        missing = [samples.class_set.names[k] for k in range(len(samples.class_set)) if k not in samples.classes[rows]]
        if len(samples.class_set) - len(missing) < (2 if name == "training" else 1):
            raise RequestError(
                f"Draw {draw} has too few classes in the {name} set (none of {', '.join(missing)}): use finer cells "
                "(--cell-order), --split image, or more labelled cutouts."
            )
        if missing:
            notes.append(f"in some draw no {name} sample is left of: {', '.join(missing)}")
    fit, validation = _validation(samples, groups, train, options, _generator(seed, draw, 4))
    if overlapping(samples.windows, test, train).any():
        raise SkysiftError("A test window shares pixels with a training window: please report this as a bug.")
    return Fold(train, fit, validation, test, int(overlaps.sum()))


def _validation(
    samples: Samples, groups: Rows, train: Rows, options: Splitting, rng: np.random.Generator
) -> tuple[Rows, Rows]:
    """Part the training samples; none is for validation where that would be too few to choose by."""
    local = np.unique(groups[train], return_inverse=True)[1].astype(np.int64)
    if local.max() < 1:
        return train, train[:0]
    held = part_groups(local, samples.classes[train], len(samples.class_set), options.validation_fraction, rng)
    fit, validation = train[~held], train[held]
    validation = validation[~overlapping(samples.windows, validation, fit)]
    lost = len(np.unique(samples.classes[fit])) < len(np.unique(samples.classes[train]))
    if lost or len(validation) < options.least_validation:
        return train, train[:0]
    return fit, validation


def _per_class(
    rows: Rows, samples: Samples, n: int | None, rng: np.random.Generator, notes: list[str], name: str
) -> Rows:
    if n is None:
        return rows
    chosen = []
    for index, label in enumerate(samples.class_set.names):
        of_class = rows[samples.classes[rows] == index]
        if len(of_class) < n:
            notes.append(f"fewer than {n} {name} samples of {label} in some draw: all are taken, so it is not balanced")
        chosen.append(rng.permutation(of_class)[:n])
    return np.sort(np.concatenate(chosen))


def _label_fraction(rows: Rows, samples: Samples, fraction: float, rng: np.random.Generator) -> Rows:
    """Keep a share of each class, at least one sample; smaller shares are part of larger ones."""
    if fraction == 1:
        return rows
    chosen = []
    for index in range(len(samples.class_set)):
        of_class = rng.permutation(rows[samples.classes[rows] == index])
        chosen.append(of_class[: max(1, round(fraction * len(of_class)))])
    return np.sort(np.concatenate(chosen))


def _choose_order(samples: Samples) -> int:
    """Return the coarsest order with 64 occupied cells, but none with cells smaller than the windows."""
    windows = samples.windows
    known = windows.cell29 >= 0
    side = np.sqrt(2) * float(np.degrees(windows.radius[known]).max())
    finest = 0
    while finest < FINEST_ORDER and np.sqrt(SQUARE_DEGREES / (12 * 4 ** (finest + 1))) >= side:
        finest += 1
    for order in range(finest):
        if len(np.unique(windows.cell29[known] >> (2 * (29 - order)))) >= ENOUGH_CELLS:
            return order
    return finest


def join_groups(keys: Rows, twins: Rows) -> Rows:
    """Merge groups that hold samples with the same content."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if len(np.unique(twins)) == len(twins):
        return keys
    _, a = np.unique(keys, return_inverse=True)
    _, b = np.unique(twins, return_inverse=True)
    size = int(a.max()) + 1
    total = size + int(b.max()) + 1
    graph = coo_matrix((np.ones(len(a), dtype=np.int8), (a, b + size)), shape=(total, total))
    return np.asarray(connected_components(graph, directed=False)[1][a], dtype=np.int64)


def _generator(seed: int, draw: int, purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, draw, purpose])))


def _once(notes: list[str]) -> list[str]:
    return list(dict.fromkeys(notes))
