"""Ctrl-C and SIGTERM end a command in order."""

from __future__ import annotations

import contextlib
import signal
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
