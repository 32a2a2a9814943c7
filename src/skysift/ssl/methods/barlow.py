"""Barlow Twins: make the views' cross-correlation the identity (Zbontar et al. 2021, arXiv:2103.03230)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from skysift.ssl.methods.base import Method, Step, full_precision

if TYPE_CHECKING:
    from torch import Tensor, nn

    from skysift.ssl.network import Network


class BarlowTwins(Method):
    """Options of Barlow Twins; the defaults are the paper's, with solo-learn's width of the projector (there 8192)."""

    name: Literal["barlow"] = "barlow"
    redundancy: PositiveFloat = Field(0.005, description="Weight of the elements off the diagonal.")
    hidden_dim: PositiveInt = Field(2048, description="Width of the projector's hidden layers.")
    projection_dim: int = Field(2048, ge=2, description="Width of the projector's output.")

    def build(self, backbone: nn.Module, dim: int) -> nn.ModuleDict:  # noqa: ARG002
        """Return the projector of three layers."""
        from skysift.encoders._torchvision import ensure

        ensure()
        from lightly.models.modules.heads import BarlowTwinsProjectionHead
        from torch import nn

        return nn.ModuleDict({"projector": BarlowTwinsProjectionHead(dim, self.hidden_dim, self.projection_dim)})

    def step(self, network: Network, views: list[Tensor]) -> Step:
        """Compute the loss of the two views (B, C, S, S), each of which passes by itself."""
        embeddings = [network.backbone(view) for view in views]
        first, second = (network.heads["projector"](embedding).float() for embedding in embeddings)
        return Step(cross_correlation(first, second, self.redundancy), embeddings[0], (first, second))


@full_precision
def cross_correlation(first: Tensor, second: Tensor, redundancy: float) -> Tensor:
    """Return how far the cross-correlation of two views is from the identity (equations 1 and 2 of the paper).

    Parameters
    ----------
    first, second : Tensor
        Projections (B, d) of two views of the same B images. Means, scatters and correlations run over the batch of
        all processes.
    redundancy : float
        Weight of the squared elements off the diagonal.

    Returns
    -------
    Tensor
        Scalar, the same on every process.
    """
    from skysift.encoders._torchvision import ensure

    ensure()
    from lightly.loss import BarlowTwinsLoss

    from skysift.ssl.distributed import gather_with_gradient

    loss: Tensor = BarlowTwinsLoss(redundancy)(gather_with_gradient(first), gather_with_gradient(second))
    return loss
