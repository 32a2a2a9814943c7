"""What a pipeline would do: ids, what exists already, and what the rest will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from skysift.errors import RequestError
from skysift.pipeline.definition import Pipeline, located
from skysift.store.artifact import Artifact
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
        Any of `rows`, `rows_at_most`, `disk_bytes`, `memory_bytes`, `seconds`.
    exact : bool
        Whether `rows` is known; if not, it is an estimate, and `rows_at_most` or else itself the bound.
    """

    name: str
    kind: str
    id: str
    state: str
    estimate: dict[str, float] = field(default_factory=dict)
    exact: bool = True

    @property
    def most(self) -> int | None:
        """The most rows that it can have, None where they are not counted."""
        bound = self.estimate.get("rows_at_most", self.estimate.get("rows"))
        return None if bound is None else int(bound)


def plan(store: Store, pipeline: Pipeline) -> list[Step]:
    """Work out the ids of all stages, and estimate what the missing ones take, reading headers only.

    Nothing is written.

    Raises
    ------
    RequestError
        If a request can't be carried out: an input is not there, or has too few rows for what is asked.
    """
    steps: list[Step] = []
    for name, stage in pipeline.stages.items():
        ids = {step.name: step.id for step in steps}
        _check_inputs(store, pipeline, name, ids)
        with located(pipeline.place(name)):
            bound = bind(stage, ids)
            id_ = store.identify(bound, planned={step.id: step.kind for step in steps})
            steps.append(_step(store, name, bound, id_, {step.id: step for step in steps}))
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


def _check_inputs(store: Store, pipeline: Pipeline, name: str, ids: dict[str, str]) -> None:
    """Check that each input of a stage names an earlier stage or an artifact."""
    stage = pipeline.stages[name]
    for option, mark in markers(type(stage)).items():
        for reference in as_tuple(getattr(stage, option)) if isinstance(mark, Input) else ():
            if reference in ids:
                continue
            with located(f"{pipeline.place(name, option)}: {option}"):
                try:
                    store.get(reference)
                except RequestError as error:
                    others = ", ".join(other for other in pipeline.stages if other != name) or "no other"
                    raise RequestError(f"no stage {reference!r} here ({others}), and {_lower(str(error))}") from None


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _step(store: Store, name: str, stage: Stage, id_: str, before: Mapping[str, Step]) -> Step:
    """Return a stage's step, its inputs bound, and those that it needs planned before."""
    done = store.finished(id_, stage.kind)
    if done is not None:
        return _done(name, done)
    inputs = [before[i] if i in before else _done(i, store.get(i)) for i in stage.row_ids()]
    exact = all(step.exact for step in inputs)
    most = sum(step.most or 0 for step in inputs)
    if all(step.most is not None for step in inputs):
        _check_rows(stage, most, [step.name for step in inputs if not step.exact])
    files = {
        option: expand(as_tuple(getattr(stage, option)), mark, field=option)
        for option, mark in markers(type(stage)).items()
        if isinstance(mark, Source)
    }
    estimate = stage.estimate(int(sum(step.estimate.get("rows", 0) for step in inputs)), files)
    if not exact:
        least, largest = (_most_rows(stage.estimate(rows, files)) for rows in (min(1, most), most))
        exact = least == largest
        estimate = estimate if exact else {**estimate, "rows_at_most": largest}
    exact = exact and "rows_at_most" not in estimate
    if not estimate.get("rows"):
        estimate = {key: value for key, value in estimate.items() if not key.startswith("rows")}
    state = "begun" if (store.partial / id_).is_dir() else "to do"
    return Step(name, stage.kind, id_, state, estimate, exact)


def _done(name: str, artifact: Artifact) -> Step:
    rows = {} if artifact.rows is None else {"rows": float(artifact.rows)}
    return Step(name, artifact.kind, artifact.id, "done", {**rows, "disk_bytes": float(artifact.size)})


def _most_rows(estimate: Mapping[str, float]) -> float:
    return estimate.get("rows_at_most", estimate.get("rows", 0.0))


def _check_rows(stage: Stage, rows: int, inexact: list[str]) -> None:
    """Let the stage refuse the rows that come in; where they are a bound, the error says so."""
    try:
        stage.check_rows(rows)
    except RequestError as error:
        if not inexact:
            raise
        more = f"{rows:,} is the most that {' and '.join(inexact)} can have"
        raise RequestError(f"{str(error).rstrip('.')} ({more}).") from None
