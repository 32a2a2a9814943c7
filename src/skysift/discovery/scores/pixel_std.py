"""The trivial score: minus the standard deviation of the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skysift.discovery.scores.base import Array, Raw


@dataclass(frozen=True)
class PixelStd:
    """Minus the standard deviation of the finite pixels [unit of the pixels]; what any other score has to beat."""

    def of_pixels(self, images: Sequence[Array]) -> Raw:
        """Score B cutouts (h, w); NaN for those without data."""
        scores = np.full(len(images), np.nan)
        for i, image in enumerate(images):
            finite = image[np.isfinite(image)]
            if finite.size:
                scores[i] = -finite.std(dtype=np.float64)
        return scores
