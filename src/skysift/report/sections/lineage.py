"""What was made from what."""

from __future__ import annotations

from markupsafe import Markup, escape

from skysift.report.blocks import Code, Drawing, Section
from skysift.report.family import Family
from skysift.report.figures.style import shorten
from skysift.report.numbers import count

BOX, HEIGHT, ACROSS, DOWN = 124, 66, 28, 18
COLOURS = {
    "cutouts": "#d9ebf7",
    "merge": "#d9ebf7",
    "pack": "#d9ebf7",
    "dataset": "#d9ebf7",
    "features": "#dff3ea",
    "clusters": "#fdebd2",
    "assignment": "#fdebd2",
    "subsample": "#fbe0cf",
    "model": "#f6e1ee",
    "evaluation": "#e6e0f4",
    "benchmark": "#e6e0f4",
}


def make(family: Family) -> Section:
    """Draw the lineage as boxes from left to right, and give it as Mermaid text."""
    caption = "Each box is an artifact: kind, name or first digits of its id, rows. The one in bold is this report's."
    return Section(
        "lineage", "Lineage", [Drawing(draw(family), caption), Code(mermaid(family), "The same as Mermaid text", True)]
    )


def draw(family: Family) -> Markup:
    """Return the lineage as SVG."""
    columns: dict[int, list[str]] = {}
    for id_ in family.members:
        columns.setdefault(_column(family, id_), []).append(id_)
    tallest = max(len(ids) for ids in columns.values())
    places: dict[str, tuple[float, float]] = {}
    for depth, ids in sorted(columns.items()):
        top = (tallest - len(ids)) * (HEIGHT + DOWN) / 2
        # boxes near the mean height of their parents cross fewer lines
        ids.sort(key=lambda id_: (_mean([places[p][1] for p in family.parents[id_] if p in places]), id_))
        for number, id_ in enumerate(ids):
            places[id_] = (depth * (BOX + ACROSS) + 2, top + number * (HEIGHT + DOWN) + 2)
    width = (max(columns) + 1) * (BOX + ACROSS) - ACROSS + 4
    height = tallest * (HEIGHT + DOWN) - DOWN + 4
    parts = [
        Markup('<svg viewBox="0 0 {w} {h}" style="max-width:{w}px" role="img" aria-label="lineage graph">').format(
            w=width, h=height
        )
    ]
    for id_, (x, y) in places.items():
        for parent in family.parents[id_]:
            if parent in places:
                parts.append(_line(*places[parent], x, y))
    parts += [_box(family, id_, x, y) for id_, (x, y) in places.items()]
    return Markup("").join([*parts, Markup("</svg>")])


def mermaid(family: Family) -> str:
    """Return the lineage of the family as a Mermaid flow chart."""
    lines = ["graph LR"]
    for id_, artifact in family.members.items():
        title = family.title(artifact).replace('"', "'")
        lines.append(f'    a{id_[:12]}["{artifact.kind}<br/>{title}"]')
    for id_, parents in family.parents.items():
        lines += [f"    a{parent[:12]} --> a{id_[:12]}" for parent in parents if parent in family.members]
    return "\n".join(lines)


def _box(family: Family, id_: str, x: float, y: float) -> Markup:
    artifact = family.members[id_]
    here = id_ == family.focus.id
    rows = artifact.counts.get("rows")
    lines = [
        (artifact.kind, 14, "700"),
        (shorten(family.title(artifact), 14), 13, "700" if here else "400"),
        (f"{count(rows)} rows" if isinstance(rows, int | float) else "", 12, "400"),
    ]
    text = Markup("").join(
        Markup('<text x="{}" y="{}" font-size="{}" font-weight="{}">{}</text>').format(
            x + 10, y + 20 + 18 * number, size, weight, escape(content)
        )
        for number, (content, size, weight) in enumerate(lines)
    )
    frame = Markup(
        '<rect x="{}" y="{}" width="{}" height="{}" rx="7" fill="{}" stroke="{}" stroke-width="{}"/>'
    ).format(
        x,
        y,
        BOX,
        HEIGHT,
        COLOURS.get(artifact.kind, "#eef1f4"),
        "#1f2933" if here else "#9aa5b1",
        2.4 if here else 1,
    )
    return frame + text


def _line(x0: float, y0: float, x1: float, y1: float) -> Markup:
    a, b = x0 + BOX, y0 + HEIGHT / 2
    c, d = x1 - 5, y1 + HEIGHT / 2
    middle = (a + c) / 2
    return Markup(
        '<path d="M{0} {1} C{2} {1} {2} {3} {4} {3}" fill="none" stroke="#7b8794" stroke-width="1.4"/>'
        '<path d="M{4} {5} l7 4 l-7 4 z" fill="#7b8794"/>'
    ).format(a, b, middle, d, c, d - 4)


def _column(family: Family, id_: str) -> int:
    """Return the column of a box: its depth; what was made from files alone stands next to its first use."""
    if any(parent in family.members for parent in family.parents[id_]):
        return family.depth[id_]
    uses = [family.depth[child] for child, parents in family.parents.items() if id_ in parents]
    return min(uses) - 1 if uses else 0


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
