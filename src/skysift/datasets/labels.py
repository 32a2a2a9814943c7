"""Labels as texts, their order, and giving them other names."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skysift.datasets.names import LABEL_MAPS
from skysift.errors import RequestError

__all__ = ["LabelMap", "label_texts", "natural_order", "read_label_map"]

UNLABELLED = -1
"""Number that stands for "no label" where labels are numbers."""


def label_texts(value: Any) -> list[str]:
    """Return the labels that one entry of a file stands for.

    Numbers become their digits (-1: no label); texts are divided at `,`, `;` and `|`; lists are taken as they are.
    """
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return list(dict.fromkeys(text for item in value for text in label_texts(item)))
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, int | float):
        if value != value or value == UNLABELLED:
            return []
        return [str(int(value)) if float(value).is_integer() else str(value)]
    text = value.decode() if isinstance(value, bytes) else str(value)
    return list(dict.fromkeys(part.strip() for part in re.split(r"[,;|]", text) if part.strip()))


def natural_order(text: str) -> list[tuple[int, int, str]]:
    """Sort key that puts "2" before "10"."""
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.findall(r"[0-9]+|[^0-9]+", text)]


def read_label_map(value: Any) -> Any:
    """Turn `--label-map` (entries, the name of a known map, or a file with them) into entries `CLASS=LABEL+LABEL`.

    Known maps are `skysift.datasets.names.LABEL_MAPS`. A file is JSON or YAML, `{class: [labels]}` or `{label: class}`,
    or CSV with the columns `label,class`.

    Raises
    ------
    RequestError
        If the file cannot be read as that.
    """
    if isinstance(value, Mapping):
        return _entries(value)
    if isinstance(value, str):
        value = (value,)
    if isinstance(value, list | tuple) and len(value) == 1 and "=" in str(value[0]):
        return tuple(part.strip() for part in str(value[0]).split(","))
    if isinstance(value, list | tuple) and len(value) == 1 and "=" not in str(value[0]):
        path = Path(str(value[0])).expanduser()
        if not path.exists() and str(value[0]) in LABEL_MAPS:
            return LABEL_MAPS[str(value[0])]
        try:
            text = path.read_text()
        except OSError as error:
            raise RequestError(
                f"{path}: no label map ({error.strerror}); give a file, entries such as FR-I=0..4,FR-II=5..7, or one "
                f"of {', '.join(LABEL_MAPS)}."
            ) from None
        return _entries(_parse(text, path))
    return value


def _parse(text: str, path: Path) -> Mapping[Any, Any]:
    if path.suffix.lower() == ".csv":
        rows = list(csv.DictReader(text.splitlines()))
        if not rows or not {"label", "class"} <= rows[0].keys():
            raise RequestError(f"{path}: a label map in CSV has the columns label,class.")
        return {row["label"]: row["class"] for row in rows}
    import yaml

    try:
        content = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(f"{path}: not a label map ({reason}); write CLASS: [LABEL, ...], one a line.") from None
    if not isinstance(content, Mapping) or not content:
        raise RequestError(f"{path}: not a label map; write CLASS: [LABEL, ...], one a line.")
    return content


def _entries(content: Mapping[Any, Any]) -> tuple[str, ...]:
    if all(isinstance(value, list | tuple) for value in content.values()):
        return tuple(f"{name}={'+'.join(str(label) for label in labels)}" for name, labels in content.items())
    groups: dict[str, list[str]] = {}
    for label, name in content.items():
        groups.setdefault(str(name), []).append(str(label))
    return tuple(f"{name}={'+'.join(labels)}" for name, labels in groups.items())


@dataclass(frozen=True)
class LabelMap:
    """Labels of a file -> classes of the set.

    Attributes
    ----------
    classes : tuple of str
        In their fixed order.
    members : dict of str to str
        Label -> class; other labels are left out.
    """

    classes: tuple[str, ...]
    members: dict[str, str]

    @classmethod
    def parse(cls, entries: Sequence[str]) -> LabelMap:
        """Read entries `CLASS=LABEL+LABEL` or `CLASS=FIRST..LAST`.

        Raises
        ------
        RequestError
            If an entry is not of that form, or a label is in two classes.
        """
        members: dict[str, str] = {}
        classes: list[str] = []
        for entry in entries:
            name, equals, rest = (part.strip() for part in entry.partition("="))
            if not (name and equals and rest):
                raise RequestError(f"label map: {entry!r} is not CLASS=LABEL+LABEL or CLASS=FIRST..LAST.")
            if name not in classes:
                classes.append(name)
            for label in _labels(rest):
                if members.setdefault(label, name) != name:
                    raise RequestError(f"label map: the label {label!r} is in {members[label]} and in {name}.")
        return cls(tuple(classes), members)

    def apply(self, labels: Iterable[str]) -> list[str]:
        """Return the classes of the labels of one cutout."""
        return list(dict.fromkeys(self.members[label] for label in labels if label in self.members))


def _labels(text: str) -> list[str]:
    labels: list[str] = []
    for part in (piece.strip() for piece in text.split("+")):
        bounds = re.fullmatch(r"(\d+)\.\.(\d+)", part)
        if bounds:
            labels += [str(i) for i in range(int(bounds[1]), int(bounds[2]) + 1)]
        elif part:
            labels.append(part)
    return labels
