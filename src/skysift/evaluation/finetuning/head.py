"""The one layer that is put on an encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class Head(nn.Module):
    """A linear layer on standardised features, which is one on the features themselves.

    It starts at zero, so that every class is as likely as the next and nothing depends on a draw.

    Parameters
    ----------
    dim, classes : int
        Numbers of features and of classes.
    features : Tensor, optional
        (n, dim) features whose mean and scatter are taken off; features that do not vary are only shifted.
    """

    def __init__(self, dim: int, classes: int, features: Tensor | None = None) -> None:
        super().__init__()
        self.out_features = classes
        self.weight = nn.Parameter(torch.zeros(classes, dim))
        self.bias = nn.Parameter(torch.zeros(classes))
        shift, scale = torch.zeros(dim), torch.ones(dim)
        if features is not None:
            values = features.detach().cpu().double()
            mean, scatter = values.mean(dim=0), values.std(dim=0, correction=0)
            flat = scatter <= 1e-6 * mean.abs().clamp(min=1e-30)
            shift, scale = mean.float(), torch.where(flat, torch.ones_like(scatter), scatter).float()
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)
        self.shift: Tensor
        self.scale: Tensor

    def forward(self, features: Tensor) -> Tensor:
        """(B, dim) -> logits (B, classes)."""
        return linear((features - self.shift) / self.scale, self.weight, self.bias)

    @torch.no_grad()
    def folded(self) -> nn.Linear:
        """Return the layer as one on the features as they are, on the CPU."""
        weight = self.weight.detach().cpu().double() / self.scale.cpu().double()
        bias = self.bias.detach().cpu().double() - weight @ self.shift.cpu().double()
        layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0])
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
        plain: nn.Linear = layer.requires_grad_(requires_grad=False)
        return plain
