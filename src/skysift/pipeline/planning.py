"""What a pipeline would do: ids, what exists already, and what the rest will take."""

from __future__ import annotations

from dataclasses import dataclass, field

from skysift.pipeline.definition import Pipeline, naming
from skysift.store.fields import Input, Source, as_tuple, markers
from skysift.store.sources import expand
from skysift.store.stage import Stage
from skysift.store.store import Store


@dataclass(frozen=True)
class Step:
    """One stage of a plan.

    Attributes
    ----------
    name, kind, id : str
        The stage's name in the pipeline, the kind of artifact, and the artifact's id.
    state : str
        `done`, `begun` (carries on) or `to do`.
    estimate : dict of str to float
        Any of `rows`, `disk_bytes`, `memory_bytes`, `seconds`; exact rows where it is done.
    """

    name: str
    kind: str
    id: str
    state: str
    estimate: dict[str, float] = field(default_factory=dict)


def plan(store: Store, pipeline: Pipeline) -> list[Step]:
    """Work out the ids of all stages, and estimate what the missing ones take, reading headers only."""
    ids: dict[str, str] = {}
    rows: dict[str, float] = {}
    planned: dict[str, str] = {}
    steps = []
    for name, stage in pipeline.stages.items():
        bound = bind(stage, ids)
        with naming(name):
            id_ = store.identify(bound, planned=planned)
        planned[id_] = stage.kind
        ids[name] = id_
        done = store.finished(id_, stage.kind)
        if done is not None:
            state, estimate = "done", {"rows": done.counts.get("rows", 0), "disk_bytes": done.size}
        else:
            state = "begun" if (store.partial / id_).is_dir() else "to do"
            estimate = _estimate(store, bound, rows)
        rows[id_] = float(estimate.get("rows", 0))
        steps.append(Step(name, stage.kind, id_, state, estimate))
    return steps


def bind(stage: Stage, ids: dict[str, str]) -> Stage:
    """Replace the names of other stages in a stage's inputs by their artifacts' ids."""
    update = {}
    for name, mark in markers(type(stage)).items():
        value = getattr(stage, name)
        if isinstance(mark, Input) and value is not None:
            bound = tuple(ids.get(i, i) for i in as_tuple(value))
            update[name] = bound if isinstance(value, tuple | list) else bound[0]
    return stage.model_copy(update=update)


def _estimate(store: Store, stage: Stage, rows: dict[str, float]) -> dict[str, float]:
    rows_in = 0.0
    first = next((name for name, mark in markers(type(stage)).items() if isinstance(mark, Input)), None)
    for id_ in as_tuple(getattr(stage, first)) if first is not None else ():
        rows_in += rows[id_] if id_ in rows else float(store.get(id_).counts.get("rows", 0))
    files = {
        name: expand(as_tuple(getattr(stage, name)), mark, field=name)
        for name, mark in markers(type(stage)).items()
        if isinstance(mark, Source)
    }
    return stage.estimate(int(rows_in), files)
