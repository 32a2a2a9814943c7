"""W-MSE: whiten the projections of a batch, then let the views agree (Ermolov et al. 2021, arXiv:2007.06346)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from skysift.ssl.methods.base import Method, Step, full_precision

if TYPE_CHECKING:
    from torch import Tensor, nn

    from skysift.ssl.network import Network


class WMSE(Method):
    """Options of W-MSE; the defaults are those of solo-learn's ResNet18 recipes, which Cecconello et al. 2024 used."""

    remedy: ClassVar[str] = "give the method a `shrinkage` (0.01, say)"

    name: Literal["wmse"] = "wmse"
    hidden_dim: PositiveInt = Field(1024, description="Width of the projector's hidden layer.")
    projection_dim: int = Field(64, ge=2, description="Width of the projector's output.")
    whitening_size: int = Field(
        128, description="Images that are whitened together, at least; more than `projection_dim`."
    )
    whitenings: PositiveInt = Field(1, description="Ways in which a batch is divided into such groups.")
    shrinkage: float = Field(0.0, ge=0, lt=1, description="Share of the identity in the covariance, for stability.")

    @model_validator(mode="after")
    def _check(self) -> WMSE:
        if self.whitening_size <= self.projection_dim:
            raise ValueError(
                f"whitening_size ({self.whitening_size}) must exceed projection_dim ({self.projection_dim}): fewer "
                "images have no regular covariance"
            )
        return self

    @property
    def min_batch(self) -> int:
        """One group to whiten."""
        return self.whitening_size

    def build(self, backbone: nn.Module, dim: int) -> nn.ModuleDict:  # noqa: ARG002
        """Return the projector of two layers (its make is BYOL's)."""
        from skysift.encoders._torchvision import ensure

        ensure()
        from lightly.models.modules.heads import BYOLProjectionHead
        from torch import nn

        return nn.ModuleDict({"projector": BYOLProjectionHead(dim, self.hidden_dim, self.projection_dim)})

    def step(self, network: Network, views: list[Tensor]) -> Step:
        """Compute the loss of the two views (B, C, S, S), each of which passes by itself."""
        embeddings = [network.backbone(view) for view in views]
        first, second = (network.heads["projector"](embedding).float() for embedding in embeddings)
        loss = whitened_distance(
            first, second, size=self.whitening_size, whitenings=self.whitenings, shrinkage=self.shrinkage
        )
        return Step(loss, embeddings[0], (first, second))


@full_precision
def whitened_distance(
    first: Tensor, second: Tensor, *, size: int, whitenings: int = 1, shrinkage: float = 0.0
) -> Tensor:
    """Return the mean squared distance 2 - 2 cos of two views after whitening (equation 6 of the paper).

    Parameters
    ----------
    first, second : Tensor
        Projections (B, d) of two views of the same B images. The batch of all processes is divided into groups, and
        each view of a group whitened by itself.
    size : int
        Fewest images in a group; as many groups are made as there is room for, of equal size but for one image.
    whitenings : int
        Ways of dividing, the first in the batch's order (which is random), each further one in a fixed random order.
    shrinkage : float
        Share of the identity in the covariance.

    Returns
    -------
    Tensor
        Scalar, the same on every process; NaN when a covariance is singular, as after a collapse.
    """
    import torch
    from torch.nn.functional import cosine_similarity

    from skysift.ssl.distributed import gather_with_gradient

    views = gather_with_gradient(first), gather_with_gradient(second)
    count = len(views[0])
    cosines = []
    for turn in range(whitenings):
        order = torch.arange(count)
        if turn:
            order = torch.randperm(count, generator=torch.Generator().manual_seed(turn))
        for group in order.to(first.device).tensor_split(max(1, count // size)):
            one, two = (whiten(view[group], shrinkage) for view in views)
            cosines.append(cosine_similarity(one, two, dim=1))
    return 2 - 2 * torch.cat(cosines).mean()


def whiten(rows: Tensor, shrinkage: float = 0.0) -> Tensor:
    """Return rows (n, d), centred and multiplied by W with W^T W the inverse of their covariance.

    W is the inverse of the lower Cholesky factor (section 3.1 of the paper). NaN where the covariance is singular.
    """
    import torch

    centred = rows - rows.mean(dim=0)
    covariance = centred.T @ centred / (len(rows) - 1)
    covariance = (1 - shrinkage) * covariance + shrinkage * torch.eye(
        len(covariance), device=rows.device, dtype=rows.dtype
    )
    factor, failed = torch.linalg.cholesky_ex(covariance)
    factor = torch.where(failed > 0, torch.nan, factor)
    return torch.linalg.solve_triangular(factor, centred.T, upper=False).T
