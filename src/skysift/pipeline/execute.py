"""Running a pipeline: stage after stage, each only if its artifact is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skysift.pipeline.definition import Pipeline
from skysift.pipeline.plan import bind
from skysift.store.artifact import Artifact
from skysift.store.store import Store


def run_pipeline(
    store: Store,
    pipeline: Pipeline,
    *,
    on_stage: Callable[[str, Artifact], None] | None = None,
    **options: Any,
) -> dict[str, Artifact]:
    """Return the artifacts of all stages, by the stages' names.

    Parameters
    ----------
    store : Store
        Where artifacts are kept.
    pipeline : Pipeline
        What to make.
    on_stage : callable, optional
        Told of each finished stage.
    **options
        As for `Store.run`: engine, progress, device, should_stop.
    """
    made: dict[str, Artifact] = {}
    for name, stage in pipeline.stages.items():
        artifact = store.run(bind(stage, {n: a.id for n, a in made.items()}), **options)
        made[name] = artifact
        if on_stage is not None:
            on_stage(name, artifact)
    return made
