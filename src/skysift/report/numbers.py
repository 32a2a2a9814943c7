"""Numbers as people write them."""

from __future__ import annotations

from typing import Any


def count(value: float) -> str:
    """Return a whole number with a thin space between thousands."""
    return f"{round(value):,}".replace(",", "\u2009")


def plain(value: Any) -> str:
    """Return a count, score or option as text."""
    if isinstance(value, bool) or value is None:
        return str(value).lower() if value is not None else "–"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(plain(v) for v in value)
    if isinstance(value, dict) and value.get("name"):
        rest = plain({key: inner for key, inner in value.items() if key != "name"})
        return f"{value['name']} ({rest})" if rest else str(value["name"])
    if isinstance(value, dict):
        return ", ".join(f"{key}: {plain(inner)}" for key, inner in value.items())
    return str(value)
