"""Images that are the same but for quarter turns and flips, matched as such."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from skysift.som.layer import squared_distances

ORIENTATIONS = 8
"""Four quarter turns, and those of the mirrored image."""


class Match(NamedTuple):
    """How well images fit units, each at its best orientation.

    Attributes
    ----------
    distances : Tensor (B, K)
        Squared distance, the least over orientations.
    orientations : Tensor (B, K) int64
        Which one that is: the unit is turned by it to lie on the image.
    """

    distances: Tensor
    orientations: Tensor


def orientation_table(side: int, channels: int = 1) -> Tensor:
    """Return where each pixel of a turned image comes from.

    Parameters
    ----------
    side : int
        Of the square image [pixel].
    channels : int
        Of the image.

    Returns
    -------
    Tensor (8, channels * side * side) int64
        `image.flatten()[table[o]]` is the image (channels, side, side) turned by o quarters counter-clockwise, for o
        from 4 mirrored left to right first; exact, as no pixel is interpolated.
    """
    number = torch.arange(channels * side * side).reshape(channels, side, side)
    turned = [start.rot90(quarter, (1, 2)) for start in (number, number.flip(2)) for quarter in range(4)]
    return torch.stack([image.flatten() for image in turned])


def side_of(length: int, channels: int = 1) -> int:
    """Return the side of a square image of `length` numbers.

    Raises
    ------
    ValueError
        If it is no square image.
    """
    side = round((length / channels) ** 0.5)
    if side * side * channels != length:
        raise ValueError(f"{length} numbers are no square image of {channels} channels, which quarter turns need")
    return side


def match(vectors: Tensor, prototypes: Tensor, table: Tensor | None = None) -> Match:
    """Match vectors (B, D) with prototypes (K, D), by `table` at their best orientation.

    Parameters
    ----------
    vectors, prototypes : Tensor
        Flattened images where there is a table.
    table : Tensor, optional
        From `orientation_table`; without it the vectors are compared as they are.

    Returns
    -------
    Match
        Of equally good orientations the first.
    """
    if table is None:
        distances = squared_distances(vectors, prototypes)
        return Match(distances, torch.zeros_like(distances, dtype=torch.int64))
    turned = prototypes[:, table]  # (K, O, D)
    flat = squared_distances(vectors, turned.reshape(-1, prototypes.shape[1]))
    least = flat.reshape(len(vectors), len(prototypes), len(table)).min(2)
    return Match(least.values, least.indices)
