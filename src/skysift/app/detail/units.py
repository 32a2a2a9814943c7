"""Units of brightness with a prefix that makes the numbers short."""

from __future__ import annotations

import math

PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def shown_unit(bunit: str | None, largest: float) -> tuple[float, str]:
    """Choose a unit.

    Parameters
    ----------
    bunit : str or None
        Unit of the pixels as the header has it, such as `JY/BEAM`.
    largest : float
        Largest brightness to be shown [that unit].

    Returns
    -------
    factor : float
        What values are divided by.
    unit : str
        Of the result; "" where `bunit` is None. Only Jy and K get a prefix.
    """
    if not bunit:
        return 1.0, ""
    text = bunit.strip()
    for name in ("Jy", "K"):
        if text.lower() == name.lower() or text.lower().startswith((f"{name.lower()}/", f"{name.lower()} ")):
            rest = text[len(name) :].lower()
            factor, prefix = _prefix(abs(largest))
            return factor, f"{prefix}{name}{rest}"
    return 1.0, text


def _prefix(largest: float) -> tuple[float, str]:
    if not math.isfinite(largest) or largest <= 0:
        return PREFIXES[0]
    return next((pair for pair in PREFIXES if largest >= pair[0]), PREFIXES[-1])
