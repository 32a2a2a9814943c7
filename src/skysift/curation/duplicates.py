"""Near-duplicates: windows that share sky, and cutouts of one leaf whose features point the same way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from skysift.cutouts.catalogue import Catalogue

Rows = NDArray[np.int64]
Shares = NDArray[np.float64]
BLOCK = 1024
TOUCHING = 1e-5
"""Share of sky up to which windows of two images that only touch may seem to overlap."""


@dataclass(frozen=True)
class Removed:
    """Rows left out, each with the row that stays in its place.

    Attributes
    ----------
    rows, kept : array (M,) int64
    likeness : array (M,) float64
        Shared fraction, or cosine.
    """

    rows: Rows
    kept: Rows
    likeness: Shares


def ranking(snr: NDArray[np.floating]) -> Rows:
    """Return the rows from the one to keep first: falling signal-to-noise ratio (NaN last), then by row."""
    strength = np.where(np.isnan(snr), -np.inf, snr)
    return np.lexsort((np.arange(len(snr)), -strength)).astype(np.int64)


def window_overlaps(catalogue: Catalogue, fraction: float) -> tuple[Rows, Rows, Shares]:
    """Find cutouts that share more than `fraction` of the smaller one: pixels of one image, or sky of two.

    Returns
    -------
    Like `pixel_overlaps`.
    """
    image = catalogue.mosaic_rows()
    plane = np.unique(np.stack([image, catalogue.column("plane").astype(np.int64)]), axis=1, return_inverse=True)[1]
    plane = plane.reshape(-1).astype(np.int64)
    windows = catalogue.windows
    scale = catalogue.mosaics.column("pixel_scale").to_numpy().astype(np.float64)[image] / 3600.0
    ra, dec = (catalogue.column(name).astype(np.float64) for name in ("ra", "dec"))
    parts = [
        pixel_overlaps(windows, plane, fraction),
        sky_overlaps(ra, dec, windows[:, 2:] * scale[:, None], plane, max(fraction, TOUCHING)),
    ]
    return _joined(parts)


def pixel_overlaps(windows: NDArray[np.int64], image: NDArray[np.int64], fraction: float) -> tuple[Rows, Rows, Shares]:
    """Find windows of the same image that share more than `fraction` of the smaller one.

    Parameters
    ----------
    windows : array (N, 4) int64
        x0, y0, width, height [pixel].
    image : array (N,) int64
        Which image each window lies in.
    fraction : float
        In [0, 1).

    Returns
    -------
    first, second : array (M,) int64
        Pairs of rows, first < second.
    share : array (M,) float64
        Shared area over the area of the smaller window.
    """
    found = []
    order = np.argsort(image, kind="stable")
    bounds = np.flatnonzero(np.r_[True, np.diff(image[order]) != 0, True])
    for start, stop in pairwise(bounds):
        rows = order[start:stop]
        low = windows[rows, :2].astype(np.float64)
        size = windows[rows, 2:].astype(np.float64)
        found.append(_overlaps(low + size / 2, size, rows, fraction, low + size / 2, float(size.max()), np.inf))
    return _joined(found)


def sky_overlaps(
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    side: NDArray[np.float64],
    image: NDArray[np.int64],
    fraction: float,
) -> tuple[Rows, Rows, Shares]:
    """Find windows of different images that share more than `fraction` of the smaller one's sky.

    Windows count as rectangles along right ascension and declination, in the tangent plane at their middle.

    Parameters
    ----------
    ra, dec : array (N,) float64
        Centres, ICRS [deg]; NaN where unknown: those overlap nothing.
    side : array (N, 2) float64
        Width and height [deg].
    image : array (N,) int64
        Which image each window lies in; pairs of one image are left to `pixel_overlaps`.
    fraction : float
        In [0, 1).

    Returns
    -------
    Like `pixel_overlaps`.
    """
    rows = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec) & np.isfinite(side).all(1))
    if len(rows) < 2 or len(np.unique(image[rows])) < 2:
        return _joined([])
    lon, lat = np.radians(ra[rows]), np.radians(dec[rows])
    unit = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    reach = 2 * np.sin(np.radians(np.hypot(*side[rows].max(0))) / 2)
    first, second, share = _overlaps(
        np.stack([ra[rows], dec[rows]], axis=1), side[rows], rows, fraction, unit, float(reach), 2.0, sky=True
    )
    apart = image[first] != image[second]
    return first[apart], second[apart], share[apart]


def _overlaps(
    centres: Shares,
    size: Shares,
    rows: Rows,
    fraction: float,
    points: Shares,
    reach: float,
    norm: float,
    *,
    sky: bool = False,
) -> tuple[Rows, Rows, Shares]:
    pairs = cKDTree(points).query_pairs(reach, p=norm, output_type="ndarray").reshape(-1, 2)
    one, two = pairs[:, 0], pairs[:, 1]
    apart = centres[one] - centres[two]
    if sky:
        apart[:, 0] = (apart[:, 0] + 180) % 360 - 180
        apart[:, 0] *= np.cos(np.radians((centres[one, 1] + centres[two, 1]) / 2))
    low = np.maximum(apart - size[one] / 2, -size[two] / 2)
    high = np.minimum(apart + size[one] / 2, size[two] / 2)
    shared = np.clip(high - low, 0, None).prod(1)
    share = shared / np.minimum(size[one].prod(1), size[two].prod(1))
    keep = share > fraction * (1 + 1e-9)
    first, second = rows[one[keep]], rows[two[keep]]
    return np.minimum(first, second), np.maximum(first, second), share[keep]


def _joined(parts: list[tuple[Rows, Rows, Shares]]) -> tuple[Rows, Rows, Shares]:
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    first, second, share = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((second, first))
    return first[order], second[order], share[order]


def thin(pairs: tuple[Rows, Rows, Shares], snr: NDArray[np.floating]) -> Removed:
    """Leave out rows until no pair is left; of a pair the one of higher signal-to-noise ratio stays.

    Rows are kept greedily in the order of `ranking`, so the result does not depend on the order of the pairs.
    """
    first, second, share = pairs
    n = len(snr)
    both = (np.r_[share, share], (np.r_[first, second], np.r_[second, first]))
    graph = csr_array(both, shape=(n, n))
    keeper = np.full(n, -1, dtype=np.int64)
    likeness = np.zeros(n)
    involved = np.zeros(n, dtype=bool)
    involved[first] = involved[second] = True
    order = ranking(snr)
    for row in order[involved[order]]:
        if keeper[row] >= 0:
            continue
        part = slice(graph.indptr[row], graph.indptr[row + 1])
        near, values = graph.indices[part], graph.data[part]
        fresh = (keeper[near] < 0) & (near != row)
        keeper[near[fresh]], likeness[near[fresh]] = row, values[fresh]
    rows = np.flatnonzero(keeper >= 0)
    return Removed(rows, keeper[rows], likeness[rows])


def cosine_duplicates(
    features: NDArray[np.float32], leaf: NDArray[np.int32], rows: Rows, snr: NDArray[np.floating], threshold: float
) -> Removed:
    """Leave out rows whose features point the way of a kept row's of the same leaf: cosine > `threshold`.

    Parameters
    ----------
    features : array (N, D) float32
        As they were clustered; may be a memory map. Rows of zeros resemble nothing.
    leaf : array (N,) int32
        Level-1 cluster of each row.
    rows : array (M,) int64
        Rows that are still in.
    snr : array (N,) float
        Decides who stays, see `ranking`.
    threshold : float
        In [-1, 1].
    """
    place = np.empty(len(snr), dtype=np.int64)
    place[ranking(snr)] = np.arange(len(snr))
    order = rows[np.lexsort((place[rows], leaf[rows]))]
    bounds = np.flatnonzero(np.r_[True, np.diff(leaf[order]) != 0, True])
    found = [
        _leaf_duplicates(features, order[start:stop], threshold) for start, stop in pairwise(bounds) if stop - start > 1
    ]
    out, kept, cosine = _joined(found)
    return Removed(out, kept, cosine)


def _leaf_duplicates(features: NDArray[np.float32], members: Rows, threshold: float) -> tuple[Rows, Rows, Shares]:
    """Go through the members of one leaf, best first, in blocks."""
    vectors = np.array(features[members], dtype=np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    keeper = np.full(len(members), -1, dtype=np.int64)
    cosine = np.zeros(len(members))
    kept: list[int] = []
    for start in range(0, len(members), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(members)))
        if kept:
            against = vectors[block] @ vectors[kept].T
            like = against > threshold
            hit = like.any(1)
            which = like.argmax(1)
            keeper[block[hit]] = np.asarray(kept)[which[hit]]
            cosine[block[hit]] = against[hit, which[hit]]
        inside = vectors[block] @ vectors[block].T
        for i, row in enumerate(block):
            if keeper[row] >= 0:
                continue
            kept.append(int(row))
            later = block[i + 1 :]
            fresh = (inside[i, i + 1 :] > threshold) & (keeper[later] < 0)
            keeper[later[fresh]] = row
            cosine[later[fresh]] = inside[i, i + 1 :][fresh]
    out = np.flatnonzero(keeper >= 0)
    return members[out], members[keeper[out]], cosine[out]
