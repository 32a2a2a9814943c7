"""How strongly the units around the best one take part, and how that reach shrinks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Neighbourhood(Protocol):
    """Weight of a unit at a distance on the map from the best one."""

    def __call__(self, distances: Tensor, radius: float) -> Tensor:
        """Distances on the map of any shape -> weights in [0, 1] of that shape, 1 at distance 0."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """exp(-d^2 / T^2), with the radius T as DESOM has it (Forest et al. 2019, eq. 4).

    Kohonen writes exp(-d^2 / (2 sigma^2)): T = sqrt(2) sigma.
    """

    def __call__(self, distances: Tensor, radius: float) -> Tensor:
        """Return the weights; a radius of 0 leaves the best unit alone."""
        if radius <= 0:
            return (distances == 0).to(distances.dtype)
        return torch.exp(-((distances / radius) ** 2))


@dataclass(frozen=True)
class Bubble:
    """1 up to the radius, 0 beyond."""

    def __call__(self, distances: Tensor, radius: float) -> Tensor:
        """Return the weights."""
        return (distances <= radius).to(distances.dtype)


class Decay(Protocol):
    """A number that falls as the training goes on."""

    def __call__(self, done: float) -> float:
        """Share of the training that is done, 0 to 1 -> the value."""
        ...


@dataclass(frozen=True)
class Exponential:
    """start (end / start)^done."""

    start: float
    end: float

    def __post_init__(self) -> None:
        if self.start <= 0 or self.end <= 0:
            raise ValueError(f"an exponential decay from {self.start} to {self.end}; both must be above 0")

    def __call__(self, done: float) -> float:
        """Return the value."""
        return float(self.start * (self.end / self.start) ** done)


@dataclass(frozen=True)
class Linear:
    """start + (end - start) done."""

    start: float
    end: float

    def __call__(self, done: float) -> float:
        """Return the value."""
        return self.start + (self.end - self.start) * done
