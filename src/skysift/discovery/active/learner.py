"""The learner: fits a person's taste from few ratings, and says what to show next."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from skysift.discovery.active.acquisition import TOP, alpha_of, astronomaly, expected_improvement, ranks
from skysift.discovery.active.artefacts import artefact_probability
from skysift.discovery.active.regressors import forest_scores, process_scores
from skysift.discovery.active.space import nearest_distance, principal_space
from skysift.errors import RequestError

__all__ = ["ACQUISITIONS", "Acquisition", "Learner"]

Acquisition = Literal["astronomaly", "expected-improvement"]
ACQUISITIONS: tuple[str, ...] = get_args(Acquisition)
Rows = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]


class Learner:
    """Ranks cutouts by a static anomaly score and by what people said about some of them.

    Without ratings the order is the static one. Artefacts are kept out of the taste and train a filter of their own, so
    that dull and broken are not confused. The same ratings and seed give the same order; nothing is stored but the
    ratings, from which a learner is fitted anew in seconds.

    Parameters
    ----------
    features : array_like, shape (N, D)
        Finite; may be memory-mapped.
    scores : array_like, shape (N,)
        Static anomaly score, higher = more unusual; only its order matters.
    seed : int
        Of the forests and of drawn rows.
    components : int
        Principal components of the features that are used.

    Attributes
    ----------
    raw : ndarray, shape (N,)
        Rank of the static score, in (0, 1].
    rated : ndarray of int
        Rows that were rated, artefacts among them.

    Raises
    ------
    RequestError
        If features and scores don't fit together or are not finite.

    Examples
    --------
    >>> learner = Learner(features, scores).fit([3, 17], [5, 0], artefact_rows=[8])
    >>> learner.order("expected-improvement", explore=0.3)[:50]
    """

    def __init__(self, features: npt.ArrayLike, scores: npt.ArrayLike, *, seed: int = 0, components: int = 32) -> None:
        self.seed = seed
        self.space = principal_space(features, components, seed)
        static = np.asarray(scores, dtype=np.float64)
        if static.shape != (len(self.space),) or not np.isfinite(static).all():
            raise RequestError(f"{len(self.space)} cutouts need as many finite scores, not {static.shape} of them.")
        self.raw = ranks(static)
        self._forget()

    def _forget(self) -> None:
        self.rows: Rows = np.empty(0, dtype=np.int64)
        self.user_scores: Array = np.empty(0)
        self.artefact_rows: Rows = np.empty(0, dtype=np.int64)
        self._forest: Array | None = None
        self._process: tuple[Array, Array] | None = None
        self._filter: Array | None = None

    def __len__(self) -> int:
        return len(self.space)

    @property
    def rated(self) -> Rows:
        """Rows that were rated, artefacts among them."""
        return np.concatenate([self.rows, self.artefact_rows])

    def fit(self, rows: npt.ArrayLike, user_scores: npt.ArrayLike, artefact_rows: npt.ArrayLike = ()) -> Learner:
        """Take these ratings in place of any before; what they imply is worked out when it is asked for.

        Parameters
        ----------
        rows : array_like of int, shape (M,)
            Cutouts that people scored; none twice.
        user_scores : array_like, shape (M,)
            Their scores, 0 (dull) to 5.
        artefact_rows : array_like of int
            Cutouts that people called artefacts; a row that is scored too counts as an artefact only.

        Raises
        ------
        RequestError
            If a row or a score is out of range, or a row is given twice.
        """
        taken = np.asarray(rows, dtype=np.int64).ravel()
        given = np.asarray(user_scores, dtype=np.float64).ravel()
        broken = np.unique(np.asarray(artefact_rows, dtype=np.int64).ravel())
        if len(taken) != len(given):
            raise RequestError(f"{len(taken)} rated cutouts have {len(given)} scores; give one for each.")
        both = np.concatenate([taken, broken])
        if both.size and (both.min() < 0 or both.max() >= len(self)):
            raise RequestError(f"A rated cutout is in row {both.max()}; there are {len(self)} rows, from 0.")
        if len(np.unique(taken)) != len(taken):
            raise RequestError("A cutout is rated twice; give its latest or mean score.")
        if given.size and not ((given >= 0) & (given <= TOP)).all():
            raise RequestError("A score lies outside 0 to 5.")
        self._forget()
        kept = ~np.isin(taken, broken)
        order = np.argsort(taken[kept])
        self.rows, self.user_scores, self.artefact_rows = taken[kept][order], given[kept][order], broken
        return self

    def predicted(self, kind: Acquisition = "astronomaly") -> Array:
        """Return the score that people would give, shape (N,), 0 to 5; of nobody's ratings, none is predicted.

        Raises
        ------
        RequestError
            If nothing was scored yet.
        """
        if not len(self.rows):
            raise RequestError("Nothing was scored yet; rate some cutouts first.")
        return self._by_forest() if kind == "astronomaly" else np.clip(self._by_process()[0], 0, TOP)

    def artefact_probability(self) -> Array:
        """Return how likely each cutout is an artefact, shape (N,), in [0, 1]; zero before any was named."""
        if self._filter is None:
            self._filter = artefact_probability(self.space, self.artefact_rows, self.rows, self.seed)
        return self._filter

    def acquisition(self, kind: Acquisition = "astronomaly", explore: float = 0.5) -> Array:
        """Return how soon each cutout should be shown, shape (N,): higher = sooner.

        Parameters
        ----------
        kind : str
            `astronomaly` (Lochner & Bassett 2021, random forest) or `expected-improvement` (Protege, Gaussian process).
        explore : float
            From 0, more of what was liked, to 1, what is unlike all that was rated.

        Raises
        ------
        RequestError
            If there is no such kind, or `explore` is out of range.
        """
        if kind not in ACQUISITIONS:
            raise RequestError(f"There is no acquisition {kind!r}; there are {' and '.join(ACQUISITIONS)}.")
        if not 0 <= explore <= 1:
            raise RequestError(f"explore is {explore}; it goes from 0 to 1.")
        sound = 1 - self.artefact_probability()
        if not len(self.rows):
            return self.raw * sound
        if kind == "astronomaly":
            distance = nearest_distance(self.space, self.rows)
            return astronomaly(self.raw, self._by_forest(), distance, alpha=alpha_of(explore)) * sound
        mean, deviation = self._by_process()
        target = float(self.user_scores.max()) + 2 * TOP * (explore - 0.5)
        return expected_improvement(mean, deviation, target=target) * sound

    def order(self, kind: Acquisition = "astronomaly", explore: float = 0.5) -> Rows:
        """Return all rows in the order in which to show them: those not rated yet first, each part best first."""
        value = self.acquisition(kind, explore)
        seen = np.zeros(len(self), dtype=bool)
        seen[self.rated] = True
        # equal values in the order of the static score, then of the rows
        return np.lexsort((np.arange(len(self)), -self.raw, -value, seen)).astype(np.int64)

    def _by_forest(self) -> Array:
        if self._forest is None:
            self._forest = forest_scores(self.space, self.raw, self.rows, self.user_scores, self.seed)
        return self._forest

    def _by_process(self) -> tuple[Array, Array]:
        if self._process is None:
            self._process = process_scores(self.space, self.raw, self.rows, self.user_scores, self.seed)
        return self._process
