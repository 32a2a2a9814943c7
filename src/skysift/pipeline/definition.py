"""Reading a pipeline's YAML into stages."""

from __future__ import annotations

import graphlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skysift.errors import RequestError
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
        stages = {str(name): _stage(str(name), entry, where, folder) for name, entry in content["stages"].items()}
        return cls(_in_order(stages, where))

    def needs(self, name: str) -> list[str]:
        """Return the names of the stages that one takes its inputs from."""
        return [i for i in self.stages[name].input_ids() if i in self.stages]


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


def _help(cls: type[Stage], option: str) -> str:
    field = cls.model_fields.get(option)
    return field.description if field is not None and field.description else "it has no default."


def _stage(name: str, entry: Any, where: str, folder: Path | None) -> Stage:
    if not isinstance(entry, dict):
        raise RequestError(f"{where}: stage {name!r} has no options; write them below it, one a line.")
    options = dict(entry)
    cls = stage_class(str(options.pop("stage", name)))
    if folder is not None:
        for field, mark in markers(cls).items():
            if isinstance(mark, Source) and options.get(field) is not None:
                value = options[field]
                paths = tuple(_below(folder, p) for p in as_tuple(value))
                options[field] = paths if isinstance(value, list) else paths[0]
    return validated(cls, options, where=f"{where}: stage {name!r}")


def _below(folder: Path, path: str) -> str:
    return path if is_url(path) else str(folder / Path(path).expanduser())


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
