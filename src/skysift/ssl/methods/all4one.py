"""All4One: neighbours, what they have in common, and features apart (Estepa et al. 2023, arXiv:2303.09417)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from skysift.ssl.methods.base import Method, Step

if TYPE_CHECKING:
    from torch import Tensor, nn

    from skysift.ssl.network import Network

HEADS, LAYERS = 8, 3
LEAST_SQUARE = 1e-12
"""Below this a mean square has no gradient: the slope of its root has none at 0."""


class All4One(Method):
    """Options of All4One; the defaults are the paper's, with the queue of Cecconello et al. 2024.

    Three objectives share a backbone, a projector and a slowly moving teacher. *Neighbour*: the nearest neighbour of
    the teacher's projection, found in a queue of earlier ones, must be predicted from the other view (NNCLR).
    *Centroid*: a transformer condenses several neighbours into one vector; the same transformer must come close to it
    from the other view's prediction with one neighbour less. *Feature*: the cross-correlation of the teacher's and the
    student's projections must be the identity (Barlow Twins).

    The authors' code (solo-learn) differs in two things: there the centroid objective has a temperature of 0.1, for
    which `centroid_temperature` is the option, and places are encoded along the feature axis, which is not done here.
    """

    name: Literal["all4one"] = "all4one"
    temperature: PositiveFloat = Field(0.2, description="Temperature of the neighbour objective.")
    centroid_temperature: PositiveFloat = Field(0.2, description="Temperature of the centroid objective.")
    queue_size: PositiveInt = Field(65_536, description="Projections in which neighbours are looked for.")
    neighbours: int = Field(5, ge=2, description="Neighbours that make a centroid.")
    hidden_dim: PositiveInt = Field(2048, description="Width of the projector's hidden layers.")
    predictor_dim: PositiveInt = Field(4096, description="Width of the predictors' hidden layer.")
    projection_dim: PositiveInt = Field(256, description="Width of the output of projector and predictors.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout in the transformer.")
    neighbour_weight: NonNegativeFloat = Field(0.5, description="Factor on the neighbour objective.")
    centroid_weight: NonNegativeFloat = Field(0.5, description="Factor on the centroid objective.")
    feature_weight: NonNegativeFloat = Field(5.0, description="Factor on the feature objective.")
    momentum: float = Field(0.99, ge=0, le=1, description="Share of itself that the teacher keeps in a step, at first.")
    final_momentum: float = Field(1.0, ge=0, le=1, description="The same at the end; a cosine leads there.")

    @model_validator(mode="after")
    def _fitting(self) -> All4One:
        if self.projection_dim % (2 * HEADS):
            raise ValueError(f"projection_dim must be a multiple of {2 * HEADS}, not {self.projection_dim}")
        if self.queue_size < self.neighbours:
            raise ValueError(f"queue_size ({self.queue_size}) must not be below neighbours ({self.neighbours})")
        return self

    def build(self, backbone: nn.Module, dim: int) -> nn.ModuleDict:
        """Return projector, predictors and transformer, and the teacher with its queue, which take no gradient."""
        from skysift.encoders._torchvision import ensure

        ensure()
        import numpy as np
        import torch
        from lightly.models.modules.heads import NNCLRPredictionHead, NNCLRProjectionHead
        from lightly.models.utils import get_1d_sine_cosine_positional_embedding_from_positions
        from torch import nn

        from skysift.ssl.queue import Queue

        width = self.projection_dim
        projector = NNCLRProjectionHead(dim, self.hidden_dim, width)
        layer = nn.TransformerEncoderLayer(width, HEADS, 2 * width, self.dropout, batch_first=True)
        transformer = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        code = get_1d_sine_cosine_positional_embedding_from_positions(
            width, np.arange(self.neighbours, dtype=np.float32)
        )
        transformer.register_buffer("positions", torch.from_numpy(code).float())
        return nn.ModuleDict(
            {
                "projector": projector,
                "predictor": NNCLRPredictionHead(width, self.predictor_dim, width),
                "centroid_predictor": NNCLRPredictionHead(width, self.predictor_dim, width),
                "transformer": transformer,
                "teacher_backbone": copy.deepcopy(backbone).requires_grad_(False),
                "teacher_projector": copy.deepcopy(projector).requires_grad_(False),
                "teacher_queue": Queue(self.queue_size, width),
            }
        )

    def step(self, network: Network, views: list[Tensor]) -> Step:
        """Compute the weighted sum of the three objectives; each view (B, C, S, S) passes by itself."""
        import torch

        heads = network.heads
        embeddings = [network.backbone(view) for view in views]
        projections = [heads["projector"](embedding).float() for embedding in embeddings]
        with torch.no_grad():
            keys = [heads["teacher_projector"](heads["teacher_backbone"](view)).float() for view in views]
        loss = self.loss(heads, projections, keys)
        queue: Any = heads["teacher_queue"]
        queue.push(keys[0])
        return Step(loss, embeddings[0], (projections[0], projections[1]))

    def loss(self, heads: nn.ModuleDict, projections: list[Tensor], keys: list[Tensor]) -> Tensor:
        """Return the loss of both views' projections (B, d) and of the teacher's (B, d)."""
        import torch

        from skysift.ssl.contrast import info_nce

        queue: Any = heads["teacher_queue"]
        close = [queue.nearest(key, self.neighbours) for key in keys]
        predictions = [heads["predictor"](projection).float() for projection in projections]
        shifted = [
            torch.cat([heads["centroid_predictor"](projection).float()[:, None], near[:, :-1]], dim=1)
            for projection, near in zip(projections, close, strict=True)
        ]
        whole = [centroid(heads["transformer"], sequence) for sequence in close]
        guessed = [centroid(heads["transformer"], sequence) for sequence in shifted]
        closest = [near[:, 0] for near in close]

        def crosswise(anchors: list[Tensor], candidates: list[Tensor], temperature: float) -> Tensor:
            one, other = (info_nce(anchors[view], candidates[1 - view], temperature) for view in (0, 1))
            return (one + other) / 2

        neighbour = crosswise(closest, predictions, self.temperature)
        central = crosswise(whole, guessed, self.centroid_temperature)
        apart = decorrelation(keys, projections)
        return self.neighbour_weight * neighbour + self.centroid_weight * central + self.feature_weight * apart

    def after_step(self, network: Network, done: int, total: int) -> None:
        """Move the teacher's weights towards the student's, as BYOL does."""
        from skysift.ssl.momentum import move_teachers

        move_teachers(network, done, total, start=self.momentum, end=self.final_momentum)


def centroid(transformer: Any, sequence: Tensor) -> Tensor:
    """Condense sequences of vectors (B, K, d) into one each (B, d): the transformer's first output.

    Its buffer `positions` (K, d) tells places apart: sines and cosines (Vaswani et al. 2017, arXiv:1706.03762).
    """
    first: Tensor = transformer(sequence + transformer.positions)[:, 0]
    return first


def decorrelation(keys: list[Tensor], projections: list[Tensor]) -> Tensor:
    """Return how far the cross-correlations of each view's keys with the other's projections are from the identity.

    The mean of two roots of mean squares: of what the diagonals lack to 1, and of all elements off them; both over
    both matrices (the paper's feature objective). Correlations are those of columns of unit length, means left in.

    Parameters
    ----------
    keys, projections : list of Tensor
        (B, d) of both views; the correlation runs over the batch of all processes.
    """
    import torch
    from torch.nn.functional import normalize

    from skysift.ssl.distributed import gather_rows, gather_with_gradient

    with torch.autocast(projections[0].device.type, enabled=False):
        fixed = [normalize(gather_rows(key), dim=0) for key in keys]
        moving = [normalize(gather_with_gradient(projection), dim=0) for projection in projections]
        both = torch.stack([fixed[0].T @ moving[1], fixed[1].T @ moving[0]])
        on = both.diagonal(dim1=1, dim2=2)
        count = both.shape[0] * both.shape[1] * (both.shape[1] - 1)
        lacking = (on - 1).square().mean()
        shared = (both.square().sum() - on.square().sum()) / count
        return (lacking.clamp_min(LEAST_SQUARE).sqrt() + shared.clamp_min(LEAST_SQUARE).sqrt()) / 2
