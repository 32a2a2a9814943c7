"""Coarse-grained complexity of cutouts: how long the description of a smoothed, coarse image is.

After the idea of Segal et al. 2023 ("Identifying anomalous radio sources in the EMU Pilot Survey using a
complexity-based approach"): smoothing and resizing take the noise away, so that what is left to
describe, measured by the length of the compressed file, is structure on the sky. The frame is described in steps of
its own noise; that makes the number independent of the unit of the pixels. The widths and steps below are choices of
this package, not the paper's.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["SHRINK", "SMOOTHING", "complexity"]

SMOOTHING = 2.0
"""Standard deviation of the Gaussian that smooths the cutout [pixel]."""

SHRINK = 4
"""Pixels that are averaged, along each axis, into one pixel of the coarse image."""

_LEVELS = 255


def complexity(
    images: NDArray[np.float32] | Sequence[NDArray[np.float32]],
    median: NDArray[np.float32],
    rms: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Length of the gzip file of each cutout's coarse image.

    Parameters
    ----------
    images : ndarray, shape (N, H, W), or sequence of ndarrays
        Pixels; those without data (not finite) are taken as the median.
    median, rms : ndarray, shape (N,)
        Of the cutouts, as in the catalogue [unit of the pixels].

    Returns
    -------
    ndarray, shape (N,), float32
        [byte]; NaN for cutouts without data.

    Notes
    -----
    The image is smoothed with a Gaussian of 2 pixels, averaged over 4 x 4 pixels, written in whole steps of the noise
    above the median (0 to 255; where the noise is 0, in 255 steps up to the peak) and compressed by gzip at level 9.
    """
    result = np.full(len(images), np.nan, np.float32)
    for i, image in enumerate(images):
        if np.isfinite(median[i]):
            result[i] = len(gzip.compress(_coarse(image, float(median[i]), float(rms[i])).tobytes(), 9, mtime=0))
    return result


def _coarse(image: NDArray[np.float32], median: float, rms: float) -> NDArray[np.uint8]:
    """Return the smoothed, shrunk and quantised image, shape (ceil(H / SHRINK), ceil(W / SHRINK))."""
    from scipy.ndimage import gaussian_filter

    above = np.where(np.isfinite(image), image.astype(np.float64) - median, 0.0)
    step = rms if rms > 0 else float(above.max()) / _LEVELS
    if step <= 0:
        step = 1.0
    smooth = gaussian_filter(above / step, SMOOTHING, mode="nearest")
    for axis in (0, 1):
        starts = np.arange(0, smooth.shape[axis], SHRINK)
        counts = np.diff(np.append(starts, smooth.shape[axis]))
        smooth = np.add.reduceat(smooth, starts, axis=axis) / np.expand_dims(counts, 1 - axis)
    return np.clip(np.round(smooth), 0, _LEVELS).astype(np.uint8)
