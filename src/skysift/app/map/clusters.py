"""Where clusters lie on a map, and which cutout stands for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skysift.app.points.cloud import Cloud
from skysift.app.points.raster import View

Rows = NDArray[np.int64]

MOST = 400  # clusters that are looked at, the largest first


@dataclass(frozen=True)
class Places:
    """Clusters on a map, the largest first.

    Attributes
    ----------
    number : ndarray of int, shape (k,)
        Of each cluster.
    size : ndarray of int, shape (k,)
        How many points it has on the map.
    exemplar : ndarray of int, shape (k,)
        Row of the point nearest to the median of its points.
    x, y : ndarray of float32, shape (k,)
        Where that point is.
    """

    number: Rows
    size: Rows
    exemplar: Rows
    x: NDArray[np.float32]
    y: NDArray[np.float32]


def cluster_places(cloud: Cloud, assigned: NDArray[np.integer], *, most: int = MOST) -> Places:
    """Find the largest clusters on a map, and a member in the middle of each.

    Parameters
    ----------
    cloud : Cloud
        N points.
    assigned : ndarray of int, shape (N,)
        Cluster of each.
    most : int
        How many clusters are looked at.
    """
    rows = np.flatnonzero(cloud.placed)
    order = rows[np.argsort(assigned[rows], kind="stable")]
    numbers, starts, sizes = np.unique(assigned[order], return_index=True, return_counts=True)
    largest = np.argsort(-sizes, kind="stable")[:most]
    exemplars = np.empty(len(largest), np.int64)
    for i, cluster in enumerate(largest):
        members = order[starts[cluster] : starts[cluster] + sizes[cluster]]
        x, y = cloud.x[members], cloud.y[members]
        exemplars[i] = members[np.argmin((x - np.median(x)) ** 2 + (y - np.median(y)) ** 2)]
    return Places(
        numbers[largest].astype(np.int64), sizes[largest].astype(np.int64), exemplars,
        cloud.x[exemplars], cloud.y[exemplars],
    )  # fmt: skip


def without_overlap(places: Places, view: View, *, width: float, height: float, most: int = 40) -> Rows:
    """Choose clusters whose labels fit into a view without touching each other, the largest first.

    Parameters
    ----------
    places : Places
        The clusters.
    view : View
        What is shown.
    width, height : float
        Of a label [pixel].
    most : int
        How many labels there may be.

    Returns
    -------
    ndarray of int
        Places in `places`.
    """
    x = (places.x - view.x0) / view.pixel
    y = (places.y - view.y0) / view.pixel
    inside = (x > width / 2) & (x < view.width - width / 2) & (y > height / 2) & (y < view.height - height / 2)
    chosen: list[int] = []
    for i in np.flatnonzero(inside):
        taken = np.array(chosen, np.intp)
        if not (np.maximum(np.abs(x[taken] - x[i]) / width, np.abs(y[taken] - y[i]) / height) < 1).any():
            chosen.append(int(i))
            if len(chosen) == most:
                break
    return np.array(chosen, np.int64)
