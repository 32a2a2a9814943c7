"""One browser's state: what is shown, in what order, and who looks at it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import param
from numpy.typing import NDArray

from skysift.app import address
from skysift.app.columns import words_of
from skysift.app.pictures import COLOUR_MAPS, STRETCHES
from skysift.app.ratings import COLUMNS, JUDGEMENTS
from skysift.app.survey import Survey
from skysift.errors import RequestError

Rows = NDArray[np.int64]
Filter = tuple[float, float] | frozenset[str]
MOST_TAGS, MOST_TEXT = 16, 4000
NO_ROWS: Rows = np.zeros(0, np.int64)


class Session(param.Parameterized):
    """What one browser looks at; screens watch its parameters.

    Parameters
    ----------
    survey : Survey
        Shared by all sessions of the process.
    user : str
        Who rates.

    Examples
    --------
    >>> session = Session(survey, user="ada")
    >>> session.filters = {"snr": (5.0, np.inf)}
    >>> session.sort, session.descending = "snr", True
    >>> session.shown()[:3]
    """

    user = param.String(default="", doc="Name of who rates; empty until it is known.")
    screen = param.String(default="gallery", doc="Name of the screen that is shown.")
    focus = param.Integer(default=-1, bounds=(-1, None), doc="Row that is looked at, -1 for none.")
    selection = param.Array(default=NO_ROWS, doc="Rows chosen on map, sky or gallery; empty = all.")
    marked = param.Array(default=NO_ROWS, doc="Rows ticked in the gallery for bulk actions.")
    filters = param.Dict(default={}, doc="Column -> (low, high), or a set of texts.")
    sort = param.String(default="", doc="Column to sort by; empty = order of the catalogue.")
    descending = param.Boolean(default=True, doc="Whether large values come first.")
    size = param.Integer(default=128, bounds=(32, 512), doc="Side of a thumbnail [pixel of the screen].")
    stretch = param.Selector(default="zscale", objects=list(STRETCHES), doc="How brightness is mapped.")
    contrast = param.Number(default=0.25, bounds=(0.01, 1.0), doc="Contrast of the stretch.")
    colour_map = param.Selector(default="gray", objects=list(COLOUR_MAPS), doc="Colours of the pixels.")
    rated = param.Integer(default=0, doc="Counts up whenever anybody's ratings have changed.")
    message = param.Parameter(default=None, doc="(kind, text) for the toast; kind is info or error.")
    busy = param.Boolean(default=False, doc="Whether something slow is going on.")

    def __init__(self, survey: Survey, user: str = "", **params: Any) -> None:
        super().__init__(user=user, **params)
        self.survey = survey
        self._shown: tuple[Any, Rows, Any] | None = None
        self._version = self._ledger_version()
        opened = f"{survey.title(survey.opened)}: kept"
        if survey.opened is not survey.base and opened in survey.columns:
            self.filters = {opened: (1.0, 1.0)}

    # -- what is shown -------------------------------------------------------------------------------------------

    def shown(self) -> Rows:
        """Return the rows that pass selection and filters, in order; kept until one of these changes."""
        uses_ratings = self.sort in COLUMNS or any(name in COLUMNS for name in self.filters)
        key = (
            id(self.selection),
            tuple(sorted((name, bounds) for name, bounds in self.filters.items())) if self.filters else (),
            self.sort,
            self.descending,
            self.rated if uses_ratings else 0,
            id(self.survey.columns),
        )
        if self._shown is None or self._shown[0] != key:
            # what the ids are of is kept, so that nothing new can have them
            self._shown = (key, self._find(), (self.selection, self.survey.columns))
        return self._shown[1]

    def passing(self, *, but: str = "") -> NDArray[np.bool_]:
        """Return which rows pass selection and filters, shape (N,); without one column's own filter for histograms."""
        keep = np.ones(len(self.survey), bool)
        if len(self.selection):
            keep[:] = False
            keep[self.selection] = True
        for name, bounds in self.filters.items():
            if name != but and name in self.survey.columns:
                keep &= self._passes(name, bounds)
        return keep

    def _find(self) -> Rows:
        keep = self.passing()
        if self.sort and self.sort in self.survey.columns:
            order = self.survey.columns.order(self.sort, descending=self.descending)
            return order[keep[order]]
        return np.flatnonzero(keep)

    def _passes(self, name: str, bounds: Filter) -> NDArray[np.bool_]:
        columns = self.survey.columns
        if isinstance(bounds, tuple):
            low, high = bounds
            values = columns[name]
            passes: NDArray[np.bool_] = (values >= low) & (values <= high)
            return passes
        codes, words = columns.codes(name)
        wanted = np.array([any(word in bounds for word in words_of(name, text)) for text in words], bool)
        return wanted[codes] if len(words) else np.zeros(len(self.survey), bool)

    def neighbour(self, step: int) -> int:
        """Return the row `step` places after the focus among the rows shown; the nearest there is, -1 if none."""
        rows = self.shown()
        if not len(rows):
            return -1
        place = np.flatnonzero(rows == self.focus)
        return int(rows[np.clip(place[0] + step, 0, len(rows) - 1)]) if len(place) else int(rows[0])

    def select(self, rows: Iterable[int] | Rows) -> None:
        """Choose rows, as by a lasso; none = all."""
        found = np.unique(np.asarray(list(rows) if not isinstance(rows, np.ndarray) else rows, np.int64))
        self.selection = found[(found >= 0) & (found < len(self.survey))]

    def look_at(self, row: int, *, screen: str = "detail") -> None:
        """Put a cutout in focus and show a screen."""
        self.param.update(focus=int(row), screen=screen)

    # -- ratings ---------------------------------------------------------------------------------------------------

    def rate(
        self,
        rows: int | Iterable[int],
        *,
        judgement: str | None = None,
        score: int | None = None,
        tags: Iterable[str] = (),
        comment: str = "",
        model: str = "",
    ) -> int:
        """Add ratings of this session's user to the ledger; return how many.

        Raises
        ------
        RequestError
            If the user has no name yet, or the rating is not one.
        """
        from skysift.discovery.ledger import Rating

        if not self.user:
            raise RequestError("Who rates? Give your name at the upper right first.")
        if judgement is not None and judgement not in JUDGEMENTS:
            raise RequestError(f"{judgement[:40]!r} is no judgement: choose one of {', '.join(JUDGEMENTS)}.")
        if score is not None and score not in range(6):
            raise RequestError(f"A score is 0 to 5, not {score!r:.20}.")
        named = tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
        if len(named) > MOST_TAGS or any(len(text) > MOST_TEXT for text in (*named, comment)):
            raise RequestError(f"At most {MOST_TAGS} classes and {MOST_TEXT} letters fit in a rating.")
        chosen = [rows] if isinstance(rows, int | np.integer) else list(rows)
        ratings = [
            Rating(
                cutout_id=str(self.survey.ids[row]),
                user=self.user,
                judgement=judgement,
                score=score,
                tags=named,
                comment=comment,
                model=model,
            )
            for row in chosen
        ]
        self.survey.ledger.add_many(ratings)
        self.poll()
        return len(ratings)

    def undo(self) -> Any:
        """Take back this user's latest rating; return it, None if there is none."""
        if not self.user:
            raise RequestError("Whose rating? Give your name at the upper right first.")
        undone = self.survey.ledger.undo(self.user)
        self.poll()
        return undone

    def poll(self) -> bool:
        """Notice ratings of other browsers: raise `rated` if the ledger has grown, and tell so."""
        version = self._ledger_version()
        if version == self._version:
            return False
        self._version = version
        self.survey.refresh_ratings(version)
        self.rated += 1
        return True

    def _ledger_version(self) -> int:
        return int(self.survey.ledger.version)

    # -- views -----------------------------------------------------------------------------------------------------

    def to_url(self) -> str:
        """Return the state as the query of a URL, "" where everything is at its default."""
        return address.to_query(self)

    def from_url(self, query: str) -> None:
        """Take over the state in the query of a URL; what can't be understood is left out and told."""
        address.apply(self, query)

    def tell(self, text: str, kind: str = "info") -> None:
        """Show a short text for a few seconds; kind is info or error."""
        self.message = (kind, text)

    def fail(self, error: BaseException) -> None:
        """Show what went wrong, in one sentence."""
        from skysift.errors import SkysiftError

        known = isinstance(error, SkysiftError)
        self.tell(str(error) if known else f"That did not work ({type(error).__name__}).", "error")
