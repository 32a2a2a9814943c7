"""Entries that stand for several stages, sources by name, and errors that say which stage they are about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skysift.errors import RequestError, Stopped
from skysift.pipeline import Pipeline, catalogue, plan, run_pipeline
from skysift.store import Store
from tests.store.toys import Total


class Twice(Total):
    """Two squares entries and their total."""

    @classmethod
    def entries(cls, name: str, options: dict[str, Any], *, where: str, others: Any) -> dict[str, dict[str, Any]]:
        counts = options.pop("counts")
        parts = {f"{name}/{count}": {"stage": "squares", "count": count} for count in counts}
        return {**parts, name: {**options, "squares": list(parts)}}


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    toys = {"squares": "tests.store.toys:Squares", "twice": "tests.pipeline.test_entries:Twice"}
    monkeypatch.setattr(catalogue, "STAGES", toys)


def test_an_entry_may_stand_for_several(tmp_path: Path) -> None:
    store = Store(tmp_path)
    pipeline = Pipeline.parse({"stages": {"a": {"stage": "twice", "counts": [2, 3]}}})
    assert list(pipeline.stages) == ["a/2", "a/3", "a"]
    assert pipeline.needs("a") == ["a/2", "a/3"]
    made = run_pipeline(pipeline, run=store.run)
    assert made["a"].path("total.txt").read_text() == str(1 + 1 + 4)


@pytest.mark.parametrize("order", [("a/2", "a"), ("a", "a/2")])
def test_a_name_is_taken_once(order: tuple[str, str]) -> None:
    entries = {"a": {"stage": "twice", "counts": [2]}, "a/2": {"stage": "squares"}}
    with pytest.raises(RequestError, match="stage 'a': there is a stage 'a/2' already"):
        Pipeline.parse({"stages": {name: entries[name] for name in order}})


def test_errors_of_a_run_and_a_plan_name_the_stage(tmp_path: Path) -> None:
    pipeline = Pipeline.parse({"stages": {"some": {"stage": "squares", "files": "/nowhere/x.txt"}}})
    store = Store(tmp_path)
    for attempt in (lambda: run_pipeline(pipeline, run=store.run), lambda: plan(store, pipeline)):
        with pytest.raises(RequestError, match=r"^pipeline: stage 'some': .*x\.txt"):
            attempt()

    def stop(_: object) -> Any:
        raise Stopped("by SIGTERM")

    with pytest.raises(Stopped, match=r"^by SIGTERM$"):
        run_pipeline(pipeline, run=stop)
