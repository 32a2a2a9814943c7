"""What came of the rating: candidates found against candidates rated, and how well the next ratings were foreseen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skysift.discovery.active.teaching import SCORE_OF, Lessons, lessons

Array = NDArray[np.float64]
FOUND_SCORE = 4
"""A candidate counts as found from this score on."""


@dataclass(frozen=True)
class Said:
    """Ratings that stand, one a cutout and user, in the order in which they were given.

    Attributes
    ----------
    rows : array (M,) int64
    users : array (M,) object
    scores : array (M,) float64
        0 to 5; NaN for artefacts and for what was only tagged.
    taught : Lessons
        The same, as a learner takes it.
    """

    rows: NDArray[np.int64]
    users: NDArray[Any]
    scores: Array
    taught: Lessons

    @classmethod
    def read(cls, survey: Any, table: Any = None) -> Said:
        """Read the current ratings of a survey's cutouts from the ledger, or from its table `Ledger.current`."""
        table = survey.ledger.current() if table is None else table
        if table.num_rows:
            table = table.sort_by("time")
        rows = survey.rows_of(table.column("cutout_id")) if table.num_rows else np.empty(0, np.int64)
        ids, judged, given, users = (
            table.column(name).to_pylist() for name in ("cutout_id", "judgement", "score", "user")
        )
        keep = (rows >= 0) & np.array(
            [j is not None or s is not None for j, s in zip(judged, given, strict=True)], bool
        )
        scores = np.array([_score(j, s) for j, s in zip(judged, given, strict=True)], np.float64)
        row_of = {cutout: row for cutout, row in zip(ids, rows.tolist(), strict=True) if row >= 0}
        return cls(rows[keep], np.array(users, object)[keep], scores[keep], lessons(table, row_of))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which of them are finds."""
        return self.scores >= FOUND_SCORE

    def rated(self, n: int, user: str | None = None) -> NDArray[np.bool_]:
        """Return which of `n` rows are rated, by anyone or by one user."""
        mask = np.zeros(n, bool)
        mask[self.rows if user is None else self.rows[self.users == user]] = True
        return mask


def found_curve(said: Said, user: str | None = None) -> tuple[list[int], list[int]]:
    """Return candidates rated and candidates found, from 0, for all users together or one.

    Together, a cutout counts once: where users differ, a find is a find.
    """
    rated, found = [0], [0]
    seen: set[int] = set()
    finds: set[int] = set()
    for row, who, hit in zip(said.rows.tolist(), said.users, said.found, strict=True):
        if user is not None and who != user:
            continue
        if row in seen and (not hit or row in finds):
            continue
        seen.add(row)
        if hit:
            finds.add(row)
        rated.append(len(seen))
        found.append(len(finds))
    return rated, found


def foresight(
    space: NDArray[np.float32], raw: Array, said: Said, *, blocks: int = 6, least: int = 10, seed: int = 0
) -> tuple[list[int], list[float], list[float]]:
    """Say how well each block of ratings was foreseen from those before it.

    Parameters
    ----------
    space : array (N, K)
        Positions of the cutouts, as `Learner.space`.
    raw : array (N,)
        Static scores, as `Learner.raw`.
    said : Said
        The ratings, in order of time.
    blocks : int
        Most points of the curve.
    least : int
        Ratings before the first one.
    seed : int
        Of the forests.

    Returns
    -------
    rated, error, plain : list
        Number of ratings learnt from; mean absolute error of the scores of the block after them, in units of the
        score, as a random forest foresees them and as their mean does.
    """
    from skysift.discovery.active.regressors import forest_scores

    rows, scores = _one_each(said)
    if len(rows) < least + 3:
        return [], [], []
    edges = np.unique(np.linspace(least, len(rows), blocks + 1).astype(int))
    near, raw_here = space[rows], np.asarray(raw, np.float64)[rows]
    rated, error, plain = list[int](), list[float](), list[float]()
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        known = np.arange(first)
        guess = forest_scores(near[:last], raw_here[:last], known, scores[:first], seed)[first:]
        rated.append(first)
        error.append(float(np.abs(guess - scores[first:last]).mean()))
        plain.append(float(np.abs(scores[:first].mean() - scores[first:last]).mean()))
    return rated, error, plain


def _one_each(said: Said) -> tuple[NDArray[np.int64], Array]:
    """Return the scored rows in the order in which they were first scored, with the mean score of the users."""
    keep = ~np.isnan(said.scores)
    rows, first, inverse = np.unique(said.rows[keep], return_index=True, return_inverse=True)
    mean = np.bincount(inverse, said.scores[keep]) / np.bincount(inverse) if len(rows) else np.empty(0)
    order = np.argsort(first)
    return rows[order], mean[order]


def _score(judgement: str | None, score: int | None) -> float:
    if judgement == "artefact":
        return np.nan
    if score is not None:
        return float(score)
    return float(SCORE_OF.get(judgement or "", np.nan))


def top_users(said: Said, most: int = 5) -> list[str]:
    """Return the users with most ratings, by name."""
    if not len(said):
        return []
    names, counts = np.unique(said.users.astype(str), return_counts=True)
    return sorted(str(names[i]) for i in np.argsort(-counts, kind="stable")[:most])
