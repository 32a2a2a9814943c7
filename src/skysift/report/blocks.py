"""What a section of the report consists of; the template turns each block into HTML and escapes its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A figure as a `data:` address, with what it shows in words."""

    type: ClassVar[str] = "picture"
    uri: str
    caption: str
    alt: str
    width: float
    """Width at which it is shown [inch of 96 CSS pixels]."""
    figure: Figure | None = field(default=None, compare=False, repr=False)
    """What it was drawn from, to be saved in other formats."""


@dataclass(frozen=True)
class Table:
    """A table of texts; columns of numbers are named so that they are set flush right."""

    type: ClassVar[str] = "table"
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    numbers: frozenset[int] = frozenset()
    """Indices of the columns that hold numbers."""


@dataclass(frozen=True)
class Code:
    """Text to be copied."""

    type: ClassVar[str] = "code"
    text: str
    caption: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Note:
    """A paragraph."""

    type: ClassVar[str] = "note"
    text: str
    warning: bool = False


@dataclass(frozen=True)
class Drawing:
    """Inline SVG whose texts are escaped already."""

    type: ClassVar[str] = "drawing"
    svg: Markup
    caption: str = ""


Block = Picture | Table | Code | Note | Drawing


@dataclass(frozen=True)
class Section:
    """A titled part of the page."""

    key: str
    title: str
    blocks: list[Block] = field(default_factory=list)
