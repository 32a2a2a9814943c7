"""MoCo v3: find a slowly moving teacher's view of the same image in the batch (Chen et al. 2021, arXiv:2104.02057)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from skysift.ssl.methods.base import Method, Step

if TYPE_CHECKING:
    from torch import Tensor, nn

    from skysift.ssl.network import Network


class MoCoV3(Method):
    """Options of MoCo v3; the defaults are the paper's for vision transformers, which solo-learn takes for ResNets too.

    The authors' code differs for ResNets: a projector of two layers and temperature 1.
    """

    name: Literal["mocov3"] = "mocov3"
    temperature: PositiveFloat = Field(0.2, description="Divides the cosine similarities.")
    hidden_dim: PositiveInt = Field(4096, description="Width of the hidden layers of projector and predictor.")
    projection_dim: PositiveInt = Field(256, description="Width of the output of projector and predictor.")
    projector_layers: int = Field(3, ge=2, description="Layers of the projector.")
    momentum: float = Field(0.99, ge=0, le=1, description="Share of itself that the teacher keeps in a step, at first.")
    final_momentum: float = Field(1.0, ge=0, le=1, description="The same at the end; a cosine leads there.")
    freeze_patches: bool = Field(
        True, description="Leave a vision transformer's patch embedding as it begins, which keeps training stable."
    )

    def build(self, backbone: nn.Module, dim: int) -> nn.ModuleDict:
        """Return projector and predictor, and the teacher: copies of backbone and projector that take no gradient."""
        from skysift.encoders._torchvision import ensure

        ensure()
        from lightly.models.modules.heads import MoCoProjectionHead
        from torch import nn

        width = self.projection_dim
        projector = MoCoProjectionHead(dim, self.hidden_dim, width, num_layers=self.projector_layers, batch_norm=True)
        patches = getattr(backbone, "patch_embed", None)
        if self.freeze_patches and patches is not None:
            patches.requires_grad_(False)
        return nn.ModuleDict(
            {
                "projector": projector,
                "predictor": MoCoProjectionHead(width, self.hidden_dim, width, num_layers=2, batch_norm=True),
                "teacher_backbone": copy.deepcopy(backbone).requires_grad_(False),
                "teacher_projector": copy.deepcopy(projector).requires_grad_(False),
            }
        )

    def step(self, network: Network, views: list[Tensor]) -> Step:
        """Let each view find the teacher's other one; each view (B, C, S, S) passes by itself, as in the paper."""
        import torch

        heads = network.heads
        embeddings = [network.backbone(view) for view in views]
        projections = [heads["projector"](embedding) for embedding in embeddings]
        queries = [heads["predictor"](projection).float() for projection in projections]
        with torch.no_grad():
            keys = [heads["teacher_projector"](heads["teacher_backbone"](view)).float() for view in views]
        loss = contrast(queries[0], keys[1], self.temperature) + contrast(queries[1], keys[0], self.temperature)
        return Step(loss, embeddings[0], (projections[0].float(), projections[1].float()))

    def after_step(self, network: Network, done: int, total: int) -> None:
        """Move the teacher's weights towards the student's."""
        from skysift.ssl.momentum import move_teachers

        move_teachers(network, done, total, start=self.momentum, end=self.final_momentum)


def contrast(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Return 2 T times the InfoNCE loss of queries against keys (equation 1 and algorithm 1 of the paper).

    Parameters
    ----------
    queries : Tensor
        (B, d) predictions of the student for one view.
    keys : Tensor
        (B, d) projections of the teacher for the other, without gradient.
    temperature : float
        Divides the cosine similarities.

    Returns
    -------
    Tensor
        Scalar, the mean over this process's queries; keys come from all processes.
    """
    from skysift.ssl.contrast import info_nce

    return 2 * temperature * info_nce(queries, keys, temperature)
