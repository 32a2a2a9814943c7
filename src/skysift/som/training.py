"""A map trained alone on vectors or images: the batch algorithm of Kohonen (2013, Neural Networks 37, 52)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skysift.errors import RequestError
from skysift.som.grid import Grid, Metric
from skysift.som.layer import SOMLayer
from skysift.som.matching import match, orientation_table, side_of
from skysift.som.neighbourhood import Decay, Exponential, Neighbourhood

Array = NDArray[np.float32]
LAST_RADIUS = 0.5


class SOM:
    """A self-organising map of vectors, or of images whatever way they are turned.

    In an epoch every vector goes to its best matching unit; then each prototype becomes the mean of all vectors,
    weighted by the neighbourhood of their best units. There is no learning rate, and the order of vectors does not
    matter. With `orientations=8`, an image enters each prototype's mean turned as it fits that prototype best, as in
    PINK (Polsterer et al. 2015).

    Parameters
    ----------
    grid : Grid
        The map of K units.
    epochs : int
        Passes over the vectors.
    radius : Decay, optional
        Of the neighbourhood; by default from half the map's longer side to 0.5, exponentially.
    neighbourhood : Neighbourhood, optional
        Gaussian by default.
    metric : str, optional
        Distance on the map; the number of steps by default.
    orientations : {1, 8}
        8: vectors are square images, and the best of all flips and quarter turns counts.
    channels : int
        Of the images.
    batch_size : int
        Vectors that are compared at once.
    device : str
        Where the work is done.
    seed : int
        Of the vectors that the prototypes start from.

    Attributes
    ----------
    layer_ : SOMLayer
        The map after `fit`, on the CPU.

    Examples
    --------
    >>> som = SOM(Grid(10, 10), orientations=8, seed=1).fit(images.reshape(len(images), -1))
    >>> unit, distance = som.best(images.reshape(len(images), -1))
    """

    layer_: SOMLayer

    def __init__(
        self,
        grid: Grid,
        *,
        epochs: int = 10,
        radius: Decay | None = None,
        neighbourhood: Neighbourhood | None = None,
        metric: Metric | None = None,
        orientations: int = 1,
        channels: int = 1,
        batch_size: int = 1024,
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        if epochs < 1 or batch_size < 1:
            raise RequestError(f"A map needs at least one epoch and one vector a batch, not {epochs} and {batch_size}.")
        if orientations not in (1, 8):
            raise RequestError(f"Images are matched in 1 or in 8 orientations, not in {orientations}.")
        self.grid, self.epochs, self.metric = grid, epochs, metric
        self.radius = radius or Exponential(max(max(grid.rows, grid.columns) / 2, 1.0), LAST_RADIUS)
        self.neighbourhood = neighbourhood
        self.orientations, self.channels = orientations, channels
        self.batch_size, self.device, self.seed = batch_size, device, seed

    def fit(self, x: Array, *, advance: Callable[[int], None] | None = None) -> Self:
        """Fit the map.

        Parameters
        ----------
        x : ndarray (N, D)
            May be memory-mapped; it is read in batches.
        advance : callable, optional
            Called with the number of vectors that were worked on; N times epochs in all.

        Raises
        ------
        RequestError
            If there are no vectors, or they hold NaN or infinite values.
        """
        if x.ndim != 2 or not len(x):
            raise RequestError(f"A map is fitted to vectors (N, D), at least one, not to an array of shape {x.shape}.")
        generator = torch.Generator().manual_seed(self.seed)
        layer = SOMLayer(self.grid, x.shape[1], neighbourhood=self.neighbourhood, metric=self.metric)
        layer.start_from(self._draw(x, generator), generator)
        layer.requires_grad_(False).to(self.device)
        table = self._table(x.shape[1])
        for epoch in range(self.epochs):
            radius = self.radius(epoch / max(self.epochs - 1, 1))
            self._epoch(x, layer, table, radius, advance)
        self.layer_ = layer.cpu()
        return self

    def best(self, x: Array) -> tuple[NDArray[np.int64], Array]:
        """Return the best matching unit of each vector (N, D), and the distance to it, (N,) each."""
        found = [self._two(x, part) for part in self._parts(x)]
        units = torch.cat([unit[:, 0] for unit, _ in found]).numpy()
        return units, torch.cat([distance for _, distance in found]).numpy()

    def quantisation_error(self, x: Array) -> float:
        """Return the mean distance of vectors to their best matching unit."""
        return float(self.best(x)[1].mean(dtype=np.float64))

    def topographic_error(self, x: Array) -> float:
        """Return the share of vectors whose two best units don't touch (Kiviluoto 1996); 0 on a map of one unit."""
        if self.grid.units < 2:
            return 0.0
        touch = self.grid.neighbours()
        apart = [~touch[unit[:, 0], unit[:, 1]] for unit, _ in (self._two(x, part) for part in self._parts(x))]
        return float(torch.cat(apart).double().mean())

    def _draw(self, x: Array, generator: torch.Generator) -> Tensor:
        """Draw rows to start from, as many as there are units at most; the disk is read from front to back."""
        rows = torch.randperm(len(x), generator=generator)[: self.grid.units].sort().values
        found = torch.from_numpy(np.asarray(x[rows.numpy()], dtype=np.float32))
        if not bool(torch.isfinite(found).all()):
            raise RequestError("The vectors hold NaN or infinite values; leave those rows out.")
        return found

    def _table(self, length: int) -> Tensor | None:
        if self.orientations == 1:
            return None
        try:
            return orientation_table(side_of(length, self.channels), self.channels).to(self.device)
        except ValueError as error:
            raise RequestError(f"{error}.") from None

    def _parts(self, x: Array) -> list[slice]:
        return [slice(start, start + self.batch_size) for start in range(0, len(x), self.batch_size)]

    def _epoch(
        self,
        x: Array,
        layer: SOMLayer,
        table: Tensor | None,
        radius: float,
        advance: Callable[[int], None] | None,
    ) -> None:
        """Move all prototypes to the weighted means."""
        shape = layer.prototypes.shape
        total = torch.zeros(shape, dtype=torch.float64, device=self.device)
        weight = torch.zeros(shape[0], dtype=torch.float64, device=self.device)
        back = None if table is None else table.argsort(1)
        for part in self._parts(x):
            batch = self._read(x, part)
            found = match(batch, layer.prototypes, table)
            taken = layer.weights(found.distances.argmin(1), radius)
            weight += taken.sum(0, dtype=torch.float64)
            if back is None:
                total += (taken.T @ batch).double()
            else:
                for orientation, order in enumerate(back):
                    chosen = taken * (found.orientations == orientation)
                    total += (chosen.T @ batch)[:, order].double()
            if advance is not None:
                advance(len(batch))
        seen = weight > 0
        layer.prototypes[seen] = (total[seen] / weight[seen, None]).float()

    def _read(self, x: Array, part: slice) -> Tensor:
        batch = torch.from_numpy(np.array(x[part], dtype=np.float32)).to(self.device)
        if not bool(torch.isfinite(batch).all()):
            raise RequestError("The vectors hold NaN or infinite values; leave those rows out.")
        return batch

    def _two(self, x: Array, part: slice) -> tuple[Tensor, Tensor]:
        """Return the two best units (b, 2) and the distance to the first, of a batch."""
        batch = self._read(x, part)
        layer = self.layer_.to(self.device)
        found = match(batch, layer.prototypes, self._table(batch.shape[1])).distances
        order = found.sort(dim=1, stable=True).indices[:, :2]
        return order.cpu(), found.gather(1, order[:, :1])[:, 0].sqrt().cpu()
