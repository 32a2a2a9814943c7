"""What a stage leaves: a folder of plain files and its manifest."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import Any, cast

from skysift.errors import SkysiftError
from skysift.store.digest import file_digest

MANIFEST = "manifest.json"
RUN = "run.json"
KEYS: dict[str, dict[str, type | UnionType]] = {
    MANIFEST: {
        "id": str,
        "kind": str,
        "stage": str,
        "version": int,
        "config": dict,
        "inputs": dict,
        "sources": dict,
        "companions": dict,
        "counts": dict,
        "files": dict,
    },
    RUN: {"created": int | float, "seconds": int | float, "sources": dict, "warnings": list},
}
"""What the two files must hold, with types."""


@dataclass(frozen=True)
class Artifact:
    """A finished artifact in a store.

    Attributes
    ----------
    id : str
        32 hex digits that name the request.
    kind : str
        What it is: `cutouts`, `features`, `clusters` ...
    folder : Path
        Where its files are.
    """

    id: str
    kind: str
    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Kind, version, configuration, inputs, source fingerprints, counts and file digests.

        Raises
        ------
        SkysiftError
            If the file is damaged.
        """
        return self._load(MANIFEST)

    @cached_property
    def run(self) -> dict[str, Any]:
        """All that may differ between equal runs: times, host, versions, paths."""
        return self._load(RUN)

    @property
    def damage(self) -> str | None:
        """What is wrong with the manifest, in one sentence; None where nothing is."""
        try:
            self.manifest  # noqa: B018
        except SkysiftError as error:
            return str(error)
        return None

    @property
    def created(self) -> float:
        """When it was made [s since 1970]; where that is not readable, when its folder changed last."""
        try:
            return float(self.run["created"])
        except SkysiftError:
            return self.folder.stat().st_mtime

    @property
    def inputs(self) -> tuple[str, ...]:
        """Ids of the artifacts that it was made from."""
        return tuple(self.manifest["inputs"])

    @property
    def config(self) -> dict[str, Any]:
        """The full request."""
        config: dict[str, Any] = self.manifest["config"]
        return config

    @property
    def counts(self) -> dict[str, Any]:
        """What the stage counted, `rows` among it."""
        counts: dict[str, Any] = self.manifest["counts"]
        return counts

    @property
    def rows(self) -> int | None:
        """Rows of its table, or cutouts that a model was trained on; None where neither was counted."""
        found = self.counts.get("rows", self.counts.get("cutouts"))
        return None if found is None else int(found)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(int(entry["bytes"]) for entry in self.manifest["files"].values())

    def path(self, name: str) -> Path:
        """Return the path of one of its files.

        Raises
        ------
        SkysiftError
            If the file is not there.
        """
        path = self.folder / name
        if not path.exists():
            raise SkysiftError(f"{self.kind} {self.id} has no file {name}: run `skysift verify {self.id}`.")
        return path

    def digest(self) -> str:
        """Return the digest of the manifest, which covers every other file but `run.json`."""
        return file_digest(self.folder / MANIFEST)

    def verify(self) -> list[str]:
        """Compare all files with the manifest; return what is wrong, one sentence each."""
        problems = []
        for name, entry in self.manifest["files"].items():
            path = self.folder / name
            if not path.is_file():
                problems.append(f"{name}: missing")
            elif path.stat().st_size != entry["bytes"] or file_digest(path) != entry["blake2"]:
                problems.append(f"{name}: changed since it was made")
        known = {*self.manifest["files"], MANIFEST, RUN}
        for path in sorted(p for p in self.folder.rglob("*") if p.is_file()):
            name = path.relative_to(self.folder).as_posix()
            if name not in known:
                problems.append(f"{name}: not in the manifest")
        return problems

    def _load(self, name: str) -> dict[str, Any]:
        path = self.path(name)
        try:
            loaded = json.loads(path.read_text())
            wrong = _shortcoming(loaded, KEYS[name])
        except (ValueError, RecursionError):
            wrong = "no JSON"
        if wrong is not None:
            raise SkysiftError(
                f"{path} is damaged ({wrong}): remove the artifact with `skysift rm --force {self.id[:12]}` "
                "and make it again."
            )
        return cast("dict[str, Any]", loaded)

    def __str__(self) -> str:
        return self.id

    def _repr_html_(self) -> str:
        """Show itself in a notebook: kind, counts, configuration, inputs."""
        rows = {
            **self.counts,
            **{k: v for k, v in self.config.items() if v is not None},
            "inputs": " ".join(self.inputs),
        }
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(str(k))}</th>"
            f"<td style='text-align:left'>{html.escape(str(v))[:200]}</td></tr>"
            for k, v in rows.items()
        )
        return f"<b>{html.escape(self.kind)}</b> <code>{self.id}</code><table>{cells}</table>"


def _shortcoming(loaded: object, keys: dict[str, type | UnionType]) -> str | None:
    """Return what a file's content lacks; None if nothing."""
    if not isinstance(loaded, dict):
        return "no table of keys"
    for key, kind in keys.items():
        if not isinstance(loaded.get(key), kind):
            return f"no {key}"
    files = loaded.get("files", {}).values()
    if not all(isinstance(entry, dict) and {"bytes", "blake2"} <= entry.keys() for entry in files):
        return "files without digests"
    return None
