"""Where the units of a map are, and how far they are from each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Topology = Literal["rectangular", "hexagonal"]
Metric = Literal["manhattan", "euclidean", "hex"]


@dataclass(frozen=True)
class Grid:
    """A map of rows x columns units, numbered row by row from 0.

    Parameters
    ----------
    rows, columns : int
        Number of units along each axis.
    topology : {"rectangular", "hexagonal"}
        On a hexagonal map every odd row is moved half a unit to the right, and each unit has six neighbours.

    Examples
    --------
    >>> Grid(2, 3).distances("manhattan")[0]
    tensor([0., 1., 2., 1., 2., 3.])
    """

    rows: int
    columns: int
    topology: Topology = "rectangular"

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise ValueError(f"a map of {self.rows} x {self.columns} units; both sides must be at least 1")
        if self.topology not in ("rectangular", "hexagonal"):
            raise ValueError(f"no topology {self.topology!r}; there are rectangular and hexagonal")

    @property
    def units(self) -> int:
        """Number of units."""
        return self.rows * self.columns

    @property
    def indices(self) -> tuple[Tensor, Tensor]:
        """Row and column of each unit, shape (units,) int64 each."""
        number = torch.arange(self.units)
        return number // self.columns, number % self.columns

    @property
    def positions(self) -> Tensor:
        """Tensor (units, 2) float64 : x and y of each unit; neighbours in a row are 1 apart."""
        row, column = (index.double() for index in self.indices)
        if self.topology == "rectangular":
            return torch.stack([column, row], dim=1)
        return torch.stack([column + 0.5 * (row % 2), row * 3**0.5 / 2], dim=1)

    def distances(self, metric: Metric | None = None) -> Tensor:
        """Return the distances between all units.

        Parameters
        ----------
        metric : {"manhattan", "euclidean", "hex"}, optional
            `manhattan` (rectangular maps): rows plus columns between two units. `hex` (hexagonal maps): least number
            of steps from neighbour to neighbour. `euclidean`: in the plane. By default the number of steps.

        Returns
        -------
        Tensor (units, units) float32

        Raises
        ------
        ValueError
            If the metric does not belong to the topology.
        """
        steps: Metric = "manhattan" if self.topology == "rectangular" else "hex"
        chosen = metric or steps
        if chosen not in (steps, "euclidean"):
            raise ValueError(f"a {self.topology} map has no {chosen} distance; take {steps} or euclidean")
        if chosen == "euclidean":
            return torch.cdist(self.positions, self.positions).float()
        row, column = self.indices
        if chosen == "manhattan":
            return (_differences(row).abs() + _differences(column).abs()).float()
        along = _differences(column - row // 2)  # one of three axes 60 degrees apart
        down = _differences(row)
        return torch.stack([along.abs(), down.abs(), (along + down).abs()]).amax(0).float()

    def neighbours(self) -> Tensor:
        """Return which units touch, (units, units) bool: eight about a unit inside a rectangular map, six hexagonal."""
        row, column = self.indices
        if self.topology == "hexagonal":
            return self.distances("hex") == 1
        chebyshev = torch.maximum(_differences(row).abs(), _differences(column).abs())
        return chebyshev == 1


def _differences(values: Tensor) -> Tensor:
    return values[:, None] - values[None, :]
