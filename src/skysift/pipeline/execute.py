"""Running a pipeline: stage after stage, each only if its artifact is missing."""

from __future__ import annotations

from collections.abc import Callable

from skysift.pipeline.definition import Pipeline, located
from skysift.pipeline.planning import bind
from skysift.store.artifact import Artifact
from skysift.store.stage import Stage


def run_pipeline(
    pipeline: Pipeline,
    *,
    run: Callable[[Stage], Artifact],
    on_stage: Callable[[str, Artifact], None] | None = None,
) -> dict[str, Artifact]:
    """Return the artifacts of all stages, by the stages' names.

    Parameters
    ----------
    pipeline : Pipeline
        What to make.
    run : callable
        Makes one stage's artifact: `Store.run`, or a partial of it with engine and progress.
    on_stage : callable, optional
        Told of each finished stage.
    """
    made: dict[str, Artifact] = {}
    for name, stage in pipeline.stages.items():
        with located(pipeline.place(name)):
            made[name] = run(bind(stage, {n: a.id for n, a in made.items()}))
        if on_stage is not None:
            on_stage(name, made[name])
    return made
