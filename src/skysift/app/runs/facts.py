"""Artifacts of a store as plain values for the page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from skysift.errors import SkysiftError
from skysift.readable import size, span
from skysift.report.blocks import Block, Code, Drawing, Note, Picture, Section, Table
from skysift.report.commands import command_name, script
from skysift.report.family import Family
from skysift.report.numbers import count, plain
from skysift.report.sections import evaluation, lineage, training
from skysift.store.artifact import Artifact
from skysift.store.store import Store

_DRAWING = threading.Lock()
"""matplotlib's settings are the process's, so one thread draws at a time."""
MOST_TEXT = 400


def listed(store: Store) -> list[dict[str, Any]]:
    """Return one entry an artifact, newest first: id, kind, name, rows, size, created (as text and as a number)."""
    names = {id_: name for name, id_ in store.names().items()}
    found = sorted(store.artifacts(damaged=True), key=lambda a: (-a.created, a.id))
    return [_entry(artifact, names) for artifact in found]


def _entry(artifact: Artifact, names: dict[str, str]) -> dict[str, Any]:
    damaged = artifact.damage is not None
    rows = None if damaged else artifact.rows
    return {
        "id": artifact.id,
        "kind": artifact.kind,
        "name": names.get(artifact.id, ""),
        "rows": -1 if rows is None else rows,
        "rows_text": "–" if rows is None else count(rows),
        "bytes": 0 if damaged else artifact.size,
        "size_text": "damaged" if damaged else size(artifact.size),
        "created": artifact.created,
        "created_text": f"{datetime.fromtimestamp(artifact.created, UTC):%Y-%m-%d %H:%M}",
    }


def about(store: Store, id_: str) -> dict[str, Any]:
    """Return what is known about an artifact at once: a title, facts and options as pairs of texts, its warnings."""
    artifact = store.get(id_)
    names = {i: name for name, i in store.names().items()}
    made = artifact.run
    facts = [
        ["Id", artifact.id],
        ["Made", f"{datetime.fromtimestamp(artifact.created, UTC):%Y-%m-%d %H:%M:%S} UTC by {command_name(artifact)}"],
        ["Took", span(float(made["seconds"]))],
        ["Files", f"{len(artifact.manifest['files'])}, {size(artifact.size)}"],
        *([name.replace("_", " "), _cut(plain(value))] for name, value in artifact.counts.items()),
    ]
    options = [
        [name, _cut(plain(value))] for name, value in artifact.config.items() if value is not None and value != []
    ]
    return {
        "id": artifact.id,
        "title": names.get(artifact.id, f"{artifact.kind} {artifact.id[:8]}"),
        "kind": artifact.kind,
        "facts": facts,
        "options": options,
        "warnings": [_cut(str(warning)) for warning in made["warnings"]],
    }


def sections(store: Store, id_: str) -> list[dict[str, Any]]:
    """Return what takes longer: lineage, curves and scores, and the commands that make it again.

    Each section is `{title, blocks}`; a block is a table, picture, drawing (SVG, its texts escaped), code or note.
    """
    family = Family(store, id_)
    kind = family.focus.kind
    makers: list[tuple[str, Callable[[], Section | None]]] = [
        ("Lineage", lambda: Section("lineage", "Lineage", [Drawing(lineage.draw(family))])),
    ]
    if kind == "model":
        makers.append(("Training", lambda: training.make(family)))
    if kind in ("model", "evaluation"):
        makers.append(("Evaluation", lambda: evaluation.make(family)))
    makers.append(("Make it again", lambda: Section("reproduce", "Make it again", [Code(script(family))])))
    found = []
    for title, make in makers:
        section = _made(title, make)
        if section is not None:
            found.append({"title": section.title, "blocks": list(_plain_blocks(section.blocks))})
    return found


def _made(title: str, make: Callable[[], Section | None]) -> Section | None:
    """Make a section; one that can't be made says so, and the others still appear."""
    try:
        with _DRAWING:
            return make()
    except (SkysiftError, OSError, ValueError, KeyError) as error:
        known = isinstance(error, SkysiftError)
        text = str(error) if known else f"This can't be shown ({type(error).__name__}): run `skysift verify`."
        return Section(title.lower(), title, [Note(text, warning=True)])


def _plain_blocks(blocks: list[Block]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        if isinstance(block, Picture):
            yield {"type": "picture", "uri": block.uri, "caption": block.caption, "alt": block.alt}
        elif isinstance(block, Table):
            rows = [[str(cell) for cell in row] for row in block.rows]
            header, numbers = list(block.header), sorted(block.numbers)
            yield {"type": "table", "header": header, "rows": rows, "caption": block.caption, "numbers": numbers}
        elif isinstance(block, Drawing):
            yield {"type": "drawing", "svg": str(block.svg), "caption": block.caption}
        elif isinstance(block, Code):
            yield {"type": "code", "text": block.text, "caption": block.caption}
        else:
            yield {"type": "note", "text": block.text, "warning": block.warning}


def _cut(text: str) -> str:
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"
