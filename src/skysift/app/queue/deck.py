"""Which candidate comes next: unrated first, in order of rank; what was seen stays behind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


class Deck:
    """Candidates in order of rank, and those that were already dealt, in the order in which they were seen.

    The candidate that is looked at never changes by itself: neither a new order nor anybody's ratings move it.

    Parameters
    ----------
    order : array (n,) int
        Rows of the candidates, best first; a part of all rows where filters are set.
    rated : array (N,) bool
        Which of all rows are rated.
    """

    def __init__(self, order: Rows, rated: NDArray[np.bool_]) -> None:
        self.rated = rated
        self.trail: list[int] = []
        self.place = -1
        self._dealt = np.zeros(len(rated), bool)
        self.reorder(order)

    @property
    def current(self) -> int:
        """Row that is looked at, -1 if there is none."""
        return self.trail[self.place] if self.trail else -1

    def rank_of(self, row: int) -> int:
        """Return the rank of a row, 1 the best; 0 if it is no candidate."""
        return int(self._rank[row])

    def reorder(self, order: Rows, *, restart: bool = False) -> None:
        """Take a new order; what was seen and what is looked at stay, or with `restart` the best comes up."""
        self.order = np.asarray(order, np.int64)
        self._rank = np.zeros(len(self.rated), np.int64)
        self._rank[self.order] = np.arange(1, len(self.order) + 1)
        keep = [] if restart else self.trail[: self.place + 1]
        self._dealt[:] = False
        self._dealt[keep] = True
        self.trail, self.place = keep, len(keep) - 1
        if not self.trail:
            self.forward()

    def forward(self) -> int:
        """Go to the next candidate, or stay at the last; return the row."""
        if self.place + 1 >= len(self.trail):
            for row in self.undealt(1):
                self.trail.append(row)
                self._dealt[row] = True
        self.place = min(self.place + 1, len(self.trail) - 1)
        return self.current

    def back(self) -> int:
        """Go to the candidate seen before, or stay at the first; return the row."""
        self.place = max(self.place - 1, min(0, len(self.trail) - 1))
        return self.current

    def go_to(self, row: int) -> int:
        """Go to a row, whether it was seen or not; return it."""
        if row in self.trail:
            self.place = self.trail.index(row)
        else:
            self.trail.insert(self.place + 1, row)
            self._dealt[row] = True
            self.place += 1
        return self.current

    def undealt(self, count: int) -> list[int]:
        """Return the best candidates that were not seen: unrated ones, then the rated."""
        left = self.order[~self._dealt[self.order]]
        known = self.rated[left]
        fresh = left[~known][:count]
        return [int(row) for row in (*fresh, *left[known][: count - len(fresh)])]

    def upcoming(self, count: int) -> list[int]:
        """Return the rows that `forward` will show next."""
        ahead = self.trail[self.place + 1 : self.place + 1 + count]
        return ahead + self.undealt(count - len(ahead))

    def behind(self, count: int) -> list[int]:
        """Return the rows seen last before this one, the nearest last."""
        return self.trail[max(self.place - count, 0) : max(self.place, 0)]

    @property
    def left(self) -> int:
        """Number of candidates that are not rated."""
        return int((~self.rated[self.order]).sum())
