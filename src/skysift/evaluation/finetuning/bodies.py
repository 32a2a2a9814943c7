"""What the linear layer sits on: an encoder that learns along, or the features that a frozen one gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skysift.encoders.encoder import Encoder
from skysift.evaluation.finetuning.symmetry import POSITIONS, turn
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


class FrozenFeatures:
    """Features of images in their eight positions by an encoder that does not change, each worked out once.

    Parameters
    ----------
    encoder : Encoder
        The encoder.
    feed : Feed
        The n images.
    device : torch.device
        Where it runs.
    precision : str
        `float32` or `bfloat16`.
    """

    def __init__(self, encoder: Encoder, feed: Feed, device: torch.device, precision: Precision) -> None:
        self._encoder, self._feed, self._precision = encoder.to(device), feed, precision
        self._encoder.module.eval()
        self._values = np.zeros((len(feed), POSITIONS, encoder.dim), np.float32)
        self._known = np.zeros((len(feed), POSITIONS), bool)

    @torch.inference_mode()
    def fill(self, rows: Rows, places: Rows) -> None:
        """Work out what is missing of some images in some positions, (n,) each."""
        pairs = np.unique(np.column_stack([rows, places]), axis=0)
        pairs = pairs[~self._known[pairs[:, 0], pairs[:, 1]]]
        parts = [pairs[start : start + STILL_ROWS] for start in range(0, len(pairs), STILL_ROWS)]
        for part in parts:
            row, place = part.T
            for images, _ in self._feed.batches([row]):
                turned = turn(images, torch.from_numpy(place.copy()).to(images.device))
                self._values[row, place] = encode(self._encoder, turned, self._precision).cpu().numpy()
            self._known[row, place] = True

    def take(self, rows: Rows, places: Rows) -> Tensor:
        """Return the features (n, D) of images in positions, on the CPU."""
        self.fill(rows, places)
        return torch.from_numpy(self._values[rows, places])


class FrozenBody:
    """Features of a frozen encoder as the training's body.

    Parameters
    ----------
    table : FrozenFeatures
        The features.
    device : torch.device
        Where the layer is trained.
    """

    network: None = None

    def __init__(self, table: FrozenFeatures, device: torch.device) -> None:
        self.table, self.device = table, device

    def features(self, batches: Sequence[tuple[Rows, Rows]]) -> Iterator[Tensor]:
        """Look the features of each batch up."""
        for rows, places in batches:
            yield self.table.take(rows, places).to(self.device)

    def still(self, rows: Rows) -> Tensor:
        """Look the features up of images as they are."""
        return self.table.take(rows, np.zeros_like(rows)).to(self.device)
