"""Reading a pipeline's YAML into stages."""

from __future__ import annotations

import graphlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skysift.errors import RequestError, SkysiftError, Stopped
from skysift.pipeline.catalogue import stage_class
from skysift.store.digest import is_url
from skysift.store.fields import Input, Source, as_tuple, markers
from skysift.store.stage import Stage


@dataclass(frozen=True)
class Pipeline:
    """Named stages in the order in which they can run.

    Attributes
    ----------
    stages : dict of str to Stage
        An input that names another stage means the artifact that it makes.
    """

    stages: dict[str, Stage]

    @classmethod
    def read(cls, path: str | Path) -> Pipeline:
        """Read a YAML file; paths in it are relative to its folder.

        Raises
        ------
        RequestError
            If the file is missing, no YAML, has unknown keys or values that do not fit, or its stages need each
            other in a circle.
        """
        import yaml

        path = Path(path)
        try:
            content = yaml.safe_load(path.read_text())
        except FileNotFoundError:
            raise RequestError(f"{path}: no such file; `skysift run` takes a YAML of stages.") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise RequestError(f"{path}: not YAML ({str(error).splitlines()[0]}).") from None
        return cls.parse(content, where=str(path), folder=path.resolve().parent)

    @classmethod
    def parse(cls, content: Any, *, where: str = "pipeline", folder: Path | None = None) -> Pipeline:
        """Build a pipeline from what a YAML file holds: `{"stages": {NAME: {"stage": KIND, option: value}}}`."""
        if not isinstance(content, dict) or not isinstance(content.get("stages"), dict) or not content["stages"]:
            raise RequestError(f"{where}: a pipeline has the one key 'stages', with named stages below it.")
        unknown = sorted(set(content) - {"stages"})
        if unknown:
            raise RequestError(f"{where}: unknown key {unknown[0]!r}; a pipeline has the one key 'stages'.")
        entries = _entries({str(name): entry for name, entry in content["stages"].items()}, where)
        stages = {name: _stage(name, kind, options, where, folder) for name, (kind, options) in entries.items()}
        return cls(_in_order(stages, where))

    def needs(self, name: str) -> list[str]:
        """Return the names of the stages that one takes its inputs from."""
        return [i for i in self.stages[name].input_ids() if i in self.stages]


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Let errors say which stage of a pipeline they are about."""
    try:
        yield
    except Stopped:
        raise
    except SkysiftError as error:
        raise type(error)(f"stage {name!r}: {error}") from error


def validated(cls: type[Stage], options: dict[str, Any], *, where: str) -> Stage:
    """Build a stage; what does not fit is said in one sentence.

    Raises
    ------
    RequestError
        With the option's name and what is wrong with it.
    """
    try:
        return cls.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(str(part) for part in first["loc"]) or "options"
        if first["type"] == "extra_forbidden":
            known = ", ".join(cls.model_fields)
            raise RequestError(f"{where}: unknown option {option!r}; {cls.kind} has {known}.") from None
        if first["type"] == "missing":
            raise RequestError(f"{where}: {option!r} is missing: {_help(cls, option)}") from None
        message = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise RequestError(f"{where}: {option}: {message} (got {first['input']!r:.60}).") from None
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from error


def _help(cls: type[Stage], option: str) -> str:
    field = cls.model_fields.get(option)
    return field.description if field is not None and field.description else "it has no default."


def _entries(content: dict[str, Any], where: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return kind and options of every stage; an entry may stand for several (a benchmark, for features)."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, entry in content.items():
        if not isinstance(entry, dict):
            raise RequestError(f"{where}: stage {name!r} has no options; write them below it, one a line.")
        own = str(entry.get("stage", name))
        options = {str(key): value for key, value in entry.items() if key != "stage"}
        place = f"{where}: stage {name!r}"
        for part, inner in stage_class(own).entries(name, options, where=place, others=content.keys()).items():
            if part in found or (part != name and part in content):
                raise RequestError(f"{place}: there is a stage {part!r} already; give one of them another name.")
            found[part] = (str(inner.get("stage", own)), {k: v for k, v in inner.items() if k != "stage"})
    return found


def _stage(name: str, kind: str, given: dict[str, Any], where: str, folder: Path | None) -> Stage:
    options = dict(given)
    cls = stage_class(kind)
    if folder is not None:
        for field, mark in markers(cls).items():
            if isinstance(mark, Source) and options.get(field) is not None:
                value = options[field]
                paths = tuple(_below(folder, p, named=mark.named) for p in as_tuple(value))
                options[field] = paths if isinstance(value, list) else paths[0]
    return validated(cls, options, where=f"{where}: stage {name!r}")


def _below(folder: Path, path: str, *, named: bool) -> str:
    below = folder / Path(path).expanduser()
    return path if is_url(path) or (named and not below.exists()) else str(below)


def _in_order(stages: dict[str, Stage], where: str) -> dict[str, Stage]:
    graph = {
        name: [
            id_
            for field, mark in markers(type(stage)).items()
            if isinstance(mark, Input)
            for id_ in as_tuple(getattr(stage, field))
            if id_ in stages and id_ != name
        ]
        for name, stage in stages.items()
    }
    try:
        order = list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        circle = " -> ".join(error.args[1])
        raise RequestError(f"{where}: stages need each other in a circle: {circle}.") from None
    return {name: stages[name] for name in order}
