"""Progress on stderr: a live bar on a terminal, a line now and then elsewhere, with the time that remains."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from skysift.readable import clock

T = TypeVar("T")
QUIET_SECONDS = 2.0
LINE_SECONDS = 10.0


class Bar:
    """Counts finished steps and estimates what remains from the mean pace since the first one finished.

    Where several steps are worked on at once (`parallel`), those under way count half until the pace is known.
    """

    def __init__(self, total: int, label: str, stream: Any, done: int = 0, parallel: int = 1) -> None:
        self.total, self.label, self.done, self.parallel = total, label, done, parallel
        self._stream, self._note = stream, ""
        self._start = self._last = time.monotonic()
        self._first: tuple[float, int] | None = None
        self._third: float | None = None
        self._initial = done
        self._live = bool(getattr(stream, "isatty", lambda: False)())
        self._shown = False

    def advance(self, n: int = 1) -> None:
        """Count `n` more finished steps."""
        self.done += n
        now = time.monotonic()
        if self._first is None:
            self._first = (now, self.done)
        if self._third is None and 3 * (self.done - self._initial) >= self.total - self._initial:
            left = self.remaining()
            self._third = None if left is None else now - self._start + left
        self._show(now)

    def update(self, done: int, total: int, note: str = "") -> None:
        """Take over the counts of a function that reports `(done, total, what)` itself."""
        self.total = total
        self.note(note)
        self.advance(done - self.done)

    def note(self, text: str) -> None:
        """Set the text at the end of the line (loss, images/s ...)."""
        self._note = text

    def remaining(self) -> float | None:
        """Return the estimated seconds to the end, None while nothing is known."""
        if self._first is None:
            return None
        now = time.monotonic()
        when, count = self._first
        steps, left = self.done - count, self.total - self.done
        enough = 2 * self.parallel if self.parallel > 1 else 1
        if steps >= max(enough, count - self._initial):
            return (now - when) / steps * left
        half_done = 0.5 * min(self.parallel, left) if self.parallel > 1 else 0.0
        finished = self.done - self._initial + half_done
        return (now - self._start) / finished * (left - half_done) if finished else None

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
