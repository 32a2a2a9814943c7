"""Numbers that describe each cutout: valid fraction, median, noise, peak and signal-to-noise ratio.

Pixels that are not finite (NaN, infinite) hold no data and never count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from skysift.cutouts.selection import median_and_mad

__all__ = ["MAD_TO_SIGMA", "Statistics", "measure_blocks", "measure_images"]

Float32Array = NDArray[np.float32]

MAD_TO_SIGMA = np.float32(1.482602218505602)
"""Standard deviation of a Gaussian in units of its median absolute deviation, as in `astropy.stats.mad_std`."""

_BATCH_PIXELS = 1 << 20


@dataclass(frozen=True)
class Statistics:
    """Statistics of N cutouts; each array has shape (N,), float32.

    Attributes
    ----------
    valid_fraction : ndarray
        Share of finite pixels, 0 to 1.
    median, rms, peak : ndarray
        Median, 1.4826 MAD and maximum [unit of the pixels]; NaN where there are no data.
    snr : ndarray
        (peak - median) / rms; NaN where there are no data or rms is 0.
    mask_fraction : ndarray or None
        Share of pixels under the mask, 0 to 1; None without a mask.
    """

    valid_fraction: Float32Array
    median: Float32Array
    rms: Float32Array
    peak: Float32Array
    snr: Float32Array
    mask_fraction: Float32Array | None = None

    def __len__(self) -> int:
        return len(self.valid_fraction)

    def put_into(self, columns: dict[str, Float32Array], rows: NDArray[np.int64]) -> None:
        """Write each statistic that exists into `columns[name][rows]`."""
        for field in fields(self):
            values = getattr(self, field.name)
            if values is not None:
                columns[field.name][rows] = values


def measure_blocks(
    blocks: Float32Array, members: NDArray[np.int64], masks: NDArray[np.bool_] | None = None
) -> Statistics:
    """Measure windows that are unions of equally large, disjoint blocks of pixels.

    Parameters
    ----------
    blocks : ndarray, shape (K, n), float32
        Pixels of the K blocks; NaN or infinite where there are no data.
    members : ndarray, shape (W, L), int
        Blocks of each of the W windows.
    masks : ndarray, shape (K, n), bool, optional
        Mask of the same pixels.

    Returns
    -------
    Statistics
        Of the W windows. `median` and `rms` equal NumPy's and astropy's results for float32 pixels.

    Notes
    -----
    See `skysift.cutouts.selection` for how sharing blocks saves work.
    """
    size = blocks.shape[1]
    total = np.float32(size * members.shape[1])
    finite = np.isfinite(blocks)
    counts = np.count_nonzero(finite, axis=1)
    whole = bool((counts == size).all())
    peaks = (blocks if whole else np.where(finite, blocks, np.float32(-np.inf))).max(axis=1, initial=-np.inf)
    valid = counts[members].sum(axis=1)
    median, mad = median_and_mad(blocks, None if whole else finite, members)
    peak = peaks[members].max(axis=1, initial=-np.inf)
    peak[valid == 0] = np.nan
    rms = mad * MAD_TO_SIGMA
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        snr = np.where(rms > 0, (peak - median) / rms, np.float32(np.nan))
    mask_fraction = None
    if masks is not None:
        mask_fraction = np.count_nonzero(masks, axis=1)[members].sum(axis=1).astype(np.float32) / total
    return Statistics(
        valid_fraction=valid.astype(np.float32) / total,
        median=median,
        rms=rms,
        peak=peak,
        snr=snr,
        mask_fraction=mask_fraction,
    )


def measure_images(
    images: Float32Array | Sequence[Float32Array], masks: NDArray[np.bool_] | Sequence[NDArray[np.bool_]] | None = None
) -> Statistics:
    """Measure cutouts of any sizes, one by one or stacked.

    Parameters
    ----------
    images : ndarray, shape (N, H, W), or sequence of N ndarrays, shape (h, w)
        Pixels, float32; NaN or infinite where there are no data.
    masks : like `images`, bool, optional
        Masks of the same shapes.

    Returns
    -------
    Statistics
        Of the N cutouts.
    """
    columns = {field.name: np.full(len(images), np.nan, np.float32) for field in fields(Statistics)}
    by_size: dict[int, list[int]] = {}
    for index, image in enumerate(images):
        by_size.setdefault(image.size, []).append(index)
    for size, indices in by_size.items():
        batch = max(1, _BATCH_PIXELS // max(size, 1))
        for start in range(0, len(indices), batch):
            rows = np.array(indices[start : start + batch])
            blocks = np.stack([np.asarray(images[i], np.float32).ravel() for i in rows])
            mask = None if masks is None else np.stack([np.asarray(masks[i], bool).ravel() for i in rows])
            measure_blocks(blocks, np.arange(len(rows))[:, None], mask).put_into(columns, rows)
    if masks is None:
        del columns["mask_fraction"]
    return Statistics(**columns)
