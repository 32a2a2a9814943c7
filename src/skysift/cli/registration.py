"""Adding commands: help above the options, examples below them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence

from cyclopts import App, Group

DISCOVERY = Group("Discovery", sort_key=2)
"""The commands that search, show and rate."""

HEADING = re.compile(r"^Examples:?\n(?:-+\n)?", re.MULTILINE)


def add(app: App, function: Callable[..., None], name: str, group: Group, *, examples: Sequence[str] = ()) -> None:
    """Add a function as a command.

    Parameters
    ----------
    app : App
        Where to.
    function : callable
        Its docstring is the help; what stands under `Examples` at its end is shown below the options.
    name : str
        The command.
    group : Group
        Where it is listed.
    examples : sequence of str
        Command lines, in place of the docstring's.
    """
    text, *rest = HEADING.split(inspect.getdoc(function) or "", maxsplit=1)
    lines = list(examples) or [line.strip() for part in rest for line in part.splitlines() if line.strip()]
    app.command(function, name=name, group=group, help=text.strip(), help_epilogue=epilogue_of(lines))


def epilogue_of(lines: Sequence[str]) -> str | None:
    """Return command lines as what stands below the options, None where there are none."""
    return "**Examples**\n\n```sh\n" + "\n".join(lines) + "\n```" if lines else None
