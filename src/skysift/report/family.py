"""The artifacts that a report shows: one, what it was made from, and what was made from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from skysift.store.artifact import Artifact
from skysift.store.store import Store

ID = re.compile(r"[0-9a-f]{32}")
MOST_DESCENDANTS = 24


class Family:
    """An artifact, its ancestors, and its nearest descendants with what those were made from.

    An encoder named in the options of an artifact counts as one of its parents, also where the store does not list it
    as an input.

    Parameters
    ----------
    store : Store
        Where the artifacts are.
    reference : str
        Id, unique prefix or name of the artifact in focus.

    Attributes
    ----------
    focus : Artifact
        The artifact that the report is about.
    members : dict of str to Artifact
        By id, ancestors before descendants.
    parents : dict of str to list of str
        Ids that each member was made from, those that were removed from the store among them.
    ancestors : set of str
        Ids that the focus was made from.
    names : dict of str to str
        Id -> name that people gave.
    """

    def __init__(self, store: Store, reference: str) -> None:
        self.store = store
        self.focus = store.get(reference)
        self.names = {id_: name for name, id_ in store.names().items()}
        self._all = {artifact.id: artifact for artifact in store.artifacts()}
        self._up = {id_: self._made_from(artifact) for id_, artifact in self._all.items()}
        down: dict[str, list[str]] = {}
        for id_, parents in self._up.items():
            for parent in parents:
                down.setdefault(parent, []).append(id_)
        self.ancestors = set(_walk(self.focus.id, self._up))
        chosen = [self.focus.id, *self.ancestors]
        for child in list(_walk(self.focus.id, down))[:MOST_DESCENDANTS]:
            chosen += [child, *_walk(child, self._up)]
        order = self._topological({id_ for id_ in chosen if id_ in self._all})
        self.members = {id_: self._all[id_] for id_ in order}
        self.parents = {id_: self._up[id_] for id_ in order}
        self._distance = self._distances()

    def nearest(self, *kinds: str) -> Artifact | None:
        """Return the member of one of these kinds that is fewest steps from the focus, ancestors first."""
        found = self.all(*kinds)
        return found[0] if found else None

    def all(self, *kinds: str) -> list[Artifact]:
        """Return all members of these kinds, nearest first."""
        found = [artifact for artifact in self.members.values() if artifact.kind in kinds]
        return sorted(found, key=lambda a: (self._distance.get(a.id, 10**6), a.id not in self.ancestors, a.id))

    def inputs(self, artifact: Artifact, *kinds: str) -> Artifact | None:
        """Return the first direct input of an artifact that is of one of these kinds and still there."""
        for id_ in self._up[artifact.id]:
            found = self._all.get(id_)
            if found is not None and found.kind in kinds:
                return found
        return None

    def others(self, kind: str) -> list[Artifact]:
        """Return all artifacts of a kind in the store, members or not."""
        return [artifact for artifact in self._all.values() if artifact.kind == kind]

    def upstream(self, artifact: Artifact) -> set[str]:
        """Return the ids that an artifact was made from."""
        return set(_walk(artifact.id, self._up))

    def title(self, artifact: Artifact) -> str:
        """Return an artifact's name, or the first digits of its id."""
        return self.names.get(artifact.id, artifact.id[:8])

    def _made_from(self, artifact: Artifact) -> list[str]:
        mentioned = [text for text in _strings(artifact.config) if ID.fullmatch(text) and text in self._all]
        return [id_ for id_ in dict.fromkeys([*artifact.inputs, *mentioned]) if id_ != artifact.id]

    def _topological(self, chosen: set[str]) -> list[str]:
        """Order ids so that parents come first; ties by kind and id."""
        depth: dict[str, int] = {}

        def measure(id_: str) -> int:
            if id_ not in depth:
                depth[id_] = 0
                depth[id_] = 1 + max((measure(p) for p in self._up[id_] if p in chosen), default=-1)
            return depth[id_]

        self.depth = {id_: measure(id_) for id_ in sorted(chosen)}
        return sorted(chosen, key=lambda id_: (self.depth[id_], self._all[id_].kind, id_))

    def _distances(self) -> dict[str, int]:
        near: dict[str, list[str]] = {id_: [] for id_ in self.members}
        for id_, parents in self.parents.items():
            for parent in parents:
                if parent in near:
                    near[id_].append(parent)
                    near[parent].append(id_)
        distance = {self.focus.id: 0}
        queue = [self.focus.id]
        for id_ in queue:
            for other in near[id_]:
                if other not in distance:
                    distance[other] = distance[id_] + 1
                    queue.append(other)
        return distance


def _walk(start: str, edges: dict[str, list[str]]) -> Iterator[str]:
    """Yield everything that can be reached, nearest first, without the start."""
    seen = {start}
    queue = [start]
    for id_ in queue:
        for other in edges.get(id_, []):
            if other not in seen:
                seen.add(other)
                queue.append(other)
                yield other


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
