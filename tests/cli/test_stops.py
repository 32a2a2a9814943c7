"""Ctrl-C and SIGTERM end a command in order."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from skysift.cli import program
from skysift.cli.running import Running, Session


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_no_library_swallows_a_stop(number: signal.Signals, tmp_path: Path) -> None:
    def try_what_may_be_missing() -> None:
        with contextlib.suppress(Exception):
            signal.raise_signal(number)

    before = signal.getsignal(number)
    with Session(Running(store=str(tmp_path))), pytest.raises(KeyboardInterrupt, match=f"by {number.name}; give"):
        try_what_may_be_missing()
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(("text", "says"), [("", "by Ctrl-C; give"), ("by SIGTERM", "by SIGTERM")])
def test_an_interrupt_outside_of_stages(
    text: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt(text)

    monkeypatch.setattr(program, "build_app", interrupt)
    assert program.main(["ls"]) == 130
    assert capsys.readouterr().err.startswith(f"skysift: stopped: {says}")


def test_an_interrupt_while_the_command_line_is_imported(tmp_path: Path) -> None:
    (tmp_path / "cyclopts.py").write_text("raise KeyboardInterrupt\n")
    paths = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "skysift", "ls"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 130
    assert done.stderr == "skysift: stopped: by Ctrl-C; nothing was begun.\n"
