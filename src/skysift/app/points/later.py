"""Work beside the event loop, of which only the newest counts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

_workers = ThreadPoolExecutor(2, thread_name_prefix="skysift-points")


class Latest:
    """Runs one job at a time in a thread; of those asked for meanwhile only the last is run.

    Outside a server (in tests, in a script) jobs run at once.

    Parameters
    ----------
    done : callable
        Takes a job's result, in the event loop, while the browser's document is locked.
    failed : callable
        Takes what a job raised.
    document : bokeh.document.Document, optional
        Of the browser.
    """

    def __init__(self, done: Callable[[Any], object], failed: Callable[[BaseException], object], document: Any) -> None:
        self._done, self._failed = done, failed
        self._document = document
        self._waiting: Callable[[], Any] | None = None
        self.busy = False

    def ask(self, job: Callable[[], Any]) -> None:
        """Run a job soon, in place of one that has not begun."""
        if self._document is None or self._document.session_context is None:
            self._done(job())
            return
        self._waiting = job
        if not self.busy:
            self._start()

    def _start(self) -> None:
        job, self._waiting = self._waiting, None
        if job is not None:
            self.busy = True
            _workers.submit(job).add_done_callback(self._hand_over)

    def _hand_over(self, future: Future[Any]) -> None:
        context = self._document.session_context
        if context is not None and not context.destroyed:  # the browser may have left meanwhile
            # the only method of a document that threads may call
            self._document.add_next_tick_callback(partial(self._finish, future))

    def _finish(self, future: Future[Any]) -> None:
        self.busy = False
        try:
            error = future.exception()
            if error is None:
                self._done(future.result())
            else:
                self._failed(error)
        finally:
            if not self.busy:
                self._start()
