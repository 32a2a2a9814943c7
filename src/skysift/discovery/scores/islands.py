"""The second trivial score: how many islands of emission a cutout shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skysift.discovery.scores.base import Array, Raw
from skysift.sky.islands import find_islands


@dataclass(frozen=True)
class IslandCount:
    """Number of islands of at least five pixels above a threshold.

    Parameters
    ----------
    threshold : float
        Over the median of the cutout [its rms].
    """

    threshold: float = 5.0

    def of_pixels(self, images: Sequence[Array]) -> Raw:
        """Score B cutouts (h, w); NaN for those without data."""
        scores = np.full(len(images), np.nan)
        for i, image in enumerate(images):
            if np.isfinite(image).any():
                scores[i] = len(find_islands(image, threshold=self.threshold))
        return scores
