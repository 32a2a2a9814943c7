"""What the curation screen shows of a plan, as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from skysift.app.curation.plan import Node, Plan, Rows
from skysift.curation.sampling.pool import Chosen
from skysift.curation.stages import Subsample

MOST_CARDS, MOST_MEMBERS, PICTURES = 60, 240, 4


def node_of(text: object) -> Node | None:
    """Return the node of a text like 2:14; None for the whole set.

    Raises
    ------
    ValueError
        If it is no such text.
    """
    if text is None or text == "":
        return None
    level, _, cluster = str(text).partition(":")
    return int(level), int(cluster)


def written(node: Node) -> str:
    """Return the text of a node."""
    return f"{node[0]}:{node[1]}"


def tree_state(
    plan: Plan, node: Node | None, kept: list[Rows], quotas: dict[Node, int], chosen: Chosen
) -> dict[str, Any]:
    """Describe an opened cluster: the path to it, and the clusters or the members within."""
    crumbs: list[list[str | None]] = [["All cutouts", None]]
    crumbs += [[f"cluster {written(n)}", written(n)] for n in plan.trail(node)]
    state: dict[str, Any] = {
        "crumbs": crumbs,
        "view": written(node) if node else "",
        "nodes": [],
        "members": [],
        "most": 1,
    }
    if node is not None and node[0] == 1:
        members = plan.members(node)
        held = set(chosen.rows.tolist())
        shown = members[:MOST_MEMBERS]
        state["members"] = [{"id": str(plan.survey.ids[r]), "kept": int(r) in held} for r in shown]
        state["note"] = _count(len(shown), len(members), "members", "nearest to the centroid first; kept ones framed")
        return state
    children = plan.children(node)
    shown_nodes = children[:MOST_CARDS]
    # clusters with a quota stay in sight however small they are
    shown_nodes += [n for n in children[MOST_CARDS:] if n in quotas]
    state["nodes"] = [_card(plan, n, kept, quotas) for n in shown_nodes]
    state["most"] = max((plan.sizes[level - 1][cluster] for level, cluster in children), default=1)
    state["most"] = int(state["most"])
    state["note"] = _count(len(shown_nodes), len(children), "clusters", "the largest first")
    return state


def why_state(plan: Plan, row: int, chosen: Chosen, request: Subsample) -> dict[str, Any]:
    """Describe why a cutout is kept, or is not."""
    why = plan.why(row, chosen, request)
    finest = why.steps[-1]
    place = (
        f"Number {why.rank:,} of {finest.size:,} by distance from the centroid ({why.distance:.3g}); "
        f"quality {why.weight:.2f}."
    )
    steps = [asdict(step) for step in why.steps]
    return {"id": str(plan.survey.ids[row]), "kept": why.kept, "sentence": why.sentence, "steps": steps, "place": place}


def _card(plan: Plan, node: Node, kept: list[Rows], quotas: dict[Node, int]) -> dict[str, Any]:
    level, cluster = node
    return {
        "node": written(node),
        "size": int(plan.sizes[level - 1][cluster]),
        "kept": int(kept[level - 1][cluster]),
        "quota": quotas.get(node),
        "ids": [str(plan.survey.ids[row]) for row in plan.exemplars(node, PICTURES)],
        "inner": len(plan.children(node)),
    }


def _count(shown: int, total: int, what: str, how: str) -> str:
    return f"{total:,} {what}, {how}" if shown == total else f"{shown:,} of {total:,} {what}, {how}"
