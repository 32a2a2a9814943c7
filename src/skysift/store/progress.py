"""Progress on stderr: a live bar on a terminal, a line now and then elsewhere, with the time that remains."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from skysift.readable import clock

T = TypeVar("T")
QUIET_SECONDS = 2.0
LINE_SECONDS = 10.0
OVERDUE = 0.15
"""What is left of a step that takes longer than the mean, as a fraction of the mean."""


class Pace:
    """The mean pace of steps that are done one after the other.

    The first one is left out where it took longer than those after it: what comes before it (a model is loaded, files
    are opened) does not come again.
    """

    def __init__(self, start: float) -> None:
        self._start = start
        self._done = 0
        self._first: tuple[float, int] | None = None

    def finish(self, now: float, n: int) -> None:
        """Count `n` more steps."""
        self._done += n
        if self._first is None and self._done:
            self._first = (now, self._done)

    def remaining(self, now: float, left: int) -> float | None:
        """Return the seconds that `left` further steps take, None while nothing is known."""
        if self._first is None:
            return None
        when, count = self._first
        each = (now - self._start) / self._done
        if self._done - count >= count:
            each = min(each, (now - when) / (self._done - count))
        return each * left


class Slots:
    """The pace of steps of which `slots` are worked on at once, each new one as soon as another has finished.

    A step takes as long as those that finished, without the first round where a later one is done (workers import
    what they need then). What remains is as long as the steps under way and those that wait take on that many slots.
    """

    def __init__(self, start: float, slots: int) -> None:
        self._slots = slots
        self._under_way = deque([start] * slots)
        self._rounds = [(0, 0.0), (0, 0.0)]  # steps and their seconds: of the first round, and later

    def finish(self, now: float, n: int) -> None:
        """Count `n` more steps, in the order in which they began."""
        for _ in range(n):
            late = sum(count for count, _ in self._rounds) >= self._slots
            count, seconds = self._rounds[late]
            self._rounds[late] = (count + 1, seconds + now - self._under_way.popleft())
            self._under_way.append(now)

    def remaining(self, now: float, left: int) -> float | None:
        """Return the seconds that `left` further steps take, None while nothing is known."""
        (first, first_seconds), (late, late_seconds) = self._rounds
        if not first or not left:
            return 0.0 if first else None
        if late >= self._slots:
            each = late_seconds / late
        else:
            each = (first_seconds + late_seconds) / (first + late)
        begun = list(self._under_way)[:left]
        free = sorted(max(start + each - now, OVERDUE * each) for start in begun)
        rounds, more = divmod(left - len(begun), self._slots)
        return rounds * each + max(free[-1], free[more - 1] + each if more else 0.0)


class Bar:
    """Counts finished steps and estimates what remains.

    Parameters
    ----------
    total : int
        Steps in all; they take about as long as each other.
    label : str
        What is being done.
    stream : file
        Where to show it.
    done : int
        Steps that were finished before.
    parallel : int
        Steps that are worked on at once.
    """

    def __init__(self, total: int, label: str, stream: Any, done: int = 0, parallel: int = 1) -> None:
        self.total, self.label, self.done = total, label, done
        self._stream, self._note = stream, ""
        self._start = self._last = time.monotonic()
        self._pace = Slots(self._start, parallel) if parallel > 1 else Pace(self._start)
        self._third: float | None = None
        self._initial = done
        self._live = bool(getattr(stream, "isatty", lambda: False)())
        self._shown = self._counted = False

    def advance(self, n: int = 1) -> None:
        """Count `n` more finished steps."""
        self.done += n
        now = time.monotonic()
        self._pace.finish(now, n)
        if self._third is None and 3 * (self.done - self._initial) >= self.total - self._initial:
            left = self.remaining()
            self._third = None if left is None else now - self._start + left
        self._show(now)

    def update(self, done: int, total: int, note: str = "") -> None:
        """Take over the counts of a function that reports `(done, total, what)` itself, first what it begins with."""
        self.note(note)
        if not self._counted:
            self.total, self.done, self._initial, self._counted = total, done, done, True
            return
        self.total = total
        self.advance(done - self.done)

    def note(self, text: str) -> None:
        """Set the text at the end of the line (loss, images/s ...)."""
        self._note = text

    def remaining(self) -> float | None:
        """Return the estimated seconds to the end, None while nothing is known."""
        return self._pace.remaining(time.monotonic(), self.total - self.done)

    def close(self) -> dict[str, Any]:
        """End the line; return what was estimated at one third and what it took, in seconds."""
        now = time.monotonic()
        if self._shown:
            self._show(now, last=True)
        return {
            "label": self.label,
            "steps": self.total,
            "seconds": now - self._start,
            "estimate_at_third": self._third,
        }

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _show(self, now: float, *, last: bool = False) -> None:
        if not self._shown and now - self._start < QUIET_SECONDS and not last:
            return
        pause = 0.2 if self._live else LINE_SECONDS
        if self._shown and now - self._last < pause and not last:
            return
        self._last, self._shown = now, True
        share = self.done / self.total if self.total else 1.0
        left = self.remaining()
        time_text = clock(now - self._start) if last else f"{clock(left)} left" if left is not None else "..."
        filled = int(24 * min(share, 1.0))
        line = "━" * filled + "╌" * (24 - filled)
        text = f"{self.label:<24.24} {line} {self.done}/{self.total} {time_text}  {self._note}"
        if self._live:
            self._stream.write("\r\x1b[2K" + text.rstrip()[:160] + ("\n" if last else ""))
        else:
            self._stream.write(text.rstrip() + "\n")
        self._stream.flush()


class Progress:
    """Makes bars and remembers how good their estimates were."""

    def __init__(self, *, quiet: bool = False, stream: Any = None) -> None:
        self.quiet = quiet
        self.history: list[dict[str, Any]] = []
        self._stream = stream

    def bar(self, total: int, label: str, *, done: int = 0, parallel: int = 1) -> Bar:
        """Start a bar over `total` steps, of which `done` were finished before and `parallel` run at once."""
        stream = _Silent() if self.quiet else (self._stream or sys.stderr)
        return _Recorded(self.history, total, label, stream, done, parallel)

    def track(
        self, items: Iterable[T], *, label: str, total: int | None = None, done: int = 0, parallel: int = 1
    ) -> Iterator[T]:
        """Yield the items, counting each when the next one is asked for."""
        if total is None:
            total = len(items)  # type: ignore[arg-type]
        with self.bar(total, label, done=done, parallel=parallel) as bar:
            for item in items:
                yield item
                bar.advance()


class _Recorded(Bar):
    def __init__(self, history: list[dict[str, Any]], *arguments: Any) -> None:
        super().__init__(*arguments)
        self._history = history

    def close(self) -> dict[str, Any]:
        record = super().close()
        self._history.append(record)
        return record


class _Silent:
    def write(self, text: str) -> None:
        """Say nothing."""

    def flush(self) -> None:
        """Do nothing."""
