"""Progress: estimates from the pace, lines for logs."""

from __future__ import annotations

import heapq
import io
import itertools

import numpy as np
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


def test_quick_and_slow_steps_in_turns(clock: Clock) -> None:
    shown = Progress(quiet=True)
    for step in shown.track(range(6), label="work"):
        clock.now += 10 if step % 2 else 1
    [record] = shown.history
    assert record["estimate_at_third"] == pytest.approx(record["seconds"])


def test_estimate_at_a_third_is_kept(clock: Clock) -> None:
    shown = Progress(quiet=True)
    for _ in shown.track(range(30), label="work"):
        clock.now += 2
    [record] = shown.history
    assert record["seconds"] == pytest.approx(60)
    assert record["estimate_at_third"] == pytest.approx(60, rel=0.05)


def test_of_two_at_once_the_other_is_nearly_done_too(clock: Clock) -> None:
    with Progress(quiet=True).bar(2, "work", parallel=2) as bar:
        clock.now += 10
        bar.advance()
        assert bar.remaining() == pytest.approx(1.5)


def test_what_waits_takes_its_turn(clock: Clock) -> None:
    with Progress(quiet=True).bar(7, "work", parallel=3) as bar:
        assert bar.remaining() is None
        clock.now += 10
        bar.advance(3)
        assert bar.remaining() == pytest.approx(20)
        clock.now += 4
        assert bar.remaining() == pytest.approx(16)
        clock.now += 6
        bar.advance(3)
        assert bar.remaining() == pytest.approx(10)
        clock.now += 12
        bar.advance()
        assert bar.remaining() == 0


def test_later_rounds_tell_more_than_the_first(clock: Clock) -> None:
    with Progress(quiet=True).bar(20, "work", parallel=2) as bar:
        for pause in (30, 10):
            clock.now += pause
            bar.advance(2)
        assert bar.remaining() == pytest.approx(80)


def finished(durations: list[float], workers: int) -> list[float]:
    """When each task is seen to be done, in their order: never before those that stand in front of it."""
    free, ends = [0.0] * workers, []
    for duration in durations:
        ends.append(heapq.heapreplace(free, free[0] + duration) + duration)
    return list(itertools.accumulate(ends, max))


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
@pytest.mark.parametrize("tasks", [2, 3, 4, 7, 20, 100])
def test_within_thirty_percent_at_a_third(clock: Clock, workers: int, tasks: int) -> None:
    rng = np.random.default_rng(tasks)
    for _ in range(50):
        start = clock.now
        shown = Progress(quiet=True)
        with shown.bar(tasks, "work", parallel=workers) as bar:
            for end in finished(list(rng.uniform(0.9, 1.1, tasks)), workers):
                clock.now = start + end
                bar.advance()
        [record] = shown.history
        assert 0.7 < record["estimate_at_third"] / record["seconds"] < 1.3


def test_resumed_work_does_not_look_fast(clock: Clock) -> None:
    with Progress(quiet=True).bar(100, "work", done=90) as bar:
        clock.now += 5
        bar.advance()
        clock.now += 5
        bar.advance()
        assert bar.remaining() == pytest.approx(40)


def test_reported_work_that_was_done_before_does_not_look_fast(clock: Clock) -> None:
    with Progress(quiet=True).bar(1, "work") as bar:
        bar.update(9000, 10000)
        for done in (9100, 9200):
            clock.now += 5
            bar.update(done, 10000)
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
