"""Backbone, heads and method as one module, so that whatever wraps modules (DDP, compile) wraps the whole step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skysift.ssl.methods.base import Method, Step


class Network(nn.Module):
    """A backbone in training.

    Parameters
    ----------
    backbone : nn.Module
        Images (B, C, S, S) -> pooled features (B, dim).
    dim : int
        Number of features.
    method : Method
        Gives heads and loss.
    seed : int
        Of the heads' initial weights.
    """

    def __init__(self, backbone: nn.Module, dim: int, method: Method, seed: int) -> None:
        super().__init__()
        self.method = method
        self.backbone = backbone
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.heads = method.build(backbone, dim)

    def forward(self, views: list[Tensor]) -> Step:
        """Compute the method's loss for views (B, C, S, S) of the same images."""
        return self.method.step(self, views)

    def published_heads(self) -> dict[str, Tensor]:
        """Return the heads' weights and buffers by name, without the teacher's."""
        return {name: value for name, value in self.heads.state_dict().items() if not name.startswith("teacher")}
