"""Sizes, times and measurements as people read them."""

from __future__ import annotations

import math


def size(number: float) -> str:
    """Return a number of bytes in the unit that keeps it below a thousand."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def span(seconds: float) -> str:
    """Return an age or a rough time [s] in the unit that keeps it below a hundred."""
    for unit, length, switch in (("s", 1, 100), ("min", 60, 6000), ("h", 3600, 48 * 3600)):
        if seconds < switch:
            return f"{max(seconds, 0) / length:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def clock(seconds: float) -> str:
    """Return a time [s] to the second, or to the minute from an hour on."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def measured(mean: float | None, error: float | None) -> str:
    """Return a value with its error, both to the error's second significant digit: 0.842 ± 0.013."""
    if mean is None:
        return "–"
    if not error or not math.isfinite(error):
        return f"{mean:.3f}"
    digits = min(max(1 - math.floor(math.log10(error)), 2), 5)
    return f"{mean:.{digits}f} ± {error:.{digits}f}"
