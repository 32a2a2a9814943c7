"""Quantisation error on a self-organising map of small images, whatever way they are turned.

After Mostert et al. 2021 (A&A 645, A89) and Gupta et al. 2022 (PASA 39, e051): a map learns what cutouts look like,
and those that resemble none of its units are odd.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from skysift.discovery.scores.base import Advance, Array, Raw, nothing, reference_rows
from skysift.errors import RequestError
from skysift.imaging import Preprocess
from skysift.som import SOM, Grid


@dataclass(frozen=True)
class MapError:
    """Distance of a cutout's small image to the nearest unit, the least over flips and quarter turns.

    The map is trained on at most 50,000 cutouts.

    Parameters
    ----------
    side : int
        Units along each side of the map.
    epochs : int
        Passes over the images.
    preprocess : Preprocess
        Makes the images; one channel.
    seed : int
        Of the map and the draw.
    """

    cost: ClassVar[float] = 4.0

    side: int = 10
    epochs: int = 10
    preprocess: Preprocess = field(default_factory=lambda: Preprocess.preset("riggi2024", size=32, channels=1))
    seed: int = 0

    def of_images(self, images: Array, advance: Advance = nothing) -> Raw:
        """Score flattened images (N, S * S)."""
        if len(images) < 2:
            raise RequestError(f"A map needs at least two cutouts, not {len(images)}; add more or leave som out.")
        train = reference_rows(len(images), self.seed)
        seen, shown = 0, 0
        rounds = self.epochs * len(train) / len(images) + 1

        def tell(count: int) -> None:
            nonlocal seen, shown
            seen += count
            advance(int(seen / rounds) - shown)
            shown = int(seen / rounds)

        som = SOM(Grid(self.side, self.side), epochs=self.epochs, orientations=8, seed=self.seed)
        som.fit(images if len(train) == len(images) else images[train], advance=tell)
        distances = som.best(images)[1].astype(np.float64)
        advance(len(images) - shown)
        return distances
