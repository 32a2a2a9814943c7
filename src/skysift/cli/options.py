"""A stage's fields as the options of a command, so that the two can't drift apart."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from cyclopts import Group, Parameter
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from skysift.cli.running import Running
from skysift.errors import RequestError
from skysift.store.fields import Input, Source, markers
from skysift.store.stage import Stage

OPTIONS = Group("Options", sort_key=10)
CONFIG = Annotated[
    str | None,
    Parameter(help="YAML file with options of this stage; options on the command line win.", group=OPTIONS),
]
SET = Annotated[
    tuple[str, ...] | None,
    Parameter(name="--set", help="A nested option, as method.temperature=0.2; may be repeated.", group=OPTIONS),
]


def stage_command(
    cls: type[Stage],
    run: Callable[[dict[str, Any], Running | None], None],
    *,
    positional: str | tuple[str, ...],
    help_text: str,
    extra: Mapping[str, Any] | None = None,
) -> Callable[..., None]:
    """Make a function whose signature has an option for every field of a stage.

    Parameters
    ----------
    cls : type of Stage
        The stage.
    run : callable
        Takes the options that were given (field name -> value) and the running options.
    positional : str or tuple of str
        The options that may be given without their names. Where it is `config`, the file's path stays among the
        options.
    help_text : str
        What `--help` says.
    extra : mapping of str to annotation, optional
        Options that are no fields.

    Returns
    -------
    callable
        To be registered with cyclopts.
    """
    fields = {name: field for name, field in cls.model_fields.items() if not _only_nested(field.annotation)}
    table: dict[str, Any] = {name: _annotation(name, field, cls) for name, field in fields.items()}
    table |= dict(extra or {})
    nested = any(_is_model(field.annotation) for field in cls.model_fields.values())
    table |= {"config": CONFIG} | ({"set_": SET} if nested else {})
    first = (positional,) if isinstance(positional, str) else positional
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD if name in first else inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=annotation,
        )
        for name, annotation in [*((n, table[n]) for n in first), *((n, a) for n, a in table.items() if n not in first)]
    ]
    parameters.append(
        inspect.Parameter("running", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Running | None)
    )
    signature = inspect.Signature(parameters)

    def command(*args: Any, **kwargs: Any) -> None:
        given = {k: v for k, v in signature.bind(*args, **kwargs).arguments.items() if v is not None}
        running = given.pop("running", None)
        kept = {"config": given["config"]} if positional == "config" and "config" in given else {}
        run({**_merged(cls, given), **kept}, running)

    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = help_text
    return command


def _merged(cls: type[Stage], given: dict[str, Any]) -> dict[str, Any]:
    """Lay command-line options over a configuration file, and unfold lists and nested options."""
    options: dict[str, Any] = _read_config(given.pop("config")) if "config" in given else {}
    settings = given.pop("set_", ())
    for name, value in given.items():
        field = cls.model_fields.get(name)
        if field is not None and isinstance(value, tuple) and not isinstance(markers(cls).get(name), Source):
            value = tuple(part for item in value for part in item.split(",") if part)
        options[name] = _nested(field, value) if field is not None else value
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise RequestError(f"--set takes NAME.OPTION=VALUE, not {setting!r}.")
        _put(options, path.replace("-", "_").split("."), text, setting)
    return options


def _nested(field: FieldInfo, value: Any) -> Any:
    """Let the name of a variant (`--method byol`) stand for its options."""
    tag = field.discriminator if isinstance(field.discriminator, str) else None
    if _is_model(field.annotation) and isinstance(value, str):
        return {tag or "name": value}
    return value


def _put(options: dict[str, Any], path: list[str], text: str, setting: str) -> None:
    import yaml

    place = options
    for part in path[:-1]:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise RequestError(f"--set {setting}: {part} has no options of its own.")
    place[path[-1]] = yaml.safe_load(text)


def _read_config(path: str) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text())
    except FileNotFoundError:
        raise RequestError(f"{path}: no such file; --config takes a YAML file of options.") from None
    except yaml.YAMLError as error:
        raise RequestError(f"{path}: not YAML ({str(error).splitlines()[0]}).") from None
    if not isinstance(content, dict):
        raise RequestError(f"{path}: holds no options; write NAME: VALUE, one a line.")
    return {str(k).replace("-", "_"): v for k, v in content.items()}


def _annotation(name: str, field: FieldInfo, cls: type[Stage]) -> Any:
    """Return the command-line type of a field; every option may be left out."""
    text = (field.description or "").rstrip()
    if not field.is_required():
        default = _text(field.get_default(call_default_factory=True))
        text += f" [default: {default}]" if default else ""
    shape = _plain(field.annotation)
    multiple = get_origin(shape) is tuple
    mark = markers(cls).get(name)
    parameter = Parameter(
        name=f"--{name.replace('_', '-')}",
        help=text,
        group=OPTIONS,
        consume_multiple=multiple and isinstance(mark, Source | Input),
        required=False,
    )
    return Annotated[shape | None, parameter]


def _plain(annotation: Any) -> Any:
    """Reduce a field's type to what can be written in one word: numbers in lists stay text, models become a name."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain(arguments[0])
    if origin in (Union, types.UnionType):
        kept = [a for a in arguments if a is not type(None)]
        if len(kept) == 1:
            return _plain(kept[0])
        return str
    if origin in (tuple, list, set, frozenset):
        return tuple[str, ...]
    if origin is Literal:
        return annotation
    if annotation in (int, float, bool, str):
        return annotation
    return str


def _only_nested(annotation: Any) -> bool:
    """Tell whether a field is one model (its options are reached by --set) or a list of them, not a choice of one."""
    if get_origin(annotation) is tuple:
        return _only_nested(get_args(annotation)[0])
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_model(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return any(_is_model(argument) for argument in get_args(annotation))


def _text(value: Any) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, tuple | list):
        return ",".join(str(item) for item in value)
    if isinstance(value, BaseModel):
        tag = getattr(value, "name", None) or getattr(value, "preset", None)
        return str(tag) if isinstance(tag, str) else ""
    return str(value)
