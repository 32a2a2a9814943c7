"""How few and how many cutouts each cluster may give once some have a quota."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skysift.curation.quotas import Quota
from skysift.curation.sampling.pool import Pool, Rows
from skysift.errors import RequestError

UNLIMITED = 1 << 40


@dataclass(frozen=True)
class Bounds:
    """Least and most that each cluster may give, by level.

    Attributes
    ----------
    least : list of array (k_l,) int64
        Sum of the quotas in a cluster; its own quota where it has one.
    most : list of array (k_l,) int64
        What it holds, less what quotas within it rule out; its own quota where it has one.
    """

    least: list[Rows]
    most: list[Rows]

    @classmethod
    def of(cls, pool: Pool, quotas: Sequence[Quota]) -> Bounds:
        """Work out the bounds from the finest level up.

        Raises
        ------
        RequestError
            If a quota names no cluster, asks for more than it can give, or for less than the quotas within it.
        """
        paths = pool.paths[pool.rows]
        least, most = list[Rows](), list[Rows]()
        for level in range(paths.shape[1]):
            held = np.bincount(paths[:, level], minlength=int(pool.paths[:, level].max()) + 1)
            if level:
                low, high = np.zeros_like(held), np.zeros_like(held)
                below, first = np.unique(paths[:, level - 1], return_index=True)
                parents = paths[first, level]
                np.add.at(low, parents, least[-1][below])
                np.add.at(high, parents, most[-1][below])
            else:
                low, high = np.zeros_like(held), np.where(held > 0, UNLIMITED, 0) if pool.repeats else held.copy()
            for quota in (q for q in quotas if q.level == level + 1):
                _check(quota, held, low, high)
                low[quota.cluster] = high[quota.cluster] = quota.number
            least.append(low)
            most.append(high)
        for quota in quotas:
            if quota.level > paths.shape[1]:
                raise RequestError(f"quota {quota}: the tree has {paths.shape[1]} levels; name one of them")
        return cls(least, most)

    def check_target(self, target: int) -> None:
        """Check that the top clusters can give the target.

        Raises
        ------
        RequestError
            If quotas ask for more, or leave room for less.
        """
        low, high = int(self.least[-1].sum()), int(self.most[-1].sum())
        if target < low:
            raise RequestError(
                f"quotas ask for {low} cutouts and the target size is {target}: raise it or lower the quotas"
            )
        if target > high:
            raise RequestError(
                f"quotas leave {high} cutouts for a target size of {target}: lower it or raise the quotas"
            )


def _check(quota: Quota, held: Rows, low: Rows, high: Rows) -> None:
    if quota.cluster >= len(held) or not held[quota.cluster]:
        raise RequestError(f"quota {quota}: level {quota.level} has no cutouts in a cluster {quota.cluster}")
    if quota.number > high[quota.cluster]:
        raise RequestError(f"quota {quota}: the cluster can give {high[quota.cluster]}; ask for at most that")
    if quota.number < low[quota.cluster]:
        raise RequestError(
            f"quota {quota}: the quotas within the cluster ask for {low[quota.cluster]}; ask for at least that"
        )
