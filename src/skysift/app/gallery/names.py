"""Columns by where they are from, for menus."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skysift.app.columns import Columns

CATALOGUE = "Catalogue"
RATINGS = "Ratings"


def grouped(columns: Columns) -> list[tuple[str, str]]:
    """Return the name and the group of each column: ratings, then the artifacts that scored, then the catalogue."""
    pairs = [(name, group_of(name)) for name in columns]
    order = {RATINGS: 0, CATALOGUE: 2}
    return sorted(pairs, key=lambda pair: order.get(pair[1], 1))


def group_of(name: str) -> str:
    """Return what a column is from."""
    head, mark, _ = name.partition(": ")
    if not mark:
        return CATALOGUE
    return RATINGS if head == "rating" else head


def short(name: str) -> str:
    """Return a column's name without what it is from."""
    return name.partition(": ")[2] or name
