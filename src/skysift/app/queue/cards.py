"""What the queue shows of a candidate."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from skysift.app.gallery.cells import written

if TYPE_CHECKING:
    from skysift.app.queue.deck import Deck
    from skysift.app.survey import Survey

FACTS = ("snr", "peak", "rms", "complexity", "valid_fraction", "labels", "ra", "dec")
AHEAD, BEHIND = 10, 4
"""Candidates that the browser knows after and before the one shown."""


class Opinions:
    """What everybody currently says of each cutout.

    Parameters
    ----------
    survey : Survey
        Whose cutouts they are.
    table : pyarrow.Table
        `Ledger.current`.
    """

    def __init__(self, survey: Survey, table: Any) -> None:
        self._of: dict[int, list[tuple[str, str | None, int | None]]] = defaultdict(list)
        if not table.num_rows:
            return
        rows = survey.rows_of(table.column("cutout_id")).tolist()
        columns = (table.column(name).to_pylist() for name in ("user", "judgement", "score"))
        for row, user, judgement, score in zip(rows, *columns, strict=True):
            if row >= 0 and (judgement is not None or score is not None):
                self._of[row].append((user, judgement, score))

    def of(self, row: int, user: str) -> tuple[list[str], list[list[str]]]:
        """Return what a user says of a row, and who else says what."""
        mine: list[str] = []
        others: list[list[str]] = []
        for who, judgement, score in self._of.get(row, ()):
            words = [text for text in (judgement, None if score is None else str(score)) if text]
            if who == user:
                mine = words
            else:
                others.append([who, ", ".join(words)])
        return mine, sorted(others)


def card(survey: Survey, row: int, rank: int, score: str, opinions: Opinions, user: str) -> dict[str, Any]:
    """Describe a candidate: id, rank, facts, what this user said of it and what others did."""
    mine, others = opinions.of(row, user)
    return {
        "id": str(survey.ids[row]),
        "rank": rank,
        "facts": facts(survey, row, score),
        "given": mine,
        "mine": ", ".join(mine),
        "said": others,
    }


def facts(survey: Survey, row: int, score: str) -> list[list[str]]:
    """Return names and values of what is known of a cutout, its score first."""
    found = []
    for name in dict.fromkeys((score, *FACTS)):
        if name not in survey.columns:
            continue
        value = survey.columns[name][row]
        if not value if isinstance(value, str) else not np.isfinite(float(value)):
            continue
        digits = f"{float(value):.5f}°" if name in ("ra", "dec") else written(value, survey.units.get(name, ""))
        found.append([name.replace("_", " "), digits])
    return found


def line(survey: Survey, deck: Deck, score: str, opinions: Opinions, user: str) -> tuple[list[dict[str, Any]], int]:
    """Return the candidates that the browser is to know, in order, and which of them is shown."""
    if deck.current < 0:
        return [], 0
    behind = deck.behind(BEHIND)
    rows = [*behind, deck.current, *deck.upcoming(AHEAD)]
    return [card(survey, row, deck.rank_of(row), score, opinions, user) for row in rows], len(behind)
