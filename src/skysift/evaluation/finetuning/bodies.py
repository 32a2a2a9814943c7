"""What the linear layer sits on: an encoder that learns along, or the features that a frozen one gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skysift.encoders.encoder import Encoder
from skysift.evaluation.finetuning.symmetry import turn
from skysift.features.passes import Precision, encode
from skysift.ssl.feed import Feed

Rows = NDArray[np.int64]
STILL_ROWS = 64


class Body(Protocol):
    """Gives the features of images."""

    @property
    def network(self) -> nn.Module | None:
        """The weights that are trained along; None where there are none."""
        ...

    def features(self, batches: Sequence[tuple[Rows, Rows]]) -> Iterator[Tensor]:
        """Yield features (B, D) of each batch of images (rows, positions), for training."""
        ...

    def still(self, rows: Rows) -> Tensor:
        """Return the features (n, D) of images as they are, for use."""
        ...


class LiveBody:
    """An encoder that is trained.

    Parameters
    ----------
    encoder : Encoder
        On the device.
    feed : Feed
        The images.
    precision : str
        `float32` or `bfloat16`.
    """

    def __init__(self, encoder: Encoder, feed: Feed, precision: Precision) -> None:
        self.encoder, self.feed, self.precision = encoder, feed, precision

    @property
    def network(self) -> nn.Module:
        """The encoder's backbone."""
        return self.encoder.module

    def features(self, batches: Sequence[tuple[Rows, Rows]]) -> Iterator[Tensor]:
        """Encode each batch, with gradients, normalisation by the batch and dropout."""
        self.network.train()
        for (images, _), (_, places) in zip(self.feed.batches([rows for rows, _ in batches]), batches, strict=True):
            turned = turn(images, torch.from_numpy(places).to(images.device))
            yield encode(self.encoder, turned, self.precision)

    @torch.no_grad()
    def still(self, rows: Rows) -> Tensor:
        """Encode images with the weights of the moment."""
        self.network.eval()
        parts = [rows[start : start + STILL_ROWS] for start in range(0, len(rows), STILL_ROWS)]
        found = [
            encode(self.encoder, images, self.precision) for part in parts for images, _ in self.feed.batches([part])
        ]
        return torch.cat([torch.empty((0, self.encoder.dim), device=self.feed.device), *found])


class FrozenBody:
    """The features that a frozen encoder gives of images in their positions.

    Parameters
    ----------
    table : ndarray of float32, shape (n, positions, D)
        The features.
    device : torch.device
        Where the layer is trained.
    """

    network: None = None

    def __init__(self, table: NDArray[np.float32], device: torch.device) -> None:
        self.table, self.device = table, device

    def features(self, batches: Sequence[tuple[Rows, Rows]]) -> Iterator[Tensor]:
        """Look the features of each batch up."""
        for rows, places in batches:
            yield self._take(rows, places)

    def still(self, rows: Rows) -> Tensor:
        """Look the features up of images as they are."""
        return self._take(rows, np.zeros_like(rows))

    def _take(self, rows: Rows, places: Rows) -> Tensor:
        return torch.from_numpy(np.asarray(self.table[rows, places])).to(self.device)
