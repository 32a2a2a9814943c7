"""How far the most extended island spreads: its flux over its peak, which is the beam's area for a point source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skysift.discovery.scores.base import Array, Raw
from skysift.sky.islands import find_islands


@dataclass(frozen=True)
class Extent:
    """Largest ratio of the sum of an island's pixels to its brightest pixel [pixel].

    Nearly all sources of a survey are unresolved, and those that are resolved mostly have hot spots, jets or cores. A
    ring, a shell, a relic or a tangle spreads its flux and has no bright peak: the ratio is large for these, whatever
    their brightness, where anything that follows the peak ranks the brightest compact sources first.

    Parameters
    ----------
    threshold, seed : float
        Least brightness of an island's pixels, and of its brightest one, over the median of the cutout [its rms]
        (PyBDSF's defaults are 3 and 5).
    """

    threshold: float = 3.0
    seed: float = 5.0

    def of_pixels(self, images: Sequence[Array]) -> Raw:
        """Score B cutouts (h, w); 0 for those without an island, NaN for those without data."""
        scores = np.full(len(images), np.nan)
        for i, image in enumerate(images):
            if np.isfinite(image).any():
                islands = find_islands(image, threshold=self.threshold, seed=self.seed)
                scores[i] = float((islands.total / islands.peak).max(initial=0.0))
        return scores
