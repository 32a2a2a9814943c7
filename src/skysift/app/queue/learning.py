"""Ordering the queue: by a static score, and by what was learnt from ratings."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from skysift.app.queue.progress import Said, foresight
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.app.survey import Survey

Rows = NDArray[np.int64]
Curve = tuple[list[int], list[float], list[float]]
CATALOGUE_ORDER = "order of the catalogue"
PREFERRED = (": ensemble", ": isolation-forest", ": knn")
_learners: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
_lock = threading.Lock()


@dataclass(frozen=True)
class Request:
    """What the queue is to be ordered by.

    Attributes
    ----------
    column : str
        Static score, higher first.
    kind : str
        Acquisition: `astronomaly` or `expected-improvement`.
    explore : float
        0 = more of what was liked, 1 = what is unlike all that was rated.
    learn : bool
        Whether to learn from the ratings; otherwise the static score alone decides.
    """

    column: str
    kind: str = "astronomaly"
    explore: float = 0.5
    learn: bool = False


@dataclass(frozen=True)
class Ranking:
    """All rows in order, and what they were ordered by.

    Attributes
    ----------
    order : array (N,) int64
        Best first; ratings play no part in the order of a static score.
    model : str
        Stands in the ratings given under this order.
    rated : int
        Cutouts learnt from.
    seconds : float
        Time that learning and ordering took.
    """

    order: Rows
    model: str
    rated: int = 0
    seconds: float = 0.0


def score_columns(survey: Survey) -> list[str]:
    """Return the columns that the queue can be ordered by: scores of rankings first, the default at the front."""
    numbers = [name for name in survey.columns.numbers if not name.startswith("rating: ")]
    titles = tuple(f"{title}: " for title in survey.anomalies)
    scores = [name for name in numbers if name.startswith(titles) and not name.endswith((": rank", "_raw"))]
    scores = [name for name in scores if name.split(": ")[-1] not in ("group", "group_size", "candidate")]
    first = [name for ending in PREFERRED for name in scores if name.endswith(ending)]
    others = [name for name in ("complexity", "snr", "peak") if name in numbers]
    return list(dict.fromkeys([*first, *scores, *others, CATALOGUE_ORDER]))


def static_order(survey: Survey, column: str) -> Rows:
    """Return all rows by a column, the highest first."""
    if column == CATALOGUE_ORDER or column not in survey.columns:
        return np.arange(len(survey))
    return survey.columns.order(column, descending=True)


def rank(survey: Survey, request: Request, said: Said, tell: Callable[[str], None] = lambda _: None) -> Ranking:
    """Order all rows as requested.

    Raises
    ------
    RequestError
        If there are no features to learn from.
    """
    start = time.monotonic()
    if not request.learn or not len(said):
        return Ranking(static_order(survey, request.column), "")
    tell("Reading features …")
    learner = copy.copy(learner_of(survey, request.column))
    tell(f"Learning from {len(np.unique(said.rows)):,} rated cutouts …")
    taught = said.taught
    learner.fit(taught.rows, taught.scores, taught.artefact_rows)
    value = learner.acquisition(request.kind, request.explore)
    order = np.lexsort((-learner.raw, -value)).astype(np.int64)
    n = len(taught.rows) + len(taught.artefact_rows)
    return Ranking(order, f"{request.kind} {request.explore:g} after {n}", n, time.monotonic() - start)


def learner_of(survey: Survey, column: str) -> Any:
    """Return the learner of a survey and a static score without any rating; it is made once a process."""
    from skysift.discovery.active import Learner

    if survey.features is None:
        raise RequestError("Learning needs features of these cutouts: run `skysift features` and open them.")
    with _lock:
        known = _learners.setdefault(survey, {})
        key = f"{survey.base.id} {column}"
        if key not in known:
            known[key] = Learner(survey.features.array, static_scores(survey, column))
        return known[key]


def static_scores(survey: Survey, column: str) -> NDArray[np.float64]:
    """Return a static score for each row, the lowest where a column has none."""
    if column == CATALOGUE_ORDER or column not in survey.columns:
        return -np.arange(len(survey), dtype=np.float64)
    values = np.asarray(survey.columns[column], np.float64)
    good = np.isfinite(values)
    return np.where(good, values, values[good].min(initial=0.0) - 1.0)


def learning_curve(survey: Survey, request: Request, said: Said) -> Curve:
    """Return how well each block of ratings was foreseen; see `foresight`."""
    learner = learner_of(survey, request.column)
    return foresight(learner.space, learner.raw, said)


class Trainer:
    """Orders a queue in a thread of its own; of requests that come meanwhile the newest is done next.

    Parameters
    ----------
    survey : Survey
        Shared with other browsers.
    deliver : callable
        Is given a function to call where the page lives, as `Document.add_next_tick_callback` does.
    tell : callable
        Is told what goes on, "" at the end.
    done : callable
        Is given the request, and the ranking or the exception.
    curve : callable
        Is given the learning curve, once the ranking is out.
    """

    def __init__(
        self,
        survey: Survey,
        deliver: Callable[[Callable[[], None]], object],
        tell: Callable[[str], None],
        done: Callable[[Request, Ranking | Exception], None],
        curve: Callable[[Curve], None],
    ) -> None:
        self._survey, self._deliver, self._tell, self._done, self._curve = survey, deliver, tell, done, curve
        self._next: tuple[Request, Said] | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether it works."""
        return self._thread is not None

    def start(self, request: Request, said: Said) -> None:
        """Ask for a ranking."""
        with self._lock:
            self._next = (request, said)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="skysift-queue", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                job, self._next = self._next, None
                if job is None:
                    self._thread = None
                    break
            self._order(*job)
        self._say("")

    def _order(self, request: Request, said: Said) -> None:
        result: Ranking | Exception
        try:
            result = rank(self._survey, request, said, self._say)
        except Exception as error:  # noqa: BLE001 - the page shows it
            result = error
        self._deliver(lambda: self._done(request, result))
        if request.learn and isinstance(result, Ranking):
            self._say("Drawing the learning curve …")
            found = learning_curve(self._survey, request, said)
            self._deliver(lambda: self._curve(found))

    def _say(self, text: str) -> None:
        self._deliver(lambda: self._tell(text))
