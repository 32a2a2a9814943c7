"""The state of a session as the query of a URL, and as a saved view."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skysift.app.survey import CUTOUT_ID
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.app.session import Session

SHORT = {
    "screen": "screen",
    "sort": "sort",
    "descending": "descending",
    "size": "size",
    "stretch": "stretch",
    "contrast": "contrast",
    "colour_map": "cmap",
}
"""Parameter of a session -> its name in a URL, for those whose value is written as it is."""
MOST_SELECTED_IN_URL = 40
MOST_SELECTED_IN_VIEW = 100_000
MOST_QUERY = 8192


class View(BaseModel):
    """A saved state, checked: what a URL or a file of views may say."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    screen: str | None = Field(None, max_length=32, pattern=r"^[a-z]+$")
    focus: str | None = Field(None, pattern=r"^[0-9a-f]{16}$")
    sort: str | None = Field(None, max_length=200)
    descending: bool | None = None
    size: int | None = Field(None, ge=32, le=512)
    stretch: str | None = Field(None, max_length=32)
    contrast: float | None = Field(None, ge=0.01, le=1)
    cmap: str | None = Field(None, max_length=32)
    filters: dict[str, Any] = Field(default_factory=dict, max_length=40)
    selection: tuple[str, ...] = Field((), max_length=MOST_SELECTED_IN_VIEW)


def to_view(session: Session, *, most_selected: int = MOST_SELECTED_IN_VIEW) -> dict[str, Any]:
    """Return what differs from the defaults, as plain values for JSON."""
    defaults = {name: session.param[name].default for name in SHORT}
    view: dict[str, Any] = {
        short: getattr(session, name) for name, short in SHORT.items() if getattr(session, name) != defaults[name]
    }
    if session.focus >= 0:
        view["focus"] = str(session.survey.ids[session.focus])
    if session.filters:
        view["filters"] = {
            name: [_finite(b) for b in bounds] if isinstance(bounds, tuple) else {"in": sorted(bounds)}
            for name, bounds in session.filters.items()
        }
    if 0 < len(session.selection) <= most_selected:
        view["selection"] = [str(i) for i in session.survey.ids[session.selection]]
    return view


def to_query(session: Session) -> str:
    """Return the state as `?screen=map&sort=snr`, "" where everything is at its default."""
    view = to_view(session, most_selected=MOST_SELECTED_IN_URL)
    words = {
        name: json.dumps(value, separators=(",", ":")) if isinstance(value, dict | list) else _word(value)
        for name, value in view.items()
    }
    return f"?{urlencode(words)}" if words else ""


def apply(session: Session, query: str) -> None:
    """Take over the state in a query; parts that are not understood are left out, and the user is told."""
    raw: dict[str, Any] = {}
    try:
        for name, values in parse_qs(query.lstrip("?")[:MOST_QUERY], max_num_fields=40).items():
            raw[name] = json.loads(values[-1]) if name in ("filters", "selection") else values[-1]
        apply_view(session, raw)
    except (ValueError, RecursionError, RequestError):
        session.tell("This address holds a view that can't be read; the usual one is shown.", "error")


def apply_view(session: Session, raw: dict[str, Any]) -> None:
    """Take over a saved state.

    Raises
    ------
    RequestError
        If it is none.
    """
    try:
        view = View.model_validate(raw)
    except ValidationError:
        raise RequestError("That view can't be read: save it again.") from None
    state: dict[str, Any] = {name: session.param[name].default for name in SHORT}
    for name, short in SHORT.items():
        value = getattr(view, short)
        allowed = getattr(session.param[name], "objects", None)
        if value is not None and (not allowed or value in allowed):
            state[name] = value
    if state["sort"] not in session.survey.columns:
        state["sort"] = session.param["sort"].default
    survey = session.survey
    state["filters"] = {
        name: bounds
        for name, value in view.filters.items()
        if name in survey.columns and (bounds := _bounds(value, text=survey.columns.is_text(name))) is not None
    }
    rows = (
        survey.rows_of([i for i in view.selection if CUTOUT_ID.fullmatch(i)])
        if view.selection
        else np.zeros(0, np.int64)
    )
    state["selection"] = np.unique(rows[rows >= 0])
    state["focus"] = -1 if view.focus is None else int(survey.rows_of([view.focus])[0])
    session.param.update(**state)


def _bounds(value: Any, *, text: bool) -> Any:
    """Return a filter from its JSON form, None where it is none."""
    if text and isinstance(value, dict) and isinstance(value.get("in"), list):
        return frozenset(word for word in value["in"] if isinstance(word, str))
    if not text and isinstance(value, list) and len(value) == 2:
        ends = [math.nan if isinstance(b, bool | str | list | dict) else b for b in value]
        low, high = (-math.inf if ends[0] is None else ends[0], math.inf if ends[1] is None else ends[1])
        return None if math.isnan(low) or math.isnan(high) else (float(low), float(high))
    return None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
