"""The entry point: builds the commands, runs one, turns errors into one sentence and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

import skysift
from skysift.cli import app as app_command
from skysift.cli import benchmarking, exporting, inspection, pipelines, ratings, searching, simulation, stages, teaching
from skysift.cli.company import in_company
from skysift.cli.legacy import modernise
from skysift.errors import CARRY_ON, RequestError, SkysiftError, Stopped

HELP = """From radio survey mosaics to curated training sets, self-supervised encoders and their score.

Every stage prints the id of the artifact that it makes as the only line on stdout; progress goes to stderr. The same
request gives the same id, at once if it was made before. `skysift COMMAND --help` shows options and examples.
"""


def build_app() -> App:
    """Return the command line with all its commands."""
    app = App(
        name="skysift",
        help=HELP,
        version=skysift.__version__,
        help_format="markdown",
        default_parameter=Parameter(negative_iterable=(), show_env_var=False),
    )
    finding = (searching, ratings, teaching, app_command)
    for module in (simulation, stages, benchmarking, *finding, exporting, pipelines, inspection):
        module.register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 1 for a failure, 2 for a wrong request, 130 if stopped."""
    return in_company(modernise(list(sys.argv[1:] if arguments is None else arguments)), _run)


def _run(tokens: Sequence[str]) -> int:
    debug = "--debug" in tokens
    try:
        _call(build_app(), tokens)
    except (Stopped, KeyboardInterrupt) as stopped:
        return _complain(str(stopped) or f"by Ctrl-C; {CARRY_ON}", Stopped.exit_code, word="stopped")
    except SkysiftError as error:
        if debug:
            traceback.print_exc()
        return _complain(str(error), error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001
        if debug:
            traceback.print_exc()
        reason = str(error).strip().splitlines()
        text = f"{type(error).__name__}: {reason[0] if reason else 'no reason given'}"
        return _complain(f"{text} (--debug shows where; please report it if it looks like a bug).", 1)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    return 0


def _call(app: App, tokens: Sequence[str]) -> None:
    try:
        app(tokens, result_action="return_value", exit_on_error=False, print_error=False)
    except CycloptsError as error:
        command = f"{tokens[0]} " if tokens and tokens[0] in app else ""
        raise RequestError(f"{str(error).strip().splitlines()[0]} See `skysift {command}--help`.") from error


def _complain(text: str, code: int, *, word: str = "error") -> int:
    print(f"skysift: {word}: {text}", file=sys.stderr)
    return code
