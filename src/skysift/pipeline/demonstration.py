"""The demonstration: a simulated survey through the whole chain."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from skysift.errors import RequestError
from skysift.pipeline.definition import Pipeline
from skysift.pipeline.execute import run_pipeline
from skysift.store.artifact import Artifact
from skysift.store.disk import check_writable
from skysift.store.progress import Progress
from skysift.store.stage import Stage
from skysift.store.store import Store


def run_demo(
    store: Store, out: Path, *, seed: int, run: Callable[[Stage], Artifact], progress: Progress
) -> dict[str, Artifact]:
    """Simulate a survey in `out/survey`, and run the chain of `demo.yaml` on it.

    Parameters
    ----------
    store : Store
        Where artifacts go.
    out : Path
        Folder of survey and pipeline; a survey that is complete there is used again.
    seed : int
        Of the survey.
    run : callable
        Makes one stage's artifact.
    progress : Progress
        Where to say how far it is.

    Returns
    -------
    dict of str to Artifact
        By the stages' names.
    """
    from skysift.sky.simulate import SurveyConfig, simulate

    make_folder(out)
    check_writable(store.root)
    with progress.bar(1, "simulate survey") as bar:
        simulate(out / "survey", SurveyConfig.preset("demo", seed=seed), progress=bar.update)
    definition = out / "demo.yaml"
    with resources.as_file(resources.files("skysift.pipeline") / "demo.yaml") as template:
        shutil.copyfile(template, definition)

    def tell(name: str, artifact: Artifact) -> None:
        store.name(artifact.id, f"demo-{name}", force=True)
        if not progress.quiet:
            rows = "" if artifact.rows is None else f"{artifact.rows:,} rows"
            print(f"{name:<18}{artifact.id[:12]}  {rows}", file=sys.stderr)

    return run_pipeline(Pipeline.read(definition), run=run, on_stage=tell)


def make_folder(out: Path) -> None:
    """Make the folder of survey and pipeline, if it is not there.

    Raises
    ------
    RequestError
        If it can't be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{out}: can't be written ({error.strerror}); choose another folder with --out.") from None
