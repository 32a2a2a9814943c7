"""Coarse-grained complexity: how many bytes describe the smoothed, shrunk cutout (Segal et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skysift.cutouts.coarse_graining import complexity
from skysift.discovery.scores.base import Array, Raw
from skysift.sky.islands import noise


@dataclass(frozen=True)
class Complexity:
    """The length of the gzip file, as in a catalogue's column `complexity` [byte]."""

    def of_pixels(self, images: Sequence[Array]) -> Raw:
        """Score B cutouts (h, w); NaN for those without data."""
        levels = np.array([noise(image) for image in images], dtype=np.float32).reshape(-1, 2)
        return complexity(images, levels[:, 0], levels[:, 1]).astype(np.float64)
