"""What levels of clusters a number of points allows."""

from __future__ import annotations

from collections.abc import Sequence

from skysift.errors import RequestError


def check_levels(n: int, levels: Sequence[int], resample_points: Sequence[int] | None = None) -> None:
    """Check that each level has fewer clusters than there are points below it.

    Raises
    ------
    RequestError
        If not, or if `resample_points` does not name one number a level.
    """
    if not levels or min(levels) < 1:
        raise RequestError("levels needs at least one number of clusters, each at least 1, as in 1000,100,10")
    below = n
    for level, k in enumerate(levels, start=1):
        if k > below:
            what = f"the {n} points" if level == 1 else f"the {below} clusters of level {level - 1}"
            asked = ",".join(str(count) for count in levels)
            raise RequestError(
                f"levels {asked}: level {level} asks for {k} clusters of {what}; ask for at most {below}"
            )
        below = k
    if resample_points is not None and len(resample_points) != len(levels):
        raise RequestError(
            f"resample-points names {len(resample_points)} numbers for {len(levels)} levels; name one for each level"
        )
