"""Progress: estimates from the pace, lines for logs."""

from __future__ import annotations

import io

import pytest

from skysift.store import progress
from skysift.store.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress.time, "monotonic", made)
    return made


def test_estimate_leaves_out_the_start_up(clock: Clock) -> None:
    with Progress(quiet=True).bar(31, "work") as bar:
        clock.now += 20
        bar.advance()
        for _ in range(10):
            clock.now += 1
            bar.advance()
        assert bar.remaining() == pytest.approx(20)


def test_estimate_at_a_third_is_kept(clock: Clock) -> None:
    shown = Progress(quiet=True)
    for _ in shown.track(range(30), label="work"):
        clock.now += 2
    [record] = shown.history
    assert record["seconds"] == pytest.approx(60)
    assert record["estimate_at_third"] == pytest.approx(60, rel=0.05)


def test_what_is_under_way_counts_half(clock: Clock) -> None:
    with Progress(quiet=True).bar(2, "work", parallel=2) as bar:
        clock.now += 9
        bar.advance()
        assert bar.remaining() == pytest.approx(3)


def test_resumed_work_does_not_look_fast(clock: Clock) -> None:
    with Progress(quiet=True).bar(100, "work", done=90) as bar:
        clock.now += 5
        bar.advance()
        clock.now += 5
        bar.advance()
        assert bar.remaining() == pytest.approx(40)


def test_lines_for_logs_and_silence(clock: Clock) -> None:
    stream = io.StringIO()
    for _ in Progress(stream=stream).track(range(40), label="slow work"):
        clock.now += 1
    lines = stream.getvalue().splitlines()
    assert 4 <= len(lines) <= 6
    assert "slow work" in lines[0]
    assert "left" in lines[0]
    assert lines[-1].endswith("40/40 40 s")
    quick = io.StringIO()
    for _ in Progress(stream=quick).track(range(3), label="quick"):
        clock.now += 0.1
    assert quick.getvalue() == ""
