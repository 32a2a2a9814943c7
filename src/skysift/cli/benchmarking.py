"""The command that compares encoders."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from skysift.cli.options import OPTIONS, stage_command
from skysift.cli.registration import add
from skysift.cli.running import Running, session
from skysift.cli.stages import GROUP, stage_help
from skysift.errors import RequestError, SkysiftError
from skysift.pipeline.catalogue import stage_class

if TYPE_CHECKING:
    from skysift.cli.running import Session
    from skysift.store import Artifact

NAME = "benchmark"
FILES = ("table.md", "scores.parquet", "comparisons.parquet", "confusion.parquet")
EXAMPLES = (
    "skysift benchmark configs/benchmark-example.yaml --dry-run",
    "skysift benchmark configs/benchmark-example.yaml --out results",
    "skysift benchmark benchmark.yaml --draws 3 --set linear.max_iterations=1000",
)
EXTRA = {
    "out": Annotated[
        str | None,
        Parameter(help="Folder for the report, tables and figures (PNG and SVG).", group=OPTIONS),
    ],
    "dry_run": Annotated[bool | None, Parameter(help="Show the plan and do nothing.", negative=(), group=OPTIONS)],
}


def register(app: App) -> None:
    """Add the command."""
    cls = stage_class(NAME)
    command = stage_command(cls, benchmark, positional="config", help_text=stage_help(cls), extra=EXTRA)
    add(app, command, NAME, GROUP, examples=EXAMPLES)


def benchmark(options: dict[str, Any], running: Running | None) -> None:
    """Make what is missing of labelled sets and features, then run the benchmark."""
    from skysift.cli.pipelines import plan_table
    from skysift.pipeline import Pipeline, plan, run_pipeline

    path, out, dry_run = (options.pop(name, None) for name in ("config", "out", "dry_run"))
    where = path or "skysift benchmark"
    if not options:
        raise RequestError("skysift benchmark needs a YAML with encoders and datasets; configs/ has examples.")
    if "stages" in options:
        raise RequestError(f"{path}: this is a pipeline of stages; `skysift run {path}` takes it.")
    folder = Path(path).resolve().parent if path else Path.cwd()
    definition = Pipeline.parse({"stages": {NAME: options}}, where=where, folder=folder)
    with session(running) as active:
        steps = plan(active.store, definition)
        if dry_run:
            print(plan_table(steps))
            return

        def tell(name: str, artifact: Artifact) -> None:
            if not active.running.quiet and name != NAME:
                print(f"{name} {artifact.id}", file=sys.stderr)

        artifact = run_pipeline(definition, run=active.run, on_stage=tell)[NAME]
        if out is not None:
            _write(active, artifact, Path(out))
        active.show(artifact)


def _write(active: Session, artifact: Artifact, out: Path) -> None:
    """Leave what people read and draw from where they can find it."""
    from skysift.report import build_report

    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copyfile(artifact.path(name), out / name)
    except OSError as error:
        raise SkysiftError(f"{out}: can't be written ({error.strerror}); choose another folder with --out.") from error
    build_report(active.store, artifact.id, out / "report.html", figures=out / "figures", progress=active.progress)
