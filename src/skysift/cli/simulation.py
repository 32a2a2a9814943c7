"""`skysift simulate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter
from pydantic import ValidationError

from skysift.cli.registration import add
from skysift.errors import RequestError

GROUP = Group("Data", sort_key=0)


def register(app: App) -> None:
    """Add the command."""
    add(app, simulate, "simulate", GROUP)


def simulate(
    out: Annotated[Path, Parameter(help="Folder to write to.")],
    *,
    preset: Annotated[str, Parameter(help="tiny (tests), demo, or survey (4 mosaics of 4096 squared).")] = "demo",
    seed: Annotated[int, Parameter(help="Seed of every random choice.")] = 0,
    set_: Annotated[
        tuple[str, ...] | None, Parameter(name="--set", help="Another field, as mosaics=2; may be repeated.")
    ] = None,
    overwrite: Annotated[bool, Parameter(help="Replace a survey that is there.", negative=())] = False,
    quiet: Annotated[bool, Parameter(help="Show no progress.", negative=())] = False,
    debug: Annotated[bool, Parameter(help="Show the traceback of an error.", negative=())] = False,  # noqa: ARG001
) -> None:
    """Make a believable radio survey: mosaics, truth, masks and labelled cutouts.

    Prints the folder. A survey that is complete is left as it is; one that was interrupted is carried on with.

    Examples
    --------
        skysift simulate survey --preset demo --seed 0
        skysift simulate big --preset survey --set mosaics=8
    """
    from skysift.sky.simulate import SurveyConfig
    from skysift.sky.simulate import simulate as work
    from skysift.store.progress import Progress

    overrides = _overrides(set_ or ())
    try:
        config = SurveyConfig.preset(preset, seed=seed, **overrides)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
        raise RequestError(f"skysift simulate: {f'{field} {message}'.strip()}.") from None
    with Progress(quiet=quiet).bar(1, "simulate") as bar:
        work(out, config, progress=bar.update, overwrite=overwrite)
    print(out)
    sys.stdout.flush()


def _overrides(settings: tuple[str, ...]) -> dict[str, Any]:
    import yaml

    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise RequestError(f"--set takes FIELD=VALUE, not {setting!r}.")
        values[name.replace("-", "_")] = yaml.safe_load(text)
    return values
