"""SimCLR: two views of an image attract, all other images of the batch repel (Chen et al. 2020, arXiv:2002.05709)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from skysift.ssl.methods.base import Method, Step, full_precision

if TYPE_CHECKING:
    from torch import Tensor, nn

    from skysift.ssl.network import Network


class SimCLR(Method):
    """Options of SimCLR; the defaults are those of Riggi et al. 2024."""

    name: Literal["simclr"] = "simclr"
    temperature: PositiveFloat = Field(0.1, description="Temperature of the NT-Xent loss.")
    hidden_dim: PositiveInt = Field(256, description="Width of the projector's hidden layer.")
    projection_dim: PositiveInt = Field(128, description="Width of the projector's output.")
    batch_norm: bool = Field(False, description="Batch normalisation after each layer of the projector (SimCLR v2).")

    def build(self, backbone: nn.Module, dim: int) -> nn.ModuleDict:  # noqa: ARG002
        """Return the projector, `dim` -> `hidden_dim` -> `projection_dim`."""
        from skysift.encoders._torchvision import ensure

        ensure()
        from lightly.models.modules.heads import SimCLRProjectionHead
        from torch import nn

        head = SimCLRProjectionHead(dim, self.hidden_dim, self.projection_dim, batch_norm=self.batch_norm)
        return nn.ModuleDict({"projector": head})

    def step(self, network: Network, views: list[Tensor]) -> Step:
        """Compute the NT-Xent loss both ways; the two views (B, C, S, S) pass through the network together."""
        import torch

        embeddings = network.backbone(torch.cat(views))
        first, second = network.heads["projector"](embeddings).float().chunk(2)
        return Step(nt_xent(first, second, self.temperature), embeddings[: len(first)], (first, second))


@full_precision
def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the normalised temperature-scaled cross entropy of two views (equation 1 of the paper).

    It equals lightly's, which takes an anchor's similarity to itself out by a mask, for which a GPU makes the host
    wait.

    Parameters
    ----------
    first, second : Tensor
        Projections (B, d) of two views of the same B images.
    temperature : float
        Divides the cosine similarities.

    Returns
    -------
    Tensor
        Scalar, the mean over all 2 B anchors. With several processes the negatives come from all of them, and the
        gradient flows back to each.
    """
    import torch
    from torch.nn.functional import cross_entropy, normalize

    from skysift.ssl.distributed import gather_with_gradient, rank

    count = len(first)
    anchors = normalize(torch.cat([first, second]), dim=1)
    candidates = gather_with_gradient(anchors)
    similarity = anchors @ candidates.T / temperature
    own = torch.arange(2 * count, device=anchors.device)
    partners = own.roll(count) + 2 * count * rank()
    itself = (own + 2 * count * rank())[:, None]
    return cross_entropy(similarity.scatter(1, itself, -torch.inf), partners)
