"""Named requests: one YAML each, with its source; the numbers of papers, and ours for radio cutouts on one GPU."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from skysift.errors import RequestError

FOLDER = Path(__file__).parent


class Preset(BaseModel):
    """What a YAML of this folder holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str = Field(description="One line for people who choose.")
    source: str = Field(description="Where the numbers come from: paper and section, code, or ourselves.")
    options: dict[str, Any] = Field(description="Options of `Train`, as in a pipeline's YAML.")
    assumed: dict[str, str] = Field(
        default_factory=dict, description="Options on which the paper is silent, and why they are as they are."
    )
    needs: tuple[str, ...] = Field((), description="Options that must be given with it.")


@cache
def names() -> tuple[str, ...]:
    """Return the names of all presets, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def read(name: str) -> Preset:
    """Return a preset.

    Raises
    ------
    RequestError
        If there is none of that name; lists those that there are.
    """
    import yaml

    if name not in names():
        raise RequestError(f"there is no preset {name!r}; there are {', '.join(names())}")
    return Preset.model_validate(yaml.safe_load((FOLDER / f"{name}.yaml").read_text()))


def expanded(options: Mapping[str, Any]) -> dict[str, Any]:
    """Lay options over those of the preset that `preset` names; what comes out names no preset any more.

    Options of the same method go one by one; another method replaces the preset's as a whole.

    Raises
    ------
    RequestError
        If there is no such preset, or an option is missing that it needs.
    """
    given = dict(options)
    name = given.pop("preset", None)
    if name is None:
        return given
    preset = read(str(name))
    missing = [option for option in preset.needs if given.get(option) is None]
    if missing:
        raise RequestError(f"preset {name} needs {missing[0]} as well: {preset.summary}")
    return {**preset.options, **given, "method": _method(preset.options["method"], given.get("method"))}


def _method(preset: Mapping[str, Any], given: Any) -> Any:
    if given is None:
        return dict(preset)
    if isinstance(given, str):
        given = {"name": given}
    if isinstance(given, Mapping) and given.get("name", preset["name"]) == preset["name"]:
        return {**preset, **given}
    return given
