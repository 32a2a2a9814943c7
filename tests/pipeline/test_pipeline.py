"""Pipelines of toy stages: order, references, plan, errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from skysift.errors import RequestError
from skysift.pipeline import Pipeline, catalogue, plan, run_pipeline
from skysift.store import Store

TWO = """
stages:
  sum:
    stage: total
    squares: [few, many]
  few: {stage: squares, count: 2}
  many:
    stage: squares
    count: 4
    files: data/*.txt
"""


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    toys = {"squares": "tests.store.toys:Squares", "total": "tests.store.toys:Total"}
    monkeypatch.setattr(catalogue, "STAGES", toys)


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("a")
    path = tmp_path / "pipeline.yaml"
    path.write_text(TWO)
    return path


def test_stages_run_in_the_order_of_their_needs(yaml: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    told: list[str] = []
    made = run_pipeline(Pipeline.read(yaml), run=store.run, on_stage=lambda name, _: told.append(name))
    assert set(told[:2]) == {"few", "many"}
    assert told[2] == "sum"
    assert made["sum"].path("total.txt").read_text() == str(0 + 1 + 0 + 1 + 4 + 9)
    assert list(made["many"].run["sources"].values()) == [str(tmp_path / "data" / "a.txt")]


def test_plan_knows_the_ids_before_anything_ran(yaml: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    pipeline = Pipeline.read(yaml)
    steps = plan(store, pipeline)
    assert [s.state for s in steps] == ["to do"] * 3
    assert not list(store.artifacts())
    made = run_pipeline(pipeline, run=store.run)
    assert {s.name: s.id for s in steps} == {name: a.id for name, a in made.items()}
    after = {s.name: s for s in plan(store, pipeline)}
    assert after["many"].state == "done"
    assert after["many"].estimate["rows"] == 4


def test_only_what_is_missing_is_done(yaml: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    run_pipeline(Pipeline.read(yaml), run=store.run)
    before = {a.id for a in store.artifacts()}
    yaml.write_text(TWO.replace("count: 2", "count: 3"))
    run_pipeline(Pipeline.read(yaml), run=store.run)
    assert len({a.id for a in store.artifacts()} - before) == 2


def test_an_input_may_be_an_artifact_that_is_there(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    first = Pipeline.parse({"stages": {"squares": {"count": 3}}})
    made = run_pipeline(first, run=store.run)["squares"]
    store.name(made.id, "mine")
    second = Pipeline.parse({"stages": {"total": {"squares": ["mine"]}}})
    assert run_pipeline(second, run=store.run)["total"].path("total.txt").read_text() == "5"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages: [a", r"bad\.yaml:1: not YAML"),
        ("stages:\n  a: {count: 2}\n  b: [", r"bad\.yaml:3: not YAML"),
        ("a: 1", "one key 'stages'"),
        ("stages: {}", "one key 'stages'"),
        ("stages: {squares: {count: 2}}\nseed: 3", "unknown key 'seed'"),
        (
            "stages:\n  x:\n    count: 2\n    stage: sqares",
            r"bad\.yaml:4: stage 'x': .* no stage 'sqares'; there are squares, total",
        ),
        (
            "stages:\n  squares:\n    cuont: 2",
            r"bad\.yaml:3: stage 'squares': unknown option 'cuont'; squares has files, count",
        ),
        (
            "stages:\n  few:\n    stage: squares\n    count: -2",
            r"bad\.yaml:4: stage 'few': count: Input should be greater than 0 \(got -2\)",
        ),
        ("stages:\n  squares:\n    count: many", r"bad\.yaml:3: stage 'squares': count: .* valid integer.*'many'"),
        ("stages:\n  squares: 3", r"bad\.yaml:2: stage 'squares' has no options"),
        ("stages:\n\n  total: {offset: 1}", r"bad\.yaml:3: stage 'total': 'squares' is missing: Squares artifacts"),
        (
            "stages: {a: {stage: total, squares: [b]}, b: {stage: total, squares: [a]}}",
            "in a circle: ",
        ),
    ],
)
def test_errors_name_the_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(RequestError, match=message) as error:
        Pipeline.read(path)
    assert "\n" not in str(error.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no such file"):
        Pipeline.read(tmp_path / "none.yaml")
