"""Reading a pipeline's YAML into stages."""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skysift.errors import RequestError, SkysiftError, Stopped
from skysift.pipeline.catalogue import stage_class
from skysift.store.digest import is_url
from skysift.store.fields import Input, Source, as_tuple, markers
from skysift.store.stage import Stage

Place = Callable[[str | None], str]


@dataclass(frozen=True)
class Pipeline:
    """Named stages in the order in which they can run.

    Attributes
    ----------
    stages : dict of str to Stage
        An input that names another stage means the artifact that it makes.
    where : str
        The file.
    lines : mapping of tuple of str to int
        The file's lines of entries, `(name,)`, and of their options, `(name, option)`.
    """

    stages: dict[str, Stage]
    where: str = "pipeline"
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict)

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
            text = path.read_text()
            content = yaml.safe_load(text)
        except FileNotFoundError:
            raise RequestError(f"{path}: no such file; `skysift run` takes a YAML of stages.") from None
        except yaml.MarkedYAMLError as error:
            line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
            raise RequestError(f"{path}{line}: not YAML ({error.problem or error.context}).") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise RequestError(f"{path}: not YAML ({str(error).splitlines()[0]}).") from None
        return cls.parse(content, where=str(path), folder=path.resolve().parent, lines=_lines(text))

    @classmethod
    def parse(
        cls,
        content: Any,
        *,
        where: str = "pipeline",
        folder: Path | None = None,
        lines: Mapping[tuple[str, ...], int] | None = None,
    ) -> Pipeline:
        """Build a pipeline from what a YAML file holds: `{"stages": {NAME: {"stage": KIND, option: value}}}`."""
        if not isinstance(content, dict) or not isinstance(content.get("stages"), dict) or not content["stages"]:
            raise RequestError(f"{where}: a pipeline has the one key 'stages', with named stages below it.")
        unknown = sorted(set(content) - {"stages"})
        if unknown:
            raise RequestError(f"{where}: unknown key {unknown[0]!r}; a pipeline has the one key 'stages'.")
        place = cls({}, where, lines or {}).place
        entries = _entries({str(name): entry for name, entry in content["stages"].items()}, place)
        stages = {name: _stage(name, kind, options, place, folder) for name, (kind, options) in entries.items()}
        return cls(_in_order(stages, where), where, lines or {})

    def place(self, name: str, option: str | None = None) -> str:
        """Say where a stage, or one of its options, stands: `FILE:LINE: stage 'NAME'`."""
        entry = name if (name,) in self.lines else name.split("/")[0]
        line = self.lines.get((entry, str(option)), self.lines.get((entry,)))
        return f"{self.where}{'' if line is None else f':{line}'}: stage {name!r}"

    def needs(self, name: str) -> list[str]:
        """Return the names of the stages that one takes its inputs from."""
        return [i for i in self.stages[name].input_ids() if i in self.stages]


@contextmanager
def located(place: str) -> Iterator[None]:
    """Put a place in a pipeline before the sentence of an error; a stop is no error."""
    try:
        yield
    except Stopped:
        raise
    except SkysiftError as error:
        raise type(error)(f"{place}: {error}") from error


def validated(cls: type[Stage], options: dict[str, Any], *, where: str | Place) -> Stage:
    """Build a stage; what does not fit is said in one sentence.

    Parameters
    ----------
    cls : type of Stage
        The stage.
    options : dict
        Field name -> value.
    where : str or callable
        What the sentence begins with; a callable is told the option.

    Raises
    ------
    RequestError
        With the option's name and what is wrong with it.
    """
    try:
        return cls.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(str(part) for part in first["loc"])
        where = where if isinstance(where, str) else where(str(first["loc"][0]) if first["loc"] else None)
        if first["type"] == "extra_forbidden":
            known = ", ".join(cls.model_fields)
            raise RequestError(f"{where}: unknown option {option!r}; {cls.kind} has {known}.") from None
        if first["type"] == "missing":
            raise RequestError(f"{where}: {option!r} is missing: {_help(cls, option)}") from None
        message = first["msg"].removeprefix("Value error, ").rstrip(".")
        if not option:
            raise RequestError(f"{where}: {message}.") from None
        raise RequestError(f"{where}: {option}: {message} (got {first['input']!r:.60}).") from None
    except RequestError as error:
        raise RequestError(f"{where if isinstance(where, str) else where(None)}: {error}") from error


def _help(cls: type[Stage], option: str) -> str:
    field = cls.model_fields.get(option)
    return field.description if field is not None and field.description else "it has no default."


def _entries(content: dict[str, Any], place: Callable[..., str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return kind and options of every stage; an entry may stand for several (a benchmark, for features)."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, entry in content.items():
        if not isinstance(entry, dict):
            raise RequestError(f"{place(name)} has no options; write them below it, one a line.")
        own = str(entry.get("stage", name))
        options = {str(key): value for key, value in entry.items() if key != "stage"}
        with located(place(name, "stage")):
            cls = stage_class(own)
        for part, inner in cls.entries(name, options, where=place(name), others=content.keys()).items():
            if part in found or (part != name and part in content):
                raise RequestError(f"{place(name)}: there is a stage {part!r} already; give one of them another name.")
            found[part] = (str(inner.get("stage", own)), {k: v for k, v in inner.items() if k != "stage"})
    return found


def _stage(name: str, kind: str, given: dict[str, Any], place: Callable[..., str], folder: Path | None) -> Stage:
    options = dict(given)
    cls = stage_class(kind)
    if folder is not None:
        for field, mark in markers(cls).items():
            if isinstance(mark, Source) and options.get(field) is not None:
                value = options[field]
                paths = tuple(_below(folder, p, named=mark.named) for p in as_tuple(value))
                options[field] = paths if isinstance(value, list) else paths[0]
    return validated(cls, options, where=partial(place, name))


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


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the lines of a YAML's stages and of their options."""
    import yaml

    def entries(node: yaml.Node | None) -> list[tuple[str, int, yaml.Node]]:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        return [(str(key.value), key.start_mark.line + 1, value) for key, value in pairs]

    lines: dict[tuple[str, ...], int] = {}
    for key, _, stages in entries(yaml.compose(text, Loader=yaml.SafeLoader)):
        for name, line, stage in entries(stages) if key == "stages" else []:
            lines[name,] = line
            lines |= {(name, option): number for option, number, _ in entries(stage)}
    return lines
