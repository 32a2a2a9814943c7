"""Components and peaks of a source's own noise-free brightness (Wu et al. 2019, MNRAS 482, 1211)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from skysift.sky.simulate.beam import Float64
from skysift.sky.simulate.noise import Float32

EIGHT = np.ones((3, 3), dtype=bool)


def count_components(data: Float64 | Float32, threshold: float) -> int:
    """Count the 8-connected islands of `data` above a threshold [same unit]."""
    return int(ndimage.label(data > threshold, structure=EIGHT)[1])


def count_peaks(data: Float64 | Float32, threshold: float, prominence: float) -> int:
    """Count the maxima above a threshold that rise a prominence above the saddle towards a higher one.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
        Noise-free brightness.
    threshold : float
        Least brightness of a maximum, and the level below which islands are apart.
    prominence : float
        Least rise above the highest saddle that leads to a brighter maximum; the brightest maximum of an
        island always counts.

    Returns
    -------
    int
    """
    tops = np.argwhere((data == ndimage.maximum_filter(data, size=3)) & (data > threshold))
    heights = data[tops[:, 0], tops[:, 1]]
    order = np.argsort(-heights, kind="stable")
    tops, heights = tops[order], heights[order]
    kept = min(len(tops), 1)
    for i in range(1, len(tops)):
        level = max(float(heights[i]) - prominence, threshold)
        islands = ndimage.label(data > level, structure=EIGHT)[0][tops[: i + 1, 0], tops[: i + 1, 1]]
        kept += not np.any(islands[:i] == islands[i])  # no higher maximum without a saddle below the level
    return kept
