"""SimSiam: predict the other view, whose side takes no gradient (Chen & He 2021, arXiv:2011.10566)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt

from skysift.ssl.methods.base import Method, Step, full_precision

if TYPE_CHECKING:
    from torch import Tensor, nn

    from skysift.ssl.network import Network


class SimSiam(Method):
    """Options of SimSiam; the defaults are the paper's."""

    name: Literal["simsiam"] = "simsiam"
    hidden_dim: PositiveInt = Field(2048, description="Width of the projector's hidden layers.")
    projection_dim: PositiveInt = Field(2048, description="Width of the output of projector and predictor.")
    predictor_dim: PositiveInt = Field(512, description="Width of the predictor's hidden layer.")

    def build(self, backbone: nn.Module, dim: int) -> nn.ModuleDict:  # noqa: ARG002
        """Return projector and predictor."""
        from skysift.encoders._torchvision import ensure

        ensure()
        from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead
        from torch import nn

        return nn.ModuleDict(
            {
                "projector": SimSiamProjectionHead(dim, self.hidden_dim, self.projection_dim),
                "predictor": SimSiamPredictionHead(self.projection_dim, self.predictor_dim, self.projection_dim),
            }
        )

    def step(self, network: Network, views: list[Tensor]) -> Step:
        """Compute the mean of both views' losses; each view (B, C, S, S) passes by itself."""
        heads = network.heads
        embeddings = [network.backbone(view) for view in views]
        projections = [heads["projector"](embedding) for embedding in embeddings]
        predictions = [heads["predictor"](projection).float() for projection in projections]
        first, second = (projection.float() for projection in projections)
        loss = (dissimilarity(predictions[0], second) + dissimilarity(predictions[1], first)) / 2
        return Step(loss, embeddings[0], (first, second))


@full_precision
def dissimilarity(prediction: Tensor, projection: Tensor) -> Tensor:
    """Return the mean negative cosine of predictions (B, d) and projections (B, d), which take no gradient.

    Equations 1 and 3 of the paper.
    """
    from skysift.encoders._torchvision import ensure

    ensure()
    from lightly.loss import NegativeCosineSimilarity

    loss: Tensor = NegativeCosineSimilarity()(prediction, projection.detach())
    return loss
