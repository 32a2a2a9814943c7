"""NNCLR: the other view must be found from an image's nearest neighbour (Dwibedi et al. 2021, arXiv:2104.14548)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from skysift.ssl.methods.base import Method, Step

if TYPE_CHECKING:
    from torch import Tensor, nn

    from skysift.ssl.network import Network


class NNCLR(Method):
    """Options of NNCLR; the defaults are the paper's, with solo-learn's size of the queue (the paper's is 98,304)."""

    name: Literal["nnclr"] = "nnclr"
    temperature: PositiveFloat = Field(0.1, description="Divides the cosine similarities.")
    queue_size: PositiveInt = Field(65_536, description="Projections in which neighbours are looked for.")
    hidden_dim: PositiveInt = Field(2048, description="Width of the projector's hidden layers.")
    predictor_dim: PositiveInt = Field(4096, description="Width of the predictor's hidden layer.")
    projection_dim: PositiveInt = Field(256, description="Width of the output of projector and predictor.")
    symmetric: bool = Field(
        True, description="Also find the neighbour from the other view, as in the paper (solo-learn does not)."
    )

    def build(self, backbone: nn.Module, dim: int) -> nn.ModuleDict:  # noqa: ARG002
        """Return projector, predictor and the queue of earlier projections."""
        from skysift.encoders._torchvision import ensure

        ensure()
        from lightly.models.modules.heads import NNCLRPredictionHead, NNCLRProjectionHead
        from torch import nn

        from skysift.ssl.queue import Queue

        width = self.projection_dim
        return nn.ModuleDict(
            {
                "projector": NNCLRProjectionHead(dim, self.hidden_dim, width),
                "predictor": NNCLRPredictionHead(width, self.predictor_dim, width),
                "teacher_queue": Queue(self.queue_size, width),
            }
        )

    def step(self, network: Network, views: list[Tensor]) -> Step:
        """Let each view's neighbour find the other's prediction; each view (B, C, S, S) passes by itself.

        Neighbours are looked for before the first view's projections join the queue.
        """
        heads = network.heads
        embeddings = [network.backbone(view) for view in views]
        projections = [heads["projector"](embedding) for embedding in embeddings]
        predictions = [heads["predictor"](projection).float() for projection in projections]
        first, second = (projection.float() for projection in projections)
        queue: Any = heads["teacher_queue"]
        near = [queue.nearest(projection)[:, 0] for projection in (first, second)]
        one = neighbour_loss(near[0], predictions[1], self.temperature, symmetric=self.symmetric)
        two = neighbour_loss(near[1], predictions[0], self.temperature, symmetric=self.symmetric)
        queue.push(first)
        return Step((one + two) / 2, embeddings[0], (first, second))


def neighbour_loss(neighbours: Tensor, predictions: Tensor, temperature: float, *, symmetric: bool = True) -> Tensor:
    """Return the contrastive loss of neighbours of one view against predictions of the other (equation 3).

    Parameters
    ----------
    neighbours : Tensor
        (B, d): for each image, the row of the queue nearest to one view's projection; without gradient.
    predictions : Tensor
        (B, d) of the other view.
    temperature : float
        Divides the cosine similarities.
    symmetric : bool
        Average with the loss of finding the neighbour from the prediction (the paper adds it).

    Returns
    -------
    Tensor
        Scalar, the mean over this process's images; the other candidates come from all processes.
    """
    from skysift.ssl.contrast import info_nce

    forward = info_nce(neighbours, predictions, temperature)
    return (forward + info_nce(predictions, neighbours, temperature)) / 2 if symmetric else forward
