"""Quotas of single clusters, as a request writes them: `LEVEL:CLUSTER=NUMBER`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

PATTERN = re.compile(r"(\d{1,3}):(\d{1,12})=(\d{1,12})")


class Quota(NamedTuple):
    """How many cutouts one cluster is to give.

    Attributes
    ----------
    level : int
        Counted from 1, the finest.
    cluster : int
        Number of the cluster within its level.
    number : int
        Cutouts; 0 leaves the cluster out.
    """

    level: int
    cluster: int
    number: int

    def __str__(self) -> str:
        return f"{self.level}:{self.cluster}={self.number}"


def read_quotas(texts: Iterable[str]) -> tuple[Quota, ...]:
    """Read quotas; they come back in order of level and cluster.

    Raises
    ------
    ValueError
        If a text is none, or two are for one cluster.
    """
    found: dict[tuple[int, int], Quota] = {}
    for text in texts:
        match = PATTERN.fullmatch(text.strip())
        if match is None or int(match[1]) < 1:
            raise ValueError(f"a quota is LEVEL:CLUSTER=NUMBER, as 2:7=40 with level 1 the finest, not {text!r}")
        quota = Quota(*(int(part) for part in match.groups()))
        if quota[:2] in found:
            raise ValueError(f"two quotas are for cluster {quota.cluster} of level {quota.level}: keep one")
        found[quota[:2]] = quota
    return tuple(sorted(found.values()))
