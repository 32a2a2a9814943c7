"""VICReg: agree, vary, and don't covary (Bardes et al. 2022, arXiv:2105.04906)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from skysift.ssl.methods.base import Method, Step, full_precision

if TYPE_CHECKING:
    from torch import Tensor, nn

    from skysift.ssl.network import Network


class VICReg(Method):
    """Options of VICReg; the defaults are the paper's, with solo-learn's width of the projector (there 8192).

    The authors' code halves the variance term, which is `variance=12.5` here.
    """

    name: Literal["vicreg"] = "vicreg"
    invariance: NonNegativeFloat = Field(25.0, description="Weight of the distance between the views.")
    variance: NonNegativeFloat = Field(25.0, description="Weight of what the standard deviations lack to 1.")
    covariance: NonNegativeFloat = Field(1.0, description="Weight of the covariances between dimensions.")
    hidden_dim: PositiveInt = Field(2048, description="Width of the projector's hidden layers.")
    projection_dim: int = Field(2048, ge=2, description="Width of the projector's output.")

    def build(self, backbone: nn.Module, dim: int) -> nn.ModuleDict:  # noqa: ARG002
        """Return the projector of three layers."""
        from skysift.encoders._torchvision import ensure

        ensure()
        from lightly.models.modules.heads import VICRegProjectionHead
        from torch import nn

        return nn.ModuleDict({"projector": VICRegProjectionHead(dim, self.hidden_dim, self.projection_dim)})

    def step(self, network: Network, views: list[Tensor]) -> Step:
        """Compute the loss of the two views (B, C, S, S), each of which passes by itself."""
        embeddings = [network.backbone(view) for view in views]
        first, second = (network.heads["projector"](embedding).float() for embedding in embeddings)
        loss = vicreg(first, second, invariance=self.invariance, variance=self.variance, covariance=self.covariance)
        return Step(loss, embeddings[0], (first, second))


@full_precision
def vicreg(first: Tensor, second: Tensor, *, invariance: float, variance: float, covariance: float) -> Tensor:
    """Return the weighted sum of the three terms (equation 6 of the paper).

    Parameters
    ----------
    first, second : Tensor
        Projections (B, d) of two views of the same B images. Variances and covariances are those of the batch of all
        processes.
    invariance, variance, covariance : float
        The weights.

    Returns
    -------
    Tensor
        Scalar: the first term is the mean over this process's images, the others are the same on every process.
    """
    from skysift.encoders._torchvision import ensure

    ensure()
    from lightly.loss.vicreg_loss import invariance_loss, variance_loss

    from skysift.ssl.distributed import gather_with_gradient

    loss: Tensor = invariance * invariance_loss(first, second)
    for rows in (gather_with_gradient(first), gather_with_gradient(second)):
        loss = loss + variance * variance_loss(rows) + covariance * squared_covariances(rows)
    return loss


def squared_covariances(rows: Tensor) -> Tensor:
    """Return the sum of the squared covariances of different dimensions of (B, d), divided by d (equation 4).

    lightly picks the elements off the diagonal by a mask, for which a GPU makes the host wait.
    """
    import torch

    centred = rows - rows.mean(dim=0)
    matrix = centred.T @ centred / (len(rows) - 1)
    return (matrix - torch.diag(matrix.diagonal())).square().sum() / rows.shape[1]
