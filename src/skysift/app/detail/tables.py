"""What is known of a cutout, and what was said of it, as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from skysift.app.detail.place import Place, sexagesimal
from skysift.app.gallery.cells import written
from skysift.app.gallery.names import CATALOGUE, RATINGS, grouped, short

if TYPE_CHECKING:
    from skysift.app.survey import Survey

HIDDEN = ("cutout_id", "mosaic", "hdu", "plane", "x0", "y0", "width", "height", "ra", "dec", "labels")
"""Columns that are shown in words of their own."""
Lines = list[tuple[str, str, str]]


def about(survey: Survey, place: Place) -> list[tuple[str, Lines]]:
    """Return groups of (name, value with unit, explanation) of a cutout."""
    columns = survey.columns
    groups: dict[str, Lines] = {"Place": _where(survey, place), "Measured": [], "Mosaic": _mosaic(place)}
    for name, group in grouped(columns):
        if name in HIDDEN or group == RATINGS:
            continue
        unit = columns.units.get(name, "")
        if not unit and name in ("median", "rms", "peak"):
            unit = place.info.bunit or ""
        title = "Measured" if group == CATALOGUE else group
        line = (short(name), written(columns[name][place.row], unit), columns.descriptions.get(name, ""))
        groups.setdefault(title, []).append(line)
    return [(title, lines) for title, lines in groups.items() if lines]


def _where(survey: Survey, place: Place) -> Lines:
    centre = place.centre
    position = "no sky position" if centre is None else sexagesimal(*centre)
    degrees = (
        [] if centre is None else [("degrees", f"{centre[0]:.6f} {centre[1]:+.6f}", "Right ascension, declination")]
    )
    labels = survey.columns["labels"][place.row] if "labels" in survey.columns else ""
    return [
        ("cutout", place.cutout_id, "Id"),
        ("position", position, "Centre, ICRS"),
        *degrees,
        (
            "window",
            f"{place.width} × {place.height} pixels at {place.x0}, {place.y0}",
            "Size, and corner in the mosaic",
        ),
        *([("classes", labels, "Labels")] if labels else []),
    ]


def _mosaic(place: Place) -> Lines:
    info = place.info
    lines: Lines = [("file", info.path or f"{place.mosaic['mosaic'][:12]} …", "Where the cutout is from")]
    if place.mosaic["plane"] is None or info.plane:
        lines.append(("plane", str(place.plane), "Of the cube, or image of the stack"))
    if info.bmaj is not None and info.bmin is not None:
        angle = "" if info.bpa is None else f", {info.bpa:.4g}°"
        lines.append(("beam", f"{info.bmaj * 3600:.4g} × {info.bmin * 3600:.4g} arcsec{angle}", "FWHM, position angle"))
    if info.pixel_scale:
        lines.append(("pixel", f"{info.pixel_scale:.4g} arcsec", "Side"))
    if info.frequency:
        lines.append(("frequency", f"{info.frequency / 1e6:.6g} MHz", "Of the plane"))
    lines.append(("unit", info.bunit or "not known", "BUNIT"))
    return lines


def about_html(groups: Iterable[tuple[str, Lines]]) -> str:
    """Write the groups as one table; all texts are escaped."""
    rows = []
    for title, lines in groups:
        rows.append(f"<tr><th class='group' colspan='2'>{escape(title)}</th></tr>")
        rows += [
            f"<tr title='{escape(words, quote=True)}'><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value, words in lines
        ]
    return f"<table class='about' data-testid='detail-metadata'>{''.join(rows)}</table>"


def standing(history: Sequence[dict[str, Any]], user: str) -> dict[str, Any]:
    """Return the judgement, score and tags of a user that hold now, from the history of a cutout."""
    now: dict[str, Any] = {"judgement": None, "score": None, "tags": []}
    for entry in history:
        if entry["user"] != user or entry["undone"] or entry["undoes"]:
            continue
        for name in ("judgement", "score"):
            now[name] = entry[name] if entry[name] is not None else now[name]
        for tag in entry["tags"] or ():
            gone = tag.removeprefix("-")
            now["tags"] = [kept for kept in now["tags"] if kept != gone] + ([] if tag.startswith("-") else [tag])
    return now


def history_html(history: Sequence[dict[str, Any]]) -> str:
    """Write what was said of a cutout, newest first, as HTML; all texts are escaped."""
    said = [entry for entry in history if not entry["undoes"]]
    if not said:
        return "<p class='faint' data-testid='detail-history'>Nobody has rated it yet.</p>"
    rows = []
    for entry in reversed(said):
        words = [entry["judgement"] or ""]
        words += [] if entry["score"] is None else [f"score {entry['score']}"]
        words += list(entry["tags"] or ())
        text = escape(", ".join(word for word in words if word))
        comment = f"<div class='comment'>{escape(entry['comment'])}</div>" if entry["comment"] else ""
        gone = " class='undone' title='taken back'" if entry["undone"] else ""
        time = entry["time"].strftime("%Y-%m-%d %H:%M") if entry["time"] is not None else ""
        rows.append(
            f"<tr{gone}><td>{escape(entry['user'])}</td><td>{text}{comment}</td><td class='time'>{time}</td></tr>"
        )
    return f"<table class='history' data-testid='detail-history'>{''.join(rows)}</table>"
