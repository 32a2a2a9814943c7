"""Whole chains: run, report, demo."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Group, Parameter

from skysift.cli.inspection import Reference
from skysift.cli.registration import add
from skysift.cli.running import Running, StoreOption, open_store, session
from skysift.readable import size, span

if TYPE_CHECKING:
    from skysift.pipeline import Step
    from skysift.store import Artifact

GROUP = Group("Chains", sort_key=2)
NOTES = {"≤": "≤ at most, since some may be left out", "~": "~ about"}
"""What the marks in a plan mean."""


def register(app: App) -> None:
    """Add the commands."""
    for function, name in ((run, "run"), (report, "report"), (demo, "demo")):
        add(app, function, name, GROUP)


def run(
    pipeline: Annotated[Path, Parameter(help="YAML of named stages.")],
    *,
    dry_run: Annotated[bool, Parameter(help="Show the plan and do nothing.", negative=())] = False,
    running: Running | None = None,
) -> None:
    """Run a YAML of named stages, doing only what is missing.

    Prints a line a stage: its name and the id of its artifact; with --json the manifests by name.

    Examples
    --------
        skysift run pipeline.yaml --dry-run
        skysift run pipeline.yaml
    """
    from skysift.pipeline import Pipeline, plan, run_pipeline

    definition = Pipeline.read(pipeline)
    with session(running) as active:
        steps = plan(active.store, definition)
        if dry_run:
            print(plan_table(steps))
            return

        def tell(name: str, artifact: Artifact) -> None:
            if not active.running.json:
                print(f"{name} {artifact.id}", flush=True)

        made = run_pipeline(definition, run=active.run, on_stage=tell)
        if active.running.json:
            print(_manifests(made))


def report(
    reference: Reference,
    *,
    out: Annotated[Path | None, Parameter(help="The page. [default: report-ID.html]")] = None,
    figures: Annotated[Path | None, Parameter(help="Folder for the page's figures as PNG and SVG too.")] = None,
    store: StoreOption = None,
    quiet: Annotated[bool, Parameter(help="Show no progress.", negative=())] = False,
    debug: Annotated[bool, Parameter(help="Show the traceback of an error.", negative=())] = False,  # noqa: ARG001
) -> None:
    """Write one self-contained HTML page on an artifact and its lineage; prints its path.

    Examples
    --------
        skysift report 77aa
        skysift report 77aa --out results.html --figures figures
    """
    from skysift.report import build_report
    from skysift.store.progress import Progress

    opened = open_store(store)
    artifact = opened.get(reference)
    page = out or Path(f"report-{artifact.id[:12]}.html")
    print(build_report(opened, artifact.id, page, figures=figures, progress=Progress(quiet=quiet)))


def demo(
    *,
    out: Annotated[Path, Parameter(help="Folder for the survey, the store and the report.")] = Path("skysift-demo"),
    seed: Annotated[int, Parameter(help="Seed of every random choice.")] = 0,
    running: Running | None = None,
) -> None:
    """Simulate a small survey and take it through the whole chain; ends by naming the report.

    Prints the report's path; with --json the manifests by stage's name.

    Examples
    --------
        skysift demo
        skysift demo --out /tmp/demo --seed 3
    """
    from skysift.pipeline import make_folder, run_demo
    from skysift.report import build_report

    options = running or Running()
    if options.store is None:
        make_folder(out)
        options = Running(**{**vars(options), "store": str(out / "store")})
    with session(options) as active:
        made = run_demo(active.store, out, seed=seed, run=active.run, progress=active.progress)
        page = build_report(active.store, made["score"].id, out / "report.html", progress=active.progress)
    print(f"The report is {page.resolve().as_uri()}", file=sys.stderr)
    print(_manifests(made) if options.json else page)


def _manifests(made: dict[str, Artifact]) -> str:
    return json.dumps({name: artifact.manifest for name, artifact in made.items()}, indent=1)


def plan_table(steps: list[Step]) -> str:
    """Return a plan as a table of text, a line a stage."""
    width = max(16, 1 + max(len(step.name) for step in steps))
    lines = [f"{'STAGE':<{width}}{'KIND':<16}{'ID':<14}{'STATE':<8}{'ROWS':>12}{'DISK':>11}{'MEMORY':>11}{'TIME':>10}"]
    for step in steps:
        estimate = step.estimate
        seconds = estimate.get("seconds")
        lines.append(
            f"{step.name:<{width}}{step.kind:<16}{step.id[:12]:<14}{step.state:<8}"
            f"{_rows(step):>12}"
            f"{_size(estimate.get('disk_bytes')):>11}{_size(estimate.get('memory_bytes')):>11}"
            f"{'' if step.state == 'done' else '?' if seconds is None else span(seconds):>10}"
        )
    marks = {_rows(step)[:1] for step in steps}
    lines += [note for mark, note in NOTES.items() if mark in marks]
    return "\n".join(lines)


def _rows(step: Step) -> str:
    """Write the rows of a step, marked where they are not known exactly."""
    rows = step.estimate.get("rows")
    if rows is None:
        return ""
    mark = "" if step.exact else "≤ " if step.most == int(rows) else "~ "
    return f"{mark}{rows:,.0f}"


def _size(value: float | None) -> str:
    return "" if value is None else size(value)
