"""The app's view of the ledger: ratings as columns of a survey."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from skysift.app.columns import Array, Columns

if TYPE_CHECKING:
    from skysift.app.survey import Survey

JUDGEMENTS = ("interesting", "artefact", "boring")
COLUMNS = ("rating: judgement", "rating: score", "rating: users", "rating: tags")


def open_ledger(url: str) -> Any:
    """Open the ledger of ratings at a URL or path."""
    from skysift.discovery.ledger import Ledger

    return Ledger.open(url)


def add_ratings(survey: Survey, columns: Columns) -> None:
    """Add, or make anew, the columns of ratings: latest judgement, mean score, users and their classes."""
    made: dict[str, Array] = {}

    def read(name: str) -> Array:
        if not made:
            made.update(rating_columns(survey))
        return made[name]

    about = {
        "rating: judgement": "Latest judgement of any user.",
        "rating: score": "Mean of the users' latest scores, 0 to 5.",
        "rating: users": "Users who rated it.",
        "rating: tags": "Classes that users gave it.",
    }
    for name in COLUMNS:
        text = name in ("rating: judgement", "rating: tags")
        columns.add(name, partial(read, name), text=text, description=about[name])


def rating_columns(survey: Survey) -> dict[str, Array]:
    """Return the columns of ratings, shape (N,) each, from the users' current judgements."""
    n = len(survey)
    judgement, tags = np.full(n, "", dtype=object), np.full(n, "", dtype=object)
    total, scored, users = np.zeros(n), np.zeros(n, np.int64), np.zeros(n, np.int32)
    current = survey.ledger.current()
    if current.num_rows:
        current = current.sort_by("time")
        rows = survey.rows_of(current.column("cutout_id"))
        fields = (current.column(name).to_pylist() for name in ("judgement", "score", "tags"))
        for row, judged, score, given in zip(rows.tolist(), *fields, strict=True):
            if row < 0:
                continue
            users[row] += 1
            if judged:
                judgement[row] = judged
            if score is not None:
                total[row] += score
                scored[row] += 1
            if given:
                tags[row] = ", ".join(dict.fromkeys([*filter(None, tags[row].split(", ")), *given]))
    with np.errstate(invalid="ignore"):
        score_mean = np.where(scored > 0, total / np.maximum(scored, 1), np.nan)
    return {
        "rating: judgement": judgement,
        "rating: score": score_mean,
        "rating: users": users,
        "rating: tags": tags,
    }
