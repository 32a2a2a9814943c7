"""How the learning rate changes over a run, and the optimisers that follow it."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn

from skysift.ssl.lars import LARS

OptimizerName = Literal["adam", "adamw", "sgd", "lars"]


def warmup_cosine(step: int, total: int, warmup: int) -> float:
    """Return the factor on the peak learning rate at a step.

    Parameters
    ----------
    step : int
        0-based.
    total : int
        Steps in the run.
    warmup : int
        Steps of linear rise, reaching 1 at the last of them; a half cosine then leads down to 0 at the last step.

    Returns
    -------
    float
        In (0, 1] while warming up, then in [0, 1]. A run of one step has factor 1.
    """
    if step < warmup:
        return (step + 1) / warmup
    left = total - warmup
    if left <= 1:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (left - 1)))


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split the trained weights into those that decay and, apart, biases and normalisation, which do not."""
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    decay = [weight for weight in trained if weight.ndim > 1]
    rest = [weight for weight in trained if weight.ndim <= 1]
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def make_optimizer(
    network: nn.Module,
    name: OptimizerName,
    *,
    lr: float,
    weight_decay: float,
    momentum: float = 0.9,
    trust_coefficient: float = 0.001,
) -> torch.optim.Optimizer:
    """Return the optimiser over a network's trained weights, fused where torch offers it.

    Parameters
    ----------
    network : nn.Module
        On its device already.
    name : str
        `lars`: layer-wise rates for weights that decay (You et al. 2017, arXiv:1708.03888), plain momentum for the
        others.
    lr : float
        Peak learning rate.
    weight_decay : float
        Not for biases and normalisation.
    momentum : float
        Of `sgd` and `lars`.
    trust_coefficient : float
        Of `lars`.
    """
    groups = parameter_groups(network, weight_decay)
    if name == "adam":
        return torch.optim.Adam(groups, lr=lr, fused=True)
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=lr, fused=True)
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, fused=True)
    return LARS(groups, lr=lr, momentum=momentum, trust_coefficient=trust_coefficient)
