"""What ratings teach: from the ledger's table to rows, scores and artefacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["SCORE_OF", "Lessons", "lessons"]

SCORE_OF = {"interesting": 5, "boring": 0}
"""The score that a judgement without one stands for."""


@dataclass(frozen=True)
class Lessons:
    """Ratings as `Learner.fit` takes them.

    Attributes
    ----------
    rows : ndarray of int, shape (M,)
        Rows of scored cutouts.
    scores : ndarray, shape (M,), float64
        Mean score of their users.
    artefact_rows : ndarray of int
        Rows of cutouts that half or more of those who rated them call artefacts.
    elsewhere : int
        Rated cutouts that are not in the set.
    """

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    artefact_rows: npt.NDArray[np.int64]
    elsewhere: int


def lessons(current: Any, row_of: Mapping[str, int]) -> Lessons:
    """Join what users think of cutouts now.

    Parameters
    ----------
    current : pyarrow.Table
        As `Ledger.current` returns it.
    row_of : mapping of str to int
        Cutout id -> row of the features.

    Returns
    -------
    Lessons
        Rows ascending. Ratings with tags or a comment alone teach nothing here.
    """
    votes: dict[int, list[int | None]] = {}
    elsewhere = set()
    columns = (current.column(name).to_pylist() for name in ("cutout_id", "judgement", "score"))
    for cutout, judgement, score in zip(*columns, strict=True):
        if judgement is None and score is None:
            continue
        if cutout not in row_of:
            elsewhere.add(cutout)
            continue
        vote = None if judgement == "artefact" else SCORE_OF[judgement] if score is None else score
        votes.setdefault(row_of[cutout], []).append(vote)
    broken = {row: None for row, given in sorted(votes.items()) if 2 * given.count(None) >= len(given)}
    scored = {row: [v for v in given if v is not None] for row, given in sorted(votes.items()) if row not in broken}
    return Lessons(
        np.array(list(scored), dtype=np.int64),
        np.array([np.mean(given) for given in scored.values()], dtype=np.float64),
        np.array(list(broken), dtype=np.int64),
        len(elsewhere),
    )
