"""From manifests back to commands."""

from __future__ import annotations

import importlib
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from skysift.errors import RequestError, SkysiftError
from skysift.report.family import Family
from skysift.sky.sources import stem
from skysift.store.artifact import Artifact
from skysift.store.fields import Input, Source, markers
from skysift.store.stage import Stage, full_config

MODULES = (
    "cutouts.stages",
    "datasets.stages",
    "features.stages",
    "curation.stages",
    "ssl.stages",
    "encoders.stages",
    "evaluation.stages",
    "evaluation.benchmark.stages",
    "discovery.stages",
    "discovery.projection.stage",
    "discovery.similar.stage",
)
"""Where the classes of stages are."""


def script(family: Family) -> str:
    """Return a shell script that makes the focus from its source files: one command an artifact, parents first.

    Ids go from command to command in variables; only options that differ from their defaults are written.
    """
    lines = []
    names: dict[str, str] = {}
    wanted = [*(id_ for id_ in family.members if id_ in family.ancestors), family.focus.id]
    for id_ in dict.fromkeys(wanted):
        artifact = family.members[id_]
        names[id_] = _variable(artifact, set(names.values()))
        words = [command_name(artifact), *_options(artifact, names), *_masks(family, artifact)]
        written = _unsayable(artifact)
        if written:
            file = f"{names[id_].lower()}.yaml"
            lines += [f"cat > {file} <<'END'", *(f"{k}: {json.dumps(v)}" for k, v in written.items()), "END"]
            words.append(f"--config {file}")
        lines.append(f"{names[id_]}=$(skysift " + _wrap(words) + ")")
    return "\n".join([*lines, f'skysift report "${names[family.focus.id]}"'])


def request_command(stage: Stage) -> str:
    """Return the command of a request whose inputs are ids; only options that differ from their defaults are written.

    Examples
    --------
    >>> request_command(Subsample(clusters="77ab", target_size=100))
    'skysift subsample --clusters 77ab --target-size 100'
    """
    words = ["skysift", _command(type(stage).__name__)]
    for name, value in full_config(stage).items():
        words += _option(name, value, type(stage))
    return " ".join(words)


def command_name(artifact: Artifact) -> str:
    """Return the command of the stage that made an artifact: its class's name in lower case."""
    return _command(str(artifact.manifest["stage"]))


def _command(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


def stage_class(artifact: Artifact) -> type[Stage] | None:
    """Return the class that made an artifact, None where it is none of skysift's own."""
    for name in MODULES:
        try:
            module = importlib.import_module(f"skysift.{name}")
        except ModuleNotFoundError as error:
            if not str(error.name).startswith("skysift."):
                raise SkysiftError(f"skysift.{name} can't be imported: {error}.") from error
            continue
        found = getattr(module, str(artifact.manifest["stage"]), None)
        if isinstance(found, type) and issubclass(found, Stage):
            return found
    return None


def _options(artifact: Artifact, names: dict[str, str]) -> Iterator[str]:
    cls = stage_class(artifact)
    marks = markers(cls) if cls is not None else {}
    paths: dict[str, str] = artifact.run.get("sources", {}) if (artifact.folder / "run.json").is_file() else {}
    for field, prints in artifact.manifest["sources"].items():
        if not prints:
            continue
        files = _files([str(paths.get(p, f"FILE-{p[:8]}")) for p in prints])
        yield f"--{_dashed(field)} " + " ".join(files)
    for name, value in artifact.config.items():
        if isinstance(marks.get(name), Source) or _needs_file(value):
            continue
        if isinstance(marks.get(name), Input) or (isinstance(value, str) and value in names):
            ids = value if isinstance(value, list) else [value]
            texts = [f'"${names[i]}"' if i in names else shlex.quote(str(i)) for i in ids if i is not None]
            if texts:
                yield f"--{_dashed(name)} " + " ".join(texts)
            continue
        yield from _option(name, value, cls)


def _unsayable(artifact: Artifact) -> dict[str, Any]:
    """Return the options that no words of a command can hold; they go into a file."""
    return {name: value for name, value in artifact.config.items() if _needs_file(value)}


def _needs_file(value: Any) -> bool:
    """Tell whether a value is a list of options or of texts with commas."""
    return isinstance(value, list) and any(isinstance(v, dict) or (isinstance(v, str) and "," in v) for v in value)


def _masks(family: Family, artifact: Artifact) -> Iterator[str]:
    """Yield the pattern of the masks beside the mosaics; it is no part of the request, the masks' contents are."""
    pairs = artifact.manifest.get("companions", {}).get("mask", [])
    paths: dict[str, str] = artifact.run.get("sources", {}) if (artifact.folder / "run.json").is_file() else {}
    patterns = []
    for owner, fingerprint in pairs:
        mosaic = Path(str(paths.get(owner, "")))
        try:
            mask = Path(family.store.sources.locate(fingerprint))
        except RequestError:
            continue
        # equal masks share a fingerprint, so the file found may be another mosaic's
        if mosaic.name and stem(mosaic.name) in mask.name:
            folder = "" if mask.parent == mosaic.parent else f"{mask.parent}/"
            patterns.append(folder + mask.name.replace(stem(mosaic.name), "{stem}"))
    if pairs:
        found = max(sorted(set(patterns)), key=patterns.count, default="PATTERN-OF-THE-MASKS")
        yield f"--mask {shlex.quote(found)}"


def _option(name: str, value: Any, cls: type[Stage] | None) -> Iterator[str]:
    """Yield the words for an option, if it is not at its default."""
    field = cls.model_fields.get(name) if cls is not None else None
    default = None
    if field is not None and not field.is_required():
        default = _plain(field.get_default(call_default_factory=True))
        if value == default:
            return
    if value is None or value == []:
        return
    if isinstance(value, dict):
        base = default if isinstance(default, dict) else {}
        tag = value.get("name")
        if isinstance(tag, str) and tag != base.get("name"):
            yield f"--{_dashed(name)} {shlex.quote(tag)}"
        for path, leaf in _leaves(name, value):
            if path != f"{name}.name" and leaf is not None and leaf != dict(_leaves(name, base)).get(path):
                yield f"--set {shlex.quote(f'{path}={leaf if isinstance(leaf, str) else json.dumps(leaf)}')}"
    elif isinstance(value, bool):
        yield f"--{'' if value else 'no-'}{_dashed(name)}"
    else:
        yield f"--{_dashed(name)} {shlex.quote(_text(value))}"


def _leaves(prefix: str, value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _leaves(f"{prefix}.{name}", inner)
        else:
            yield f"{prefix}.{name}", inner


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return str(value)


def _plain(value: Any) -> Any:
    """Return a default as JSON would hold it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _files(paths: list[str]) -> list[str]:
    """Return the paths, or a pattern where it means exactly these files and there are many."""
    paths = sorted(paths)
    parents, suffixes = {str(Path(p).parent) for p in paths}, {"".join(Path(p).suffixes) for p in paths}
    if len(paths) > 2 and len(parents) == len(suffixes) == 1:
        parent, suffix = Path(parents.pop()), suffixes.pop()
        if parent.is_dir() and sorted(str(p) for p in parent.glob(f"*{suffix}")) == paths:
            return [f"{shlex.quote(str(parent))}/*{suffix}"]
    return [shlex.quote(p) for p in paths]


def _variable(artifact: Artifact, taken: set[str]) -> str:
    base = artifact.kind.upper()
    number = 2
    name = base
    while name in taken:
        name, number = f"{base}{number}", number + 1
    return name


def _wrap(words: list[str]) -> str:
    """Break a long command over lines."""
    line = " ".join(words)
    return line if len(line) < 100 else " \\\n    ".join(words)


def _dashed(name: str) -> str:
    return name.replace("_", "-")
