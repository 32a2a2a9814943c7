"""Plans: rows that are known, bounds that are marked, requests that can't be carried out, an untouched disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest

from skysift.cli.pipelines import plan_table
from skysift.curation.stages import Assign, Cluster, Subsample
from skysift.errors import RequestError
from skysift.evaluation.stages import Classify
from skysift.pipeline import Pipeline, Step, catalogue, plan, run_pipeline
from skysift.store import Input, Stage, Store
from tests.store.toys import Squares

ID = "0" * 32


class Even(Stage):
    """Keep the even squares; a plan knows only how many come in."""

    kind: ClassVar[str] = "squares"
    squares: Annotated[str, Input("squares")]
    at_least: int = 0
    others: Annotated[str | None, Input("squares")] = None

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:
        return {"rows": rows_in, "rows_at_most": rows_in}

    def check_rows(self, rows_in: int) -> None:
        if rows_in < self.at_least:
            raise RequestError(f"{self.at_least} are more than the {rows_in} that there are; ask for fewer.")

    def run(self, context: Any) -> dict[str, Any]:
        numbers = [int(n) for n in context.input(self.squares).path("squares.txt").read_text().split()]
        even = [n for n in numbers if n % 2 == 0]
        (context.folder / "squares.txt").write_text("".join(f"{n}\n" for n in even))
        return {"rows": len(even)}


class Few(Even):
    """Keep as many as are asked for."""

    kind: ClassVar[str] = "squares"
    version: ClassVar[int] = 7
    rows_from: ClassVar[str | None] = "others"

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:
        return {"rows": self.at_least}


class Model(Even):
    """Make something of cutouts that has no rows."""

    kind: ClassVar[str] = "model"

    def run(self, context: Any) -> dict[str, Any]:
        super().run(context)
        return {"cutouts": 4} if self.at_least else {}


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    here = "tests.pipeline.test_planning"
    toys = {"squares": "tests.store.toys:Squares", "even": f"{here}:Even", "few": f"{here}:Few"}
    monkeypatch.setattr(catalogue, "STAGES", {**toys, "model": f"{here}:Model"})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def planned(store: Store, **stages: dict[str, Any]) -> dict[str, Step]:
    return {step.name: step for step in plan(store, Pipeline.parse({"stages": stages}))}


CHAIN: dict[str, dict[str, Any]] = {
    "squares": {"count": 8},
    "even": {"squares": "squares"},
    "two": {"stage": "few", "squares": "even", "others": "even", "at_least": 2},
}


def test_rows_are_exact_or_a_bound(store: Store) -> None:
    assert [step.most for step in planned(store, **CHAIN).values()] == [None, None, 2], (
        "what squares gives is not known"
    )
    store.run(Squares())
    steps = planned(store, **CHAIN)
    assert [(s.most, s.exact) for s in steps.values()] == [(8, True), (8, False), (2, True)]
    run_pipeline(Pipeline.parse({"stages": {k: CHAIN[k] for k in ("squares", "even")}}), run=store.run)
    steps = planned(store, **CHAIN)
    assert [(s.state, s.most, s.exact) for s in steps.values()] == [
        ("done", 8, True),
        ("done", 4, True),
        ("to do", 2, True),
    ]


def test_too_few_rows_are_refused_where_even_the_bound_is_too_low(store: Store) -> None:
    chain = {**CHAIN, "two": {**CHAIN["two"], "at_least": 9}}
    assert planned(store, **chain)["two"].state == "to do", "nothing is known yet"
    store.run(Squares())
    says = r"stage 'two': 9 are more than the 8 that there are; ask for fewer \(8 is the most that even can have\)\."
    with pytest.raises(RequestError, match=says):
        planned(store, **chain)
    chain["two"]["at_least"] = 5
    assert planned(store, **chain)["two"].state == "to do"
    run_pipeline(Pipeline.parse({"stages": {k: chain[k] for k in ("squares", "even")}}), run=store.run)
    with pytest.raises(RequestError, match=r"5 are more than the 4 that there are; ask for fewer\.$"):
        planned(store, **chain)


def test_rows_come_from_the_input_that_is_worked_on(store: Store) -> None:
    many, few = store.run(Squares(count=9)), store.run(Squares(count=3))
    with pytest.raises(RequestError, match="4 are more than the 3"):
        planned(store, two={"stage": "few", "squares": many.id, "others": few.id, "at_least": 4})
    planned(store, two={"stage": "few", "squares": few.id, "others": many.id, "at_least": 4})
    assert Assign(clusters="a", features="b").row_ids() == ("b",)
    assert Classify(model="a", cutouts="b").row_ids() == ("b",)
    assert Cluster(features="b").row_ids() == ("b",)


def test_two_stages_may_ask_for_the_same(store: Store) -> None:
    steps = planned(
        store, a={"stage": "squares", "count": 3}, b={"stage": "squares", "count": 3}, even={"squares": "a"}
    )
    assert list(steps) == ["a", "b", "even"]
    assert steps["a"].id == steps["b"].id


def test_what_has_no_rows_shows_none(store: Store) -> None:
    chain = {"squares": {"count": 8}, "plain": {"stage": "model", "squares": "squares"}}
    chain["counted"] = {**chain["plain"], "at_least": 1}
    run_pipeline(Pipeline.parse({"stages": chain}), run=store.run)
    steps = planned(store, **chain)
    assert (steps["plain"].most, steps["counted"].most) == (None, 4)
    head, *lines = plan_table(list(steps.values())).splitlines()
    end = head.index("ROWS") + 4
    rows = {line.split()[0]: line[end - 12 : end].strip() for line in lines}
    assert rows == {"squares": "8", "plain": "", "counted": "4"}


def test_marks_are_explained() -> None:
    steps = [
        Step("a", "x", ID, "to do", {"rows": 1200, "rows_at_most": 1200}, exact=False),
        Step("b", "x", ID, "to do", {"rows": 1200, "rows_at_most": 2400}, exact=False),
        Step("c", "x", ID, "to do", {"rows": 1200}),
    ]
    lines = plan_table(steps).splitlines()
    assert [line.split()[5:-1] for line in lines[1:4]] == [["≤", "1,200"], ["~", "1,200"], ["1,200"]]
    assert lines[4:] == ["≤ at most, since some may be left out", "~ about"]
    assert len(plan_table(steps[2:]).splitlines()) == 2


@pytest.mark.parametrize("reference", ["featurez", "beef", "0123456789abcdef" * 2])
def test_an_input_that_is_nowhere(reference: str, tmp_path: Path, store: Store) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(f"stages:\n  squares:\n    count: 2\n\n  even:\n    at_least: 1\n    squares: '{reference}'\n")
    says = (
        rf"^{path}:7: stage 'even': squares: no stage '{reference}' here \(squares\), and no artifact '{reference}' in "
    )
    with pytest.raises(RequestError, match=says) as error:
        plan(store, Pipeline.read(path))
    assert "\n" not in str(error.value)


def test_errors_of_work_name_the_place(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RequestError("this mosaic is empty")

    monkeypatch.setattr(Squares, "run", refuse)
    path = tmp_path / "p.yaml"
    path.write_text("stages:\n  squares: {count: 2}\n")
    with pytest.raises(RequestError, match=rf"^{path}:2: stage 'squares': this mosaic is empty$"):
        run_pipeline(Pipeline.read(path), run=store.run)


def test_planning_leaves_the_disk_alone(tmp_path: Path, store: Store) -> None:
    (tmp_path / "a.txt").write_text("a")
    path = tmp_path / "p.yaml"
    path.write_text("stages:\n  squares: {files: '*.txt'}\n  even: {squares: squares}\n")
    before = {p: p.stat().st_mtime_ns for p in [tmp_path, *tmp_path.rglob("*")]}
    plan(store, Pipeline.read(path))
    assert {p: p.stat().st_mtime_ns for p in [tmp_path, *tmp_path.rglob("*")]} == before


def test_stages_of_curation_check_their_rows() -> None:
    cluster = Cluster(features="a", levels=(40, 8))
    cluster.check_rows(40)
    with pytest.raises(RequestError, match="levels 40,8: level 1 asks for 40 clusters of the 39 points"):
        cluster.check_rows(39)
    subsample = Subsample(clusters="a", target_size=30)
    subsample.check_rows(30)
    with pytest.raises(RequestError, match="target size 30 is larger than the set of 29 cutouts; ask for at most 29"):
        subsample.check_rows(29)
    Subsample(clusters="a", target_size=30, repeats=True).check_rows(2)
