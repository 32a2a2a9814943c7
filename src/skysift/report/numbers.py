"""Numbers as people write them."""

from __future__ import annotations

import math
from typing import Any


def count(value: float) -> str:
    """Return a whole number with a thin space between thousands."""
    return f"{round(value):,}".replace(",", "\u2009")


def measured(mean: float | None, error: float | None) -> str:
    """Return a value with its error, both to the error's second significant digit: 0.842 ± 0.013."""
    if mean is None:
        return "–"
    if not error or not math.isfinite(error):
        return f"{mean:.3f}"
    digits = min(max(1 - math.floor(math.log10(error)), 2), 5)
    return f"{mean:.{digits}f} ± {error:.{digits}f}"


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
    if isinstance(value, dict):
        return ", ".join(f"{key}: {plain(inner)}" for key, inner in value.items())
    return str(value)
