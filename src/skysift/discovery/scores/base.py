"""What a score is: a small class that says how anomalous each cutout is. Larger is more anomalous, on any scale.

There are three kinds, by what they look at: the features of all cutouts, the pixels of one cutout after another, or
small images of all cutouts. To add one, write a file with a class of one of these kinds and name it in `SCORES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from skysift.imaging import Preprocess

Array = NDArray[np.float32]
Raw = NDArray[np.float64]
Advance = Callable[[int], None]
"""Told how many rows were finished; each score counts every row once."""

REFERENCE_ROWS = 50_000
"""Largest number of cutouts that others are compared with; of more, as many are drawn at random."""


def nothing(rows: int) -> None:
    """Count nothing."""


@runtime_checkable
class FeatureScore(Protocol):
    """Compares each cutout's features with those of the others."""

    cost: ClassVar[float]
    """Time for a cutout [ms, about, of 50,000 with 512 features]."""

    def of_features(self, features: Array, advance: Advance = nothing) -> Raw:
        """Features (N, D), finite -> scores (N,).

        Raises
        ------
        RequestError
            If there are too few cutouts.
        """
        ...


@runtime_checkable
class PixelScore(Protocol):
    """Measures the pixels of each cutout by itself."""

    def of_pixels(self, images: Sequence[Array]) -> Raw:
        """B cutouts (h, w) with NaN where there are no data -> scores (B,); NaN for cutouts without data."""
        ...


@runtime_checkable
class ImageScore(Protocol):
    """Compares a small image of each cutout with those of the others."""

    cost: ClassVar[float]

    @property
    def preprocess(self) -> Preprocess:
        """Makes the images."""
        ...

    def of_images(self, images: Array, advance: Advance = nothing) -> Raw:
        """Flattened images (N, channels * side * side) -> scores (N,)."""
        ...


Score = FeatureScore | PixelScore | ImageScore


def reference_rows(rows: int, seed: int, limit: int = REFERENCE_ROWS) -> NDArray[np.int64]:
    """Return the rows that others are compared with, ascending: all, or `limit` drawn at random."""
    if rows <= limit:
        return np.arange(rows)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0xA1])))
    return np.sort(rng.choice(rows, limit, replace=False))
