"""A map by principal components, made at once where no projection has been."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skysift.tables.features import CHUNK_ROWS, FeatureTable

MOST_FITTED = 50_000  # rows that the components are found from


def principal_plane(features: FeatureTable) -> NDArray[np.float32]:
    """Project features on their two principal components.

    Parameters
    ----------
    features : FeatureTable
        N rows; the components are those of evenly spaced rows where there are more than 50,000.

    Returns
    -------
    ndarray of float32, shape (N, 2)
        NaN for rows with features that are no numbers. Each component points to where its largest loading is
        positive, so that equal features give equal maps.
    """
    step = max(1, -(-len(features) // MOST_FITTED))
    sample = features.take(np.arange(0, len(features), step)).astype(np.float64)
    sample = sample[np.isfinite(sample).all(axis=1)]
    points = np.full((len(features), 2), np.nan, np.float32)
    if not len(sample):
        return points
    mean = sample.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(sample - mean, rowvar=False).reshape(features.dim, features.dim))
    axes = vectors[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    start = 0
    for chunk in features.iter_chunks(CHUNK_ROWS):
        points[start : start + len(chunk), : axes.shape[1]] = (chunk - mean) @ axes
        start += len(chunk)
    if axes.shape[1] == 1:  # a single feature
        points[:, 1] = np.where(np.isfinite(points[:, 0]), 0, np.nan)
    points[~np.isfinite(points).all(axis=1)] = np.nan
    return points
