"""Where an artifact comes from and what was made from it."""

from __future__ import annotations

from skysift.store.artifact import Artifact
from skysift.store.store import Store


def ancestors(store: Store, reference: str) -> dict[str, Artifact | None]:
    """Return all artifacts that one was made from, nearest first; None for those that were removed."""
    found: dict[str, Artifact | None] = {}
    queue = list(_parents(store.get(reference, damaged=True)))
    known = {a.id: a for a in store.artifacts(damaged=True)}
    while queue:
        id_ = queue.pop(0)
        if id_ in found:
            continue
        artifact = found[id_] = known.get(id_)
        if artifact is not None:
            queue.extend(_parents(artifact))
    return found


def descendants(store: Store, reference: str) -> dict[str, Artifact]:
    """Return all artifacts that were made from one, nearest first."""
    children: dict[str, list[Artifact]] = {}
    for artifact in store.artifacts():
        for parent in artifact.inputs:
            children.setdefault(parent, []).append(artifact)
    found: dict[str, Artifact] = {}
    queue = list(children.get(store.get(reference, damaged=True).id, []))
    while queue:
        artifact = queue.pop(0)
        if artifact.id not in found:
            found[artifact.id] = artifact
            queue.extend(children.get(artifact.id, []))
    return found


def tree(store: Store, reference: str) -> str:
    """Draw the lineage as text: what it was made from above, what was made from it below."""
    artifact = store.get(reference, damaged=True)
    names = {i: n for n, i in store.names().items()}
    known = {a.id: a for a in store.artifacts(damaged=True)}
    parents = {a.id: list(_parents(a)) for a in known.values()}
    children: dict[str, list[str]] = {}
    for other in known.values():
        for parent in parents[other.id]:
            children.setdefault(parent, []).append(other.id)

    def label(id_: str) -> str:
        kind = known[id_].kind if id_ in known else "(removed)"
        damaged = " (damaged)" if id_ in known and known[id_].damage else ""
        return f"{kind} {id_[:12]}" + (f" ({names[id_]})" if id_ in names else "") + damaged

    def walk(id_: str, edges: dict[str, list[str]], indent: str) -> list[str]:
        lines = []
        following = edges.get(id_, [])
        for number, other in enumerate(following):
            last = number == len(following) - 1
            lines.append(f"{indent}{'└─' if last else '├─'} {label(other)}")
            lines += walk(other, edges, indent + ("   " if last else "│  "))
        return lines

    lines = [label(artifact.id)]
    up = walk(artifact.id, parents, "  ")
    down = walk(artifact.id, children, "  ")
    roots = "  made from source files" if artifact.damage is None else "  made from what its manifest does not tell"
    lines += ["  made from:", *up] if up else [roots]
    lines += ["  gave:", *down] if down else []
    return "\n".join(lines)


def mermaid(store: Store, reference: str) -> str:
    """Draw the lineage as a Mermaid flow chart."""
    artifact = store.get(reference, damaged=True)
    family: dict[str, Artifact | None] = {artifact.id: artifact, **ancestors(store, artifact.id)}
    family |= descendants(store, artifact.id)
    names = {i: n for n, i in store.names().items()}
    lines = ["graph TD"]
    for id_, member in family.items():
        kind = member.kind if member is not None else "removed"
        lines.append(f'    {_node(id_)}["{names.get(id_, kind)}<br/>{kind} {id_[:8]}"]')
    for id_, member in family.items():
        if member is not None:
            lines += [f"    {_node(parent)} --> {_node(id_)}" for parent in _parents(member) if parent in family]
    return "\n".join(lines)


def _parents(artifact: Artifact) -> tuple[str, ...]:
    """Return the ids that an artifact was made from, none where its manifest is damaged."""
    return artifact.inputs if artifact.damage is None else ()


def _node(id_: str) -> str:
    return f"a{id_[:12]}"
