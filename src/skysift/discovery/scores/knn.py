"""Distance to the nearest neighbours in feature space (Ramaswamy et al. 2000; the mean: Angiulli & Pizzuti 2002)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch

from skysift.discovery.scores.base import Advance, Array, Raw, nothing, reference_rows
from skysift.errors import RequestError

CHUNK = 512


@dataclass(frozen=True)
class KNN:
    """Mean distance to the k nearest other cutouts, or the distance to the k-th; exact.

    Above 50,000 cutouts the neighbours are looked for among as many drawn at random.

    Parameters
    ----------
    neighbours : int
        k.
    of : {"mean", "kth"}
        Which distance.
    seed : int
        Of the draw.
    """

    cost: ClassVar[float] = 1.2

    neighbours: int = 5
    of: Literal["mean", "kth"] = "mean"
    seed: int = 0

    def of_features(self, features: Array, advance: Advance = nothing) -> Raw:
        """Score the rows of `features` (N, D)."""
        if len(features) <= self.neighbours:
            raise RequestError(
                f"{self.neighbours} neighbours need at least {self.neighbours + 1} cutouts of a size, and there are "
                f"{len(features)}; ask for fewer with --neighbours."
            )
        rows = reference_rows(len(features), self.seed)
        reference = torch.from_numpy(np.array(features[rows], dtype=np.float32))
        centre = reference.mean(0)
        reference -= centre
        half = 0.5 * reference.square().sum(1)
        place = np.full(len(features), -1)
        place[rows] = np.arange(len(rows))
        scores = np.empty(len(features))
        for start in range(0, len(features), CHUNK):
            part = slice(start, start + CHUNK)
            x = torch.from_numpy(np.array(features[part], dtype=np.float32)) - centre
            nearness = torch.addmm(-half, x, reference.T)  # x.y - |y|^2 / 2 falls with the distance
            itself = torch.from_numpy(place[part])
            own = (itself >= 0).nonzero()[:, 0]
            nearness[own, itself[own]] = -torch.inf
            near = nearness.topk(self.neighbours, dim=1).indices
            distance = (x[:, None] - reference[near]).double().square().sum(2).sqrt()
            chosen = distance.mean(1) if self.of == "mean" else distance.amax(1)
            scores[part] = chosen.numpy()
            advance(len(x))
        return scores
