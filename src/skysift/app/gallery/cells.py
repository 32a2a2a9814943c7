"""What the grid shows of each cutout, and which are marked after a click."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from skysift.app.session import Session

Rows = NDArray[np.int64]
MOST_CELLS = 2000
"""Cells that are sent at once."""


def cells(session: Session, rows: Rows, marked: Rows, first: int, count: int) -> list[dict[str, Any]]:
    """Describe the cutouts at some places of the grid.

    Parameters
    ----------
    session : Session
        Whose sort column is under the pictures.
    rows : ndarray, shape (n,)
        Rows of the survey in the grid's order.
    marked : ndarray
        Rows that are marked, sorted.
    first, count : int
        Which places; those outside the grid are left out.

    Returns
    -------
    list of dict
        id, row, text (caption), title (under the mouse), marked, focus, judgement, score.
    """
    begin = max(0, first)
    chosen = rows[begin : begin + min(max(0, count), MOST_CELLS)]
    survey = session.survey
    columns = survey.columns
    sort = session.sort if session.sort in columns else ""
    flags = is_marked(chosen, marked)
    judgements, scores = columns["rating: judgement"][chosen], columns["rating: score"][chosen]
    values = columns[sort][chosen] if sort else None
    unit = survey.units.get(sort, "")
    found = []
    for place, row in enumerate(chosen.tolist()):
        cutout = str(survey.ids[row])
        value = "" if values is None else written(values[place], unit)
        found.append(
            {
                "id": cutout,
                "row": row,
                "text": value if sort else cutout[:8],
                "title": f"{cutout}\n{sort}: {value}" if sort else cutout,
                "marked": bool(flags[place]),
                "focus": row == session.focus,
                "judgement": str(judgements[place]),
                "score": None if np.isnan(scores[place]) else f"{float(scores[place]):.2g}",
            }
        )
    return found


def written(value: Any, unit: str = "") -> str:
    """Write a value of a column for people: four significant digits, and the unit if there is one."""
    if isinstance(value, str):
        return value or "–"
    number = float(value)
    if not np.isfinite(number):
        return "–"
    whole = number == round(number) and abs(number) < 1e7
    text = f"{int(number):,}" if whole else f"{number:.4g}"
    return f"{text.replace('e-0', 'e-').replace('e+0', 'e')} {unit}".strip()


def is_marked(rows: Rows, marked: Rows) -> NDArray[np.bool_]:
    """Tell which rows are among the marked ones (sorted), without looking at all of these."""
    if not len(marked):
        return np.zeros(len(rows), bool)
    place = np.minimum(np.searchsorted(marked, rows), len(marked) - 1)
    return np.asarray(marked[place] == rows)


def marks_after(rows: Rows, marked: Rows, place: int, anchor: int, *, shift: bool = False, ctrl: bool = False) -> Rows:
    """Return the marked rows, sorted, after a click.

    Parameters
    ----------
    rows : ndarray, shape (n,)
        Rows in the grid's order.
    marked : ndarray
        Marked before, sorted; those that the grid does not show stay marked with ctrl alone.
    place, anchor : int
        Where the click is, and where the last one without shift was (-1 = none).
    shift, ctrl : bool
        Shift marks all from the anchor to here; with ctrl, in addition to the others. Ctrl alone turns one mark over.
        Neither marks this one only.
    """
    if not 0 <= place < len(rows):
        return marked
    if shift:
        low, high = sorted((place, anchor if 0 <= anchor < len(rows) else place))
        chosen = rows[low : high + 1]
        return np.union1d(marked, chosen) if ctrl else np.sort(chosen)
    if ctrl:
        return np.setxor1d(marked, rows[place : place + 1])
    return rows[place : place + 1].copy()
