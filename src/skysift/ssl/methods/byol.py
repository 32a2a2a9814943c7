"""BYOL: predict a slowly moving teacher's view of the same image (Grill et al. 2020, arXiv:2006.07733)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt

from skysift.ssl.methods.base import Method, Step, full_precision

if TYPE_CHECKING:
    from torch import Tensor, nn

    from skysift.ssl.network import Network


class BYOL(Method):
    """Options of BYOL; the defaults are those of Cecconello et al. 2024."""

    name: Literal["byol"] = "byol"
    hidden_dim: PositiveInt = Field(1024, description="Width of the hidden layer of projector and predictor.")
    projection_dim: PositiveInt = Field(256, description="Width of the output of projector and predictor.")
    momentum: float = Field(0.99, ge=0, le=1, description="Share of itself that the teacher keeps in a step, at first.")
    final_momentum: float = Field(1.0, ge=0, le=1, description="The same at the end; a cosine leads there.")

    def build(self, backbone: nn.Module, dim: int) -> nn.ModuleDict:
        """Return projector and predictor, and the teacher: copies of backbone and projector that take no gradient."""
        from skysift.encoders._torchvision import ensure

        ensure()
        from lightly.models.modules.heads import BYOLPredictionHead, BYOLProjectionHead
        from torch import nn

        projector = BYOLProjectionHead(dim, self.hidden_dim, self.projection_dim)
        return nn.ModuleDict(
            {
                "projector": projector,
                "predictor": BYOLPredictionHead(self.projection_dim, self.hidden_dim, self.projection_dim),
                "teacher_backbone": copy.deepcopy(backbone).requires_grad_(False),
                "teacher_projector": copy.deepcopy(projector).requires_grad_(False),
            }
        )

    def step(self, network: Network, views: list[Tensor]) -> Step:
        """Compute the mean squared distance of unit vectors, each view predicting the teacher's other one.

        Each view (B, C, S, S) passes by itself, so that batch normalisation sees one view at a time as in the paper.
        """
        import torch

        heads = network.heads
        embeddings = [network.backbone(view) for view in views]
        projections = [heads["projector"](embedding) for embedding in embeddings]
        predictions = [heads["predictor"](projection).float() for projection in projections]
        with torch.no_grad():
            targets = [heads["teacher_projector"](heads["teacher_backbone"](view)).float() for view in views]
        loss = regression(predictions[0], targets[1]) + regression(predictions[1], targets[0])
        return Step(loss, embeddings[0], (projections[0].float(), projections[1].float()))

    def after_step(self, network: Network, done: int, total: int) -> None:
        """Move the teacher's weights towards the student's: an exponential mean whose momentum rises on a cosine."""
        from skysift.ssl.momentum import move_teachers

        move_teachers(network, done, total, start=self.momentum, end=self.final_momentum)


@full_precision
def regression(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared distance 2 - 2 cos between unit vectors (equation 2 of the paper).

    Parameters
    ----------
    prediction, target : Tensor
        (B, d); no gradient flows to a target that was computed without one.
    """
    from skysift.encoders._torchvision import ensure

    ensure()
    from lightly.loss import NegativeCosineSimilarity

    loss: Tensor = 2 + 2 * NegativeCosineSimilarity()(prediction, target)
    return loss
