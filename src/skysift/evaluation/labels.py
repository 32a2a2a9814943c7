"""From the label lists of a catalogue to one class index a sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skysift.datasets.labels import natural_order
from skysift.errors import RequestError

NONE = -1
SEVERAL = -2


@dataclass(frozen=True)
class ClassSet:
    """The classes of a task, in a fixed order, and the labels that belong to each.

    Attributes
    ----------
    names : tuple of str
        Class index -> name.
    members : dict of str to int
        Label -> class index. Other labels are not part of the task.
    """

    names: tuple[str, ...]
    members: dict[str, int]

    def __len__(self) -> int:
        return len(self.names)

    def assign(self, labels: Iterable[Sequence[str] | None]) -> NDArray[np.int64]:
        """Return each sample's class index; -1 where it has no class of the task, -2 where it has several."""
        found = []
        for entry in labels:
            hits = {self.members[label] for label in entry or () if label in self.members}
            found.append(hits.pop() if len(hits) == 1 else SEVERAL if hits else NONE)
        return np.array(found, dtype=np.int64)


def class_set(
    labels: Iterable[Sequence[str] | None], wanted: Sequence[str] = (), order: Sequence[str] = ()
) -> ClassSet:
    """Fix the classes of a task from the whole data set, never from a split of it.

    Parameters
    ----------
    labels : iterable of list of str or None
        The label lists of all samples.
    wanted : sequence of str
        `NAME` takes the label of that name; `NAME=LABEL+LABEL+...` makes one class of several labels. Their
        order is the order of the class indices. Empty: every label.
    order : sequence of str
        The data set's own order of its classes, for an empty `wanted`; they are kept also where none occurs. Labels
        that are not in it follow in natural order.

    Returns
    -------
    ClassSet

    Raises
    ------
    RequestError
        If there are fewer than two classes, a label is in two classes, a name is given twice, or a label does
        not occur.
    """
    occurring = Counter(label for entry in labels for label in entry or ())
    groups: dict[str, list[str]] = {}
    every = [*order, *sorted(set(occurring) - set(order), key=natural_order)]
    for text in wanted or every:
        name, equals, rest = text.partition("=") if wanted else (text, "", "")
        name = name.strip()
        if name in groups or not name:
            raise RequestError(f"classes: {text!r} names a class twice or not at all; write NAME or NAME=LABEL+LABEL.")
        groups[name] = [part.strip() for part in rest.split("+")] if equals else [name]
    members: dict[str, int] = {}
    for index, (name, group) in enumerate(groups.items()):
        for label in group:
            if label in members:
                raise RequestError(f"classes: the label {label!r} is in two classes; give it to one.")
            if wanted and label not in occurring:
                some = ", ".join(sorted(occurring, key=natural_order)[:20]) or "none"
                raise RequestError(f"classes: no cutout has the label {label!r} (class {name}); there are: {some}.")
            members[label] = index
    if len(groups) < 2:
        raise RequestError(
            f"An evaluation needs at least two classes, and the catalogue has {len(groups)}: "
            "use a labelled set (`--dataset PATH_OR_NAME`)."
        )
    return ClassSet(tuple(groups), members)
