"""Curation: what a plan keeps is what the stage keeps, and why."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from skysift.app.curation.plan import Plan, Step, say, tidy
from skysift.app.curation.view import node_of, tree_state, why_state
from skysift.app.session import Session
from skysift.app.survey import Survey
from skysift.curation.stages import Subsample
from skysift.errors import RequestError
from skysift.report.commands import request_command
from skysift.store.store import Store


@pytest.fixture
def own(own_store: Path, tmp_path: Path) -> Survey:
    """A survey whose store may be written to."""
    return Survey(Store(own_store), "brightness", ledger=str(tmp_path / "own.sqlite"))


@pytest.fixture
def plan(survey: Survey) -> Plan:
    return Plan(survey, next(iter(survey.clusters.values())))


def test_the_tree_from_the_top_down(plan: Plan) -> None:
    top = plan.children(None)
    assert {level for level, _ in top} == {2}
    sizes = [plan.sizes[1][cluster] for _, cluster in top]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == len(plan)
    for node in top:
        inside = plan.children(node)
        assert sum(plan.sizes[0][cluster] for _, cluster in inside) == plan.sizes[1][node[1]]
        assert all(plan.trail(child) == [node, child] for child in inside)
    assert plan.children(inside[0]) == []


def test_members_are_those_of_the_cluster_nearest_first(plan: Plan) -> None:
    for node in (*plan.children(None), *plan.children(plan.children(None)[0])):
        members = plan.members(node)
        assert sorted(members) == np.flatnonzero(plan.paths[:, node[0] - 1] == node[1]).tolist()
        assert (np.diff(plan.distances[members]) >= 0).all()


def test_exemplars_come_from_different_clusters(plan: Plan) -> None:
    node = plan.children(None)[0]
    leaves = plan.children(node)
    found = plan.exemplars(node, 4)
    assert len(set(found)) == 4
    assert set(found) <= set(plan.members(node).tolist())
    assert len(set(plan.paths[found, 0].tolist())) == min(4, len(leaves))
    assert found[0] == plan.members(leaves[0])[0]


@pytest.mark.parametrize("quotas", [(), ("2:0=3",), ("1:1=2", "2:0=0")])
@pytest.mark.parametrize("leaf", ["random", "closest"])
def test_a_plan_keeps_what_the_stage_keeps(own: Survey, quotas: tuple[str, ...], leaf: str) -> None:
    plan = Plan(own, own.store.get("tree"))
    request = plan.request(40, quotas, leaf=leaf, seed=2)
    chosen = plan.choose(request)
    made = own.store.run(request)
    rows = pq.read_table(made.path("selection.parquet")).column("row").to_numpy()
    np.testing.assert_array_equal(chosen.rows, rows)
    assert [counts.sum() for counts in plan.kept(chosen)] == [40, 40]


def test_why_names_what_decided(plan: Plan) -> None:
    node = plan.children(None)[0]
    request = plan.request(40, tidy({node: 2}), leaf="closest")
    chosen = plan.choose(request)
    kept = plan.kept(chosen)
    for row in range(len(plan)):
        why = plan.why(row, chosen, request)
        assert why.kept == (row in chosen.rows)
        assert [s.level for s in why.steps] == [2, 1]
        assert why.sentence.startswith("Kept" if why.kept else "Left out")
        for step in why.steps:
            assert plan.paths[row, step.level - 1] == step.cluster
            assert step.kept == kept[step.level - 1][step.cluster]
            assert step.quota == (2 if (step.level, step.cluster) == node else None)
        # of a cluster that takes the nearest, those ranked up to its share are kept
        assert why.kept == (why.rank <= why.steps[-1].kept)


def test_sentences() -> None:
    top, leaf = Step(2, 1, 80, 20, None, 4), Step(1, 7, 30, 8, None, 3)
    assert say([top, leaf], 5, "closest", kept=True) == (
        "Kept: cluster 1:7 gives 8 of 30 as its share, the nearest to its centroid; this one is number 5."
    )
    assert say([top, leaf], 30, "furthest", kept=True).endswith("the furthest from its centroid; this one is number 1.")
    assert say([top, leaf], 9, "random", kept=False).endswith("at random by quality, and this one was not drawn.")
    assert say([top, Step(1, 7, 5, 5, None, 3)], 2, "random", kept=True) == (
        "Kept: cluster 1:7 gives all 5 that it holds."
    )
    assert say([Step(2, 1, 80, 0, 0, 4), Step(1, 7, 30, 0, None, 3)], 1, "random", kept=False) == (
        "Left out: cluster 2:1 has the quota 0."
    )
    pinned = Step(1, 7, 30, 8, 8, 3)
    assert "as its quota" in say([top, pinned], 5, "random", kept=True)


def test_states_are_plain_values(plan: Plan) -> None:
    import json

    request = plan.request(40)
    chosen = plan.choose(request)
    kept = plan.kept(chosen)
    state = tree_state(plan, None, kept, {plan.children(None)[1]: 3}, chosen)
    assert json.loads(json.dumps(state)) == state
    assert [card["quota"] for card in state["nodes"]][:2] == [None, 3]
    assert sum(card["kept"] for card in state["nodes"]) == 40
    assert all(len(card["ids"]) == 4 for card in state["nodes"] if card["size"] >= 4)
    leaf = plan.children(plan.children(None)[0])[0]
    members = tree_state(plan, leaf, kept, {}, chosen)["members"]
    assert sum(m["kept"] for m in members) == kept[0][leaf[1]]
    assert json.dumps(why_state(plan, 0, chosen, request))
    assert node_of("2:14") == (2, 14)
    assert node_of(None) is None


def test_the_command_says_the_request(plan: Plan) -> None:
    request = plan.request(40, ("2:1=3", "1:0=1"), leaf="closest")
    words = shlex.split(request_command(request))
    assert words == [
        *("skysift", "subsample", "--clusters", plan.clusters.id, "--target-size", "40"),
        *("--leaf", "closest", "--quotas", "1:0=1,2:1=3"),
    ]


class Page:
    """The screen without a browser."""

    def __init__(self, session: Session) -> None:
        from skysift.app.screens.curation import CurationScreen

        self.session = session
        self.screen = CurationScreen(session)
        self.screen.panel()
        self.screen.visited()

    def control(self, name: str, value: Any = True) -> None:
        self.screen._controlled({"name": name, "value": value})

    @property
    def cards(self) -> dict[str, dict[str, Any]]:
        return {card["node"]: card for card in self.screen._view.state["nodes"]}

    def number(self, name: str) -> str:
        return next(item["text"] for item in self.screen._numbers.items if item["name"] == name)


def test_sliders_pin_and_release_quotas(session: Session) -> None:
    page = Page(session)
    page.control("target", "60")
    assert page.number("kept").startswith("60 of ")
    node = next(iter(page.cards))
    page.screen._received({"quota": node, "value": 31})
    assert (page.cards[node]["kept"], page.cards[node]["quota"]) == (31, 31)
    assert sum(card["kept"] for card in page.cards.values()) == 60
    assert page.number("quotas") == "1 quota"
    assert "--quotas " + node + "=31" in page.screen._why.command
    page.screen._received({"release": node})
    assert page.cards[node]["quota"] is None
    assert page.number("quotas") == ""


def test_what_cannot_be_had_is_told_and_changes_nothing(session: Session) -> None:
    page = Page(session)
    before = page.screen._request
    for name, value in (("target", "0"), ("target", "many"), ("target", "999999"), ("seed", "1e400"), ("leaf", "odd")):
        page.control(name, value)
    page.screen._received({"quota": next(iter(page.cards)), "value": 10**9})  # no more than it holds: beyond the target
    for message in (
        {"open": "9:0"},
        {"open": "1:99999"},
        {"open": "../x"},
        {"why": "x"},
        {"quota": "2:0", "value": "y"},
    ):
        page.screen._received(message)
    assert page.screen._request == before
    assert session.message[0] == "error"


def test_drill_down_to_members_and_why(session: Session) -> None:
    page = Page(session)
    node = next(iter(page.cards))
    page.screen._received({"open": node})
    leaf = next(iter(page.cards))
    assert leaf.startswith("1:")
    page.screen._received({"open": leaf})
    members = page.screen._view.state["members"]
    page.screen._received({"why": members[0]["id"]})
    assert page.screen._why.why["id"] == members[0]["id"]
    assert page.screen._why.why["kept"] == members[0]["kept"]
    assert str(session.survey.ids[session.focus]) == members[0]["id"]
    page.screen._received({"look": members[0]["id"]})
    assert session.screen == "detail"


def test_saving_makes_the_artifact_of_the_request(own: Survey) -> None:
    page = Page(Session(own, user="vera"))
    page.control("target", "50")
    page.screen._received({"quota": next(iter(page.cards)), "value": 5})
    page.control("name", "my-curation")
    page.control("save")
    page.screen._thread.join(60)
    made = own.store.get("my-curation")
    assert made.kind == "subsample"
    assert made.rows == 50
    assert Subsample.model_validate(made.config) == page.screen._request
    assert made.id == own.store.identify(page.screen._request)
    assert "my-curation" in own.subsamples
    assert made.id[:12] in page.session.message[1]
    assert own.columns["my-curation: kept"].sum() == 50


def test_without_a_tree_the_screen_says_what_to_run(small_store: Any, tmp_path: Path) -> None:
    from skysift.app.screens.curation import CurationScreen

    plain = Survey(small_store.store, small_store.cutouts.id, ledger=str(tmp_path / "l.sqlite"))
    shown = CurationScreen(Session(plain)).panel()
    assert "skysift cluster" in shown.object


def test_a_target_beyond_the_set_is_refused(plan: Plan) -> None:
    with pytest.raises(RequestError, match="larger than the set"):
        plan.choose(plan.request(10**6))
