"""Put the page together."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skysift.errors import SkysiftError
from skysift.report.blocks import Picture, Section
from skysift.report.family import Family
from skysift.report.figures.style import save_figure
from skysift.report.numbers import plain

if TYPE_CHECKING:
    from skysift.store.progress import Progress
    from skysift.store.store import Store

SECTIONS = (
    "lineage",
    "footprint",
    "selection",
    "clusters",
    "training",
    "embedding",
    "anomalies",
    "evaluation",
    "classification",
    "mislabels",
    "benchmark",
    "reproduce",
    "versions",
)


def build_report(
    store: Store, artifact_id: str, out: Path, *, figures: Path | None = None, progress: Progress | None = None
) -> Path:
    """Write one self-contained HTML page about an artifact.

    Parameters
    ----------
    store : Store
        Where the artifact is.
    artifact_id : str
        Its id, a unique prefix of it, or its name.
    out : Path
        The file to write, or an existing folder to write `report-KIND-ID.html` into.
    figures : Path, optional
        A folder for the page's figures as files too, `SECTION-WHAT.png` and `.svg`.
    progress : Progress, optional
        Where progress is shown.

    Returns
    -------
    Path
        The page. It needs no other file and no network.

    Raises
    ------
    RequestError
        If there is no such artifact.
    SkysiftError
        If the page can't be written.
    """
    family = Family(store, artifact_id)
    out = Path(out)
    if out.is_dir():
        out = out / f"report-{family.focus.kind}-{family.focus.id[:12]}.html"
    sections: list[Section] = []
    names = SECTIONS if progress is None else progress.track(SECTIONS, total=len(SECTIONS), label="report")
    for name in names:
        section = importlib.import_module(f"skysift.report.sections.{name}").make(family)
        if section is not None:
            sections.append(section)
    page = render(family, sections)
    partial = out.with_name(f".{out.name}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(page, encoding="utf-8")
        partial.replace(out)
    except OSError as error:
        raise SkysiftError(f"{out}: the report can't be written ({error.strerror}); choose another file.") from error
    if figures is not None:
        _save_figures(sections, Path(figures))
    return out


def _save_figures(sections: list[Section], folder: Path) -> None:
    taken: Counter[str] = Counter()
    for section in sections:
        for block in section.blocks:
            if not isinstance(block, Picture) or block.figure is None:
                continue
            name = f"{section.key}-" + re.sub(r"[^a-z0-9]+", "-", block.alt.lower()).strip("-")
            taken[name] += 1
            name += f"-{taken[name]}" if taken[name] > 1 else ""
            try:
                folder.mkdir(parents=True, exist_ok=True)
                save_figure(block.figure, folder / f"{name}.png")
                save_figure(block.figure, folder / f"{name}.svg")
            except OSError as error:
                raise SkysiftError(
                    f"{folder}: figures can't be written ({error.strerror}); choose another folder."
                ) from error


def render(family: Family, sections: list[Section]) -> str:
    """Return the page as HTML; the template escapes every text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("skysift.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    focus = family.focus
    counts = sorted(focus.counts.items(), key=lambda item: item[0] != "rows")
    facts: dict[str, Any] = {name.replace("_", " "): plain(value) for name, value in counts}
    return environment.get_template("report.html.j2").render(
        kind=focus.kind, title=family.title(focus), id=focus.id, facts=facts, sections=sections
    )
