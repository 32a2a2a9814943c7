"""Commands in one of several processes, as `torchrun` and Slurm's `srun` start them."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence

from skysift.errors import RequestError, SkysiftError
from skysift.ssl.launch import Channel, World

TOGETHER = ("train",)
"""Commands that several processes work on together."""


def in_company(tokens: Sequence[str], run: Callable[[Sequence[str]], int]) -> int:
    """Run a command, alone or with other processes; return the exit code.

    The process of rank 0 does what one process would do and calls the others when there is something to train. It
    alone prints.

    Parameters
    ----------
    tokens : sequence of str
        The command and its options.
    run : callable
        Runs it in this process alone and prints; takes the tokens, returns the exit code.
    """
    try:
        world = World.of()
        if world.size > 1 and (not tokens or tokens[0] not in TOGETHER):
            raise RequestError(
                f"`skysift {' '.join(tokens[:1])}` runs in one process: start it without torchrun or srun "
                f"(only {', '.join(TOGETHER)} takes several)"
            )
        if world.size == 1:
            return run(tokens)
        return _lead(world, tokens, run) if world.rank == 0 else _follow(world)
    except SkysiftError as error:
        if os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0":
            print(f"skysift: error: {error}", file=sys.stderr)
        return error.exit_code


def _lead(world: World, tokens: Sequence[str], run: Callable[[Sequence[str]], int]) -> int:
    channel = Channel(world)
    code = 1
    try:
        with channel.watched():
            code = run(tokens)
    finally:
        with contextlib.suppress(RuntimeError):
            channel.end(code)
    return code


def _follow(world: World) -> int:
    """Wait for rank 0 to call; train along; say nothing."""
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
    asked: list[int] = []

    def on_signal(number: int, _frame: object) -> None:
        if asked:
            os._exit(130)
        asked.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    channel = Channel(world)
    try:
        found = channel.wait()
        if isinstance(found, int):
            return found
        from skysift.ssl.train import follow

        with channel.watched():
            follow(found["device"], found["precision"], should_stop=lambda: bool(asked))
    except SkysiftError as error:
        channel.fail(str(error))
        return error.exit_code
    except Exception as error:  # noqa: BLE001
        with contextlib.suppress(RuntimeError):  # the notes may have gone with rank 0
            channel.fail(f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no reason given'])[0]}")
        return 1
    finally:
        with contextlib.suppress(RuntimeError):
            channel.leave()
    return 0
