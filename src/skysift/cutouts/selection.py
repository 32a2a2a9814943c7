"""Exact medians and median absolute deviations of windows that share pixels.

Overlapping windows share most of their pixels, so sorting each window repeats the same work (four times over at an
overlap of one half). Here the pixels are put into fine brightness bins once, block by block, with a linear-time
counting sort; a window is a union of blocks, its cumulative histogram is the sum of theirs, and only the few pixels
in the bins around the wanted ranks are looked at one by one. The results are those of `numpy.median` to the last bit,
whatever the bins are: bins only decide how much work is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["median_and_mad"]

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]

MAX_CANDIDATES = 2048
"""Pixels looked at one by one in a window; beyond it (few distinct values) the window is partitioned as a whole."""

_CHUNK_PIXELS = 1 << 18  # stays in a core's own cache
_LITTLE_PIXELS = 1 << 15
_PIXELS_PER_BIN = 3
_SAMPLES = 64
_LEAST_SAMPLES = 8
_SPAN_IN_MADS = 2.5
_MAX_STRETCH = 8.0


@dataclass(frozen=True)
class _Binned:
    """Pixels of K blocks grouped by brightness bin; the last of the `bins` holds the pixels without data."""

    values: Float32Array
    starts: NDArray[np.int32]  # (K, bins): where a block's bin begins in `values`
    origin: np.float32
    scale: np.float32

    @property
    def bins(self) -> int:
        return int(self.starts.shape[1])

    def code(self, values: Float32Array) -> NDArray[np.int32]:
        """Bin of each finite value; monotonic, with open first and last (`bins - 2`) bins."""
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = np.subtract(values, self.origin)
            scaled *= self.scale
            np.fmax(scaled, np.float32(0), out=scaled)
            np.fmin(scaled, np.float32(self.bins - 2), out=scaled)
        return scaled.astype(np.int32)


def median_and_mad(
    blocks: Float32Array, finite: NDArray[np.bool_] | None, members: IntArray
) -> tuple[Float32Array, Float32Array]:
    """Median and median absolute deviation of windows given as unions of blocks of pixels.

    Parameters
    ----------
    blocks : ndarray, shape (K, n), float32
        Pixels of the K blocks.
    finite : ndarray, shape (K, n), bool, or None
        Which pixels count; None when all do.
    members : ndarray, shape (W, L), int
        Blocks of each window. A window may not name a block twice.

    Returns
    -------
    median, mad : ndarray, shape (W,), float32
        In the unit of the pixels, NaN for windows without data. Equal to `numpy.median(x)` and
        `numpy.median(abs(x - median))` of a window's finite pixels x in float32.
    """
    windows, parts = members.shape
    median = np.full(windows, np.nan, np.float32)
    mad = np.full(windows, np.nan, np.float32)
    if windows == 0 or blocks.size == 0:
        return median, mad
    # For little work the fixed cost of binning is more than it saves.
    little = windows * parts * blocks.shape[1] <= _LITTLE_PIXELS
    limits = None if little else _bin_limits(blocks, finite)
    todo = np.arange(windows)
    if limits is not None:
        bins = int(np.clip(blocks.shape[1] // _PIXELS_PER_BIN, 64, 4096))
        binned = _bin(blocks, finite, bins, *limits)
        before = binned.starts - binned.starts[:, :1]
        cumulative = before[members[:, 0]]
        for part in range(1, parts):
            cumulative += before[members[:, part]]
        todo = _select(binned, cumulative, members, median, mad)
    for window in todo.tolist():
        _partition(blocks, finite, members[window], window, median, mad)
    return median, mad


def _bin_limits(blocks: Float32Array, finite: NDArray[np.bool_] | None) -> tuple[float, float] | None:
    """Brightness range that holds median +- MAD of nearly every block, guessed from a few pixels of each.

    None where there are too few pixels, or where their range is too narrow or too wide for float32 bins.
    """
    stride = max(1, blocks.shape[1] // _SAMPLES)
    sample = blocks[:, ::stride].astype(np.float64)
    if finite is not None:
        sample = np.where(finite[:, ::stride], sample, np.nan)
    counts = np.count_nonzero(~np.isnan(sample), axis=1)
    enough = counts >= _LEAST_SAMPLES
    sample, counts = sample[enough], counts[enough]
    if not len(sample):
        return None
    rows, middle = np.arange(len(sample)), counts // 2
    sample.sort(axis=1)
    centre = sample[rows, middle]
    deviation = np.abs(sample - centre[:, None])
    deviation.sort(axis=1)
    spread = deviation[rows, middle]
    span = _SPAN_IN_MADS * spread
    low, high = centre - span, centre + span
    middle_of_all, typical = float(np.median(centre)), float(np.median(span))
    reach = _MAX_STRETCH * typical if typical > 0 else np.inf
    lower = max(float(low.min()), middle_of_all - reach)
    upper = min(float(high.max()), middle_of_all + reach)
    return (lower, upper) if 1e-30 < upper - lower < 1e30 else None


def _bin(blocks: Float32Array, finite: NDArray[np.bool_] | None, bins: int, low: float, high: float) -> _Binned:
    """Group the pixels by block and bin, in linear time."""
    from scipy.sparse import csr_array

    count, size = blocks.shape
    scale = np.float32((bins - 3) / (high - low))
    # The first bin is open below, so that the range proper begins one bin width above `origin`.
    origin = np.float32(low - (high - low) / (bins - 3))
    binned = _Binned(np.empty(blocks.size, np.float32), np.empty((count, bins), np.int32), origin, scale)
    step = max(1, _CHUNK_PIXELS // size)
    for begin in range(0, count, step):
        chunk = slice(begin, min(begin + step, count))
        pixels, first = blocks[chunk], begin * size
        keys = binned.code(pixels)
        if finite is not None:
            keys[~finite[chunk]] = bins - 1
        keys += (np.arange(len(pixels), dtype=np.int32) * bins)[:, None]
        # The transpose of a one-row sparse matrix is a counting sort by column, done in C.
        row = csr_array(
            (pixels.ravel(), keys.ravel(), np.array([0, pixels.size], np.int32)), shape=(1, len(pixels) * bins)
        ).tocsc()
        binned.values[first : first + pixels.size] = row.data
        np.add(row.indptr[:-1].reshape(len(pixels), bins), first, out=binned.starts[chunk])
    return binned


def _select(
    binned: _Binned,
    cumulative: NDArray[np.int32],
    members: IntArray,
    median: Float32Array,
    mad: Float32Array,
) -> IntArray:
    """Fill in `median` and `mad` where the bins resolve them; return the windows where they do not."""
    last = binned.bins - 1
    valid = cumulative[:, last].astype(np.int64)
    rows = np.flatnonzero(valid > 0)
    first, second = (valid - 1) // 2, valid // 2
    # Median: the bins that hold the one or two middle ranks.
    low = _bin_of_rank(cumulative, rows, first[rows])
    high = _bin_of_rank(cumulative, rows, second[rows])
    fits = (low >= 1) & (high <= last - 2)
    fits &= cumulative[rows, high + 1] - cumulative[rows, low] <= MAX_CANDIDATES
    rejected = [rows[~fits]]
    rows, low, high = rows[fits], low[fits], high[fits]
    if not len(rows):
        return np.sort(np.concatenate(rejected))
    found = _gather(binned, members[rows], [(low, high + 1)])
    found.sort(axis=1)
    median[rows] = _middle(found, first[rows], second[rows], cumulative[rows, low])

    # MAD: pixels whose bin lies `distance` bins from the median's. With inner(d) the number of pixels at most d bins
    # away and d0 the largest d with inner(d) <= rank, the wanted deviation lies between d0 and d0 + 2 bin widths
    # (each pixel and the median are known to one bin, the rounding of bins is far below one), so that pixels at
    # most d0 - 2 bins away come before it and those at least d0 + 4 away after it.
    centre = binned.code(median[rows]).astype(np.int64)
    near = _distance_of_rank(cumulative, rows, centre, first[rows])
    far = _distance_of_rank(cumulative, rows, centre, second[rows])
    inner, outer = np.maximum(near - 2, -1), far + 3
    # The open bins at both ends say nothing about distance, so they may not be among those counted within d0 + 1.
    fits = (centre - far - 1 >= 1) & (centre + far + 1 <= last - 2)
    before = np.where(inner >= 0, _inner(cumulative, rows, centre, inner), 0)
    fits &= _inner(cumulative, rows, centre, outer) - before <= MAX_CANDIDATES
    rejected.append(rows[~fits])
    rows, centre, inner, outer, before = (array[fits] for array in (rows, centre, inner, outer, before))
    if len(rows):
        below_end = np.where(inner < 0, centre, centre - inner)
        above_begin = np.where(inner < 0, centre, centre + inner + 1)
        below = (np.maximum(centre - outer, 0), below_end)
        above = (above_begin, np.minimum(centre + outer + 1, last))
        found = _gather(binned, members[rows], [below, above])
        found -= median[rows, None]
        np.abs(found, out=found)
        found.sort(axis=1)
        mad[rows] = _middle(found, first[rows], second[rows], before)
    return np.sort(np.concatenate(rejected))


def _inner(cumulative: NDArray[np.int32], rows: IntArray, centre: IntArray, distance: IntArray) -> IntArray:
    """Number of pixels in the bins at most `distance` (>= 0) from `centre`."""
    last = cumulative.shape[1] - 1
    upper = cumulative[rows, np.minimum(centre + distance + 1, last)]
    return (upper - cumulative[rows, np.maximum(centre - distance, 0)]).astype(np.int64)


def _bin_of_rank(cumulative: NDArray[np.int32], rows: IntArray, rank: IntArray) -> IntArray:
    """Bin that holds the pixel of a 0-based rank: the last with no more than `rank` pixels before it."""
    low = np.zeros(len(rows), np.int64)
    high = np.full(len(rows), cumulative.shape[1] - 1, np.int64)
    for _ in range(int(cumulative.shape[1]).bit_length()):
        middle = (low + high) // 2
        before = cumulative[rows, middle] <= rank
        low, high = np.where(before, middle, low), np.where(before, high, middle)
    return low


def _distance_of_rank(cumulative: NDArray[np.int32], rows: IntArray, centre: IntArray, rank: IntArray) -> IntArray:
    """Largest distance in bins with no more than `rank` pixels within it; -1 where the centre's bin holds more."""
    low = np.full(len(rows), -1, np.int64)
    high = np.full(len(rows), cumulative.shape[1], np.int64)
    for _ in range(int(cumulative.shape[1] + 1).bit_length()):
        middle = np.maximum((low + high) // 2, 0)
        within = _inner(cumulative, rows, centre, middle) <= rank
        low, high = np.where(within, np.maximum(low, middle), low), np.where(within, high, np.minimum(high, middle))
    return low


def _gather(binned: _Binned, members: IntArray, ranges: list[tuple[IntArray, IntArray]]) -> Float32Array:
    """Pixels of each window in its ranges of bins [begin, end), as rows padded with infinity."""
    starts = np.concatenate([binned.starts[members, begin[:, None]] for begin, _ in ranges], axis=1).astype(np.int64)
    ends = np.concatenate([binned.starts[members, end[:, None]] for _, end in ranges], axis=1)
    counts = np.maximum(ends - starts, 0)
    per_window = counts.sum(axis=1)
    padded = np.full((len(members), int(per_window.max(initial=1))), np.inf, np.float32)
    flat_counts = counts.ravel()
    offsets = np.cumsum(flat_counts) - flat_counts
    steps = np.arange(int(flat_counts.sum()))
    source = np.repeat(starts.ravel() - offsets, flat_counts)
    source += steps
    firsts = np.arange(len(members)) * padded.shape[1] - (np.cumsum(per_window) - per_window)
    target = np.repeat(firsts, per_window)
    target += steps
    padded.ravel()[target] = binned.values[source]
    return padded


def _middle(ordered: Float32Array, first: IntArray, second: IntArray, before: NDArray[np.integer]) -> Float32Array:
    """Mean of the two middle ranks, as `numpy.median` takes it, in rows that begin `before` ranks in."""
    rows = np.arange(len(ordered))
    a, b = ordered[rows, first - before], ordered[rows, second - before]
    with np.errstate(over="ignore"):
        return np.where(first == second, a, (a + b) / np.float32(2)).astype(np.float32)


def _partition(
    blocks: Float32Array,
    finite: NDArray[np.bool_] | None,
    parts: IntArray,
    window: int,
    median: Float32Array,
    mad: Float32Array,
) -> None:
    values = blocks[parts].ravel() if finite is None else blocks[parts][finite[parts]]
    if values.size:
        median[window] = np.median(values)
        values -= median[window]
        mad[window] = np.median(np.abs(values, out=values))
