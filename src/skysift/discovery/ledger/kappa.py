"""How far people agree beyond chance: Cohen's kappa of each pair, Fleiss' kappa of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError

__all__ = ["Agreement", "Pair", "agreement", "cohen_kappa", "fleiss_kappa"]

Weights = Literal["none", "linear", "quadratic"]
Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Two people.

    Attributes
    ----------
    first, second : str
        Their names.
    shared : int
        Cutouts that both rated.
    same : float
        Share of these on which they say the same; NaN where there are none.
    kappa : float
        Cohen's kappa; NaN where it is undefined.
    """

    first: str
    second: str
    shared: int
    same: float
    kappa: float


@dataclass(frozen=True)
class Agreement:
    """Agreement of all.

    Attributes
    ----------
    pairs : tuple of Pair
        All pairs of people.
    cutouts : int
        Cutouts that two people or more rated.
    fleiss : float
        Fleiss' kappa over these; NaN where it is undefined.
    """

    pairs: tuple[Pair, ...]
    cutouts: int
    fleiss: float


def agreement(current: Any, of: Literal["judgement", "score"] = "judgement", weights: Weights = "none") -> Agreement:
    """Return how far people agree.

    Parameters
    ----------
    current : pyarrow.Table
        As `Ledger.current` returns it.
    of : str
        On `judgement`, or on `score`.
    weights : str
        What a difference of scores counts in Cohen's kappa: `none` (any as much), `linear`, `quadratic`.

    Raises
    ------
    RequestError
        If judgements are to be weighted, which have no order.
    """
    if of == "judgement" and weights != "none":
        raise RequestError("Judgements have no order to weigh; weights belong to scores.")
    said: dict[str, dict[str, Any]] = {}
    for user, cutout, value in zip(*(current.column(n).to_pylist() for n in ("user", "cutout_id", of)), strict=True):
        if value is not None:
            said.setdefault(user, {})[cutout] = value
    pairs = []
    for first, second in combinations(sorted(said), 2):
        shared = sorted(said[first].keys() & said[second].keys())
        a, b = [said[first][c] for c in shared], [said[second][c] for c in shared]
        same = float(np.mean([x == y for x, y in zip(a, b, strict=True)])) if shared else float("nan")
        pairs.append(Pair(first, second, len(shared), same, cohen_kappa(a, b, weights)))
    values = sorted({value for by_cutout in said.values() for value in by_cutout.values()})
    counts: dict[str, Counter[Any]] = {}
    for by_cutout in said.values():
        for cutout, value in by_cutout.items():
            counts.setdefault(cutout, Counter())[value] += 1
    table = [[count[value] for value in values] for _, count in sorted(counts.items()) if count.total() > 1]
    return Agreement(tuple(pairs), len(table), fleiss_kappa(table))


def cohen_kappa(first: Sequence[Any], second: Sequence[Any], weights: Weights = "none") -> float:
    """Return Cohen's kappa of two raters (Cohen 1960; weighted: Cohen 1968).

    1 - sum(w o) / sum(w e), where o are the observed shares of pairs of values, e those expected if the raters were
    independent, and w is 1 off the diagonal, or the distance between the values, or its square.

    Parameters
    ----------
    first, second : sequence
        What they said of the same things; numbers, if weighted.
    weights : str
        `none`, `linear` or `quadratic`.

    Returns
    -------
    float
        1 for full agreement, 0 for that of chance; NaN where nothing is shared or both always say one and the same.

    Raises
    ------
    ValueError
        If they are not equally long.
    """
    values = sorted({*first, *second})
    place = {value: i for i, value in enumerate(values)}
    observed = np.zeros((len(values), len(values)))
    for a, b in zip(first, second, strict=True):
        observed[place[a], place[b]] += 1
    if observed.sum() == 0:
        return float("nan")
    observed /= observed.sum()
    expected = np.outer(observed.sum(1), observed.sum(0))
    if weights == "none":
        cost = 1.0 - np.eye(len(values))
    else:
        scale = np.asarray(values, dtype=np.float64)
        cost = np.abs(scale[:, None] - scale[None, :]) ** (1 if weights == "linear" else 2)
    chance = float((cost * expected).sum())
    return 1 - float((cost * observed).sum()) / chance if chance > 0 else float("nan")


def fleiss_kappa(counts: npt.ArrayLike) -> float:
    """Return Fleiss' kappa of several raters (Fleiss 1971).

    (P - Pe) / (1 - Pe): P is the mean over things of the share of agreeing pairs of raters, Pe the sum of squared
    shares of the values. Where the number of raters differs between things, each thing counts as one in P.

    Parameters
    ----------
    counts : array_like of int, shape (things, values)
        How many raters gave a thing a value; at least two raters a thing.

    Returns
    -------
    float
        NaN where there is nothing, or only one value was ever given.

    Raises
    ------
    ValueError
        If a thing has fewer than two raters.
    """
    table: Float = np.asarray(counts, dtype=np.float64)
    if table.size == 0:
        return float("nan")
    raters = table.sum(1)
    if (raters < 2).any():
        raise ValueError("a thing has fewer than two raters")
    agreeing = ((table**2).sum(1) - raters) / (raters * (raters - 1))
    shares = table.sum(0) / table.sum()
    chance = float((shares**2).sum())
    return (float(agreeing.mean()) - chance) / (1 - chance) if chance < 1 else float("nan")
