"""The legend beside a figure of points, as HTML; all words are escaped."""

from __future__ import annotations

from html import escape

import numpy as np

from skysift.app.gallery.cells import written
from skysift.app.points.colouring import Category, Colouring, Density, Number, density_palette, number_palette
from skysift.app.points.picture import Picture

STYLE = """
:host { font: 13px/1.4 var(--sk-font); color: var(--sk-ink); }
h3 { margin: 0 0 2px; font-size: 13px; font-weight: 600; overflow-wrap: anywhere; }
p { margin: 0 0 10px; color: var(--sk-soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.bar { display: flex; gap: 8px; height: 180px; margin: 6px 0 12px; }
.bar i { width: 16px; border-radius: 3px; flex: none; }
.bar ol { list-style: none; margin: 0; padding: 0; position: relative; flex: 1; font-size: 12px; color: var(--sk-soft);
  font-variant-numeric: tabular-nums; }
.bar li { position: absolute; transform: translateY(50%); white-space: nowrap; }
.bar li::before { content: ""; display: inline-block; width: 5px; border-top: 1px solid var(--sk-faint);
  margin-right: 5px; vertical-align: middle; }
ul { list-style: none; margin: 6px 0 12px; padding: 0; font-size: 12px; }
ul li { display: grid; grid-template-columns: 12px 1fr auto; gap: 8px; align-items: center; padding: 1.5px 0; }
ul b { width: 11px; height: 11px; border-radius: 3px; }
ul span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
ul em { font-style: normal; color: var(--sk-soft); font-variant-numeric: tabular-nums; }
"""
TICKS = 5


def legend(colouring: Colouring, picture: Picture | None, *, things: str = "cutouts") -> str:
    """Return the legend of a picture: a colour bar with the column's name and unit, or the categories."""
    title = "Density" if isinstance(colouring, Density) else colouring.title
    if isinstance(colouring, Density):
        unit = f"{things} per pixel"
    else:
        unit = f"[{colouring.unit}]" if colouring.unit else ""
    parts = [f"<h3>{escape(title)}</h3>", f"<p>{escape(unit)}</p>" if unit else ""]
    if isinstance(colouring, Category):
        parts.append(_categories(colouring))
    elif picture is not None and isinstance(colouring, Density | Number):
        parts.append(_bar(colouring, picture))
    if picture is not None:
        parts.append(f"<p data-testid='points-in-view'>{_counts(picture, things)}</p>")
    return "".join(parts)


def _counts(picture: Picture, things: str) -> str:
    if picture.shown == picture.points:
        return f"{picture.points:,} {things} in view"
    return f"{picture.shown:,} of {picture.points:,} {things} in view"


def _categories(colouring: Category) -> str:
    rows = [
        f"<li title='{escape(name, quote=True)}'><b style='background:{colour}'></b>"
        f"<span>{escape(name)}</span><em>{count:,}</em></li>"
        for name, colour, count in colouring.legend
    ]
    note = "" if colouring.distinct else "<p>Colours repeat among clusters.</p>"
    return f"<ul>{''.join(rows)}</ul>{note if len(colouring.words) > len(rows) else ''}"


def _bar(colouring: Density | Number, picture: Picture) -> str:
    density = isinstance(colouring, Density)
    palette = density_palette() if density else number_palette()
    low, high = picture.limits
    logarithmic = colouring.scaling == "log"
    if density and high <= 1:
        return ""
    stops = ", ".join(palette[i] for i in np.linspace(0, len(palette) - 1, 16).astype(int))
    items = []
    values = ticks(low, high, logarithmic=logarithmic)
    for value in values:
        place = np.log(value / low) / np.log(high / low) if logarithmic else (value - low) / (high - low)
        items.append(f"<li style='bottom:{100 * place:.1f}%'>{escape(written(value))}</li>")
    bar = f"<i style='background:linear-gradient(to top, {stops})'></i>"
    scale = "<p>logarithmic scale</p>" if logarithmic and not density else ""
    return f"<div class='bar' data-testid='colour-bar'>{bar}<ol>{''.join(items)}</ol></div>{scale}"


def ticks(low: float, high: float, *, logarithmic: bool) -> list[float]:
    """Return round numbers between two values, for a scale; the ends themselves where there are less than two.

    Examples
    --------
    >>> ticks(0.0, 1.0, logarithmic=False)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> ticks(1.0, 200.0, logarithmic=True)
    [1.0, 10.0, 100.0]
    """
    if logarithmic:
        first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
        for factors in ((1,), (1, 3), (1, 2, 5)):
            values = [f * 10.0**power for power in range(first, last + 1) for f in factors]
            inside = [v for v in values if low * 0.999 <= v <= high * 1.001]
            if len(inside) >= 3:
                return inside[:: -(-len(inside) // (TICKS + 2))]
        return inside if len(inside) > 1 else [low, high]
    step = 10.0 ** np.floor(np.log10((high - low) / TICKS))
    step *= min((factor for factor in (1, 2, 2.5, 5, 10)), key=lambda f: abs((high - low) / (f * step) - TICKS))
    first = int(np.ceil(low / step - 1e-9))
    inside = [float(f"{i * step:.12g}") for i in range(first, int(np.floor(high / step + 1e-9)) + 1)]
    return inside if len(inside) > 1 else [low, high]
