"""The layer: prototypes on a map, distances to them, and the loss that pulls a neighbourhood along."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skysift.som.grid import Grid, Metric
from skysift.som.neighbourhood import Gaussian, Neighbourhood


class SOMLayer(nn.Module):
    """Prototypes of a self-organising map as a layer behind any encoder, or alone.

    Parameters
    ----------
    grid : Grid
        The map of K units.
    dim : int
        Length D of the vectors.
    neighbourhood : Neighbourhood, optional
        Gaussian by default.
    metric : str, optional
        Distance on the map; the number of steps by default.
    generator : torch.Generator, optional
        Draws the initial prototypes from N(0, 1); without it they are 0, to be set with `start_from`.

    Attributes
    ----------
    prototypes : nn.Parameter (K, D)
    map_distances : Tensor (K, K)
        Between the units on the map; a buffer that is not saved.

    Examples
    --------
    >>> layer = SOMLayer(Grid(8, 8), 10, generator=torch.Generator().manual_seed(0))
    >>> loss = layer.loss(latent, radius=2.0)  # gradients for the encoder and the prototypes
    """

    prototypes: nn.Parameter
    map_distances: Tensor

    def __init__(
        self,
        grid: Grid,
        dim: int,
        *,
        neighbourhood: Neighbourhood | None = None,
        metric: Metric | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.grid, self.neighbourhood = grid, neighbourhood or Gaussian()
        shape = (grid.units, dim)
        start = torch.zeros(shape) if generator is None else torch.randn(shape, generator=generator)
        self.prototypes = nn.Parameter(start)
        self.register_buffer("map_distances", grid.distances(metric), persistent=False)

    def start_from(self, vectors: Tensor, generator: torch.Generator) -> None:
        """Set the prototypes to vectors (N, D) drawn at random, without repeats where there are enough.

        Raises
        ------
        ValueError
            If there are none, or of another length.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.prototypes.shape[1] or not len(vectors):
            raise ValueError(f"prototypes of length {self.prototypes.shape[1]} from vectors {tuple(vectors.shape)}")
        units = self.grid.units
        rounds = [torch.randperm(len(vectors), generator=generator) for _ in range(-(-units // len(vectors)))]
        with torch.no_grad():
            self.prototypes.copy_(vectors[torch.cat(rounds)[:units]])

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the squared distances (B, K) of vectors (B, D) to all prototypes."""
        return squared_distances(vectors, self.prototypes)

    def best(self, vectors: Tensor) -> Tensor:
        """Return the best matching unit (B,) int64 of vectors (B, D); of equals the first."""
        with torch.no_grad():
            return self(vectors).argmin(1)

    def weights(self, best: Tensor, radius: float) -> Tensor:
        """Return how much each unit takes part, (B, K), where `best` (B,) are the best matching units."""
        return self.neighbourhood(self.map_distances[best], radius)

    def loss(self, vectors: Tensor, radius: float) -> Tensor:
        """Return mean_b sum_k w_bk |z_b - m_k|^2, the map's part of DESOM's loss (Forest et al. 2019, eq. 3).

        Parameters
        ----------
        vectors : Tensor (B, D)
            With gradients where an encoder in front is trained too.
        radius : float
            Of the neighbourhood on the map; the weights themselves carry no gradient.

        Returns
        -------
        Tensor
            Scalar.
        """
        distances = self(vectors)
        weights = self.weights(distances.detach().argmin(1), radius)
        return (weights * distances).sum(1).mean()


def squared_distances(vectors: Tensor, prototypes: Tensor) -> Tensor:
    """Return |z_b - m_k|^2, (B, K), by one matrix product; never below 0."""
    cross = vectors @ prototypes.T
    return (vectors.square().sum(1, keepdim=True) - 2 * cross + prototypes.square().sum(1)).clamp_min(0)
