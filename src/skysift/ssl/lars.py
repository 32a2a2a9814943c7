"""LARS: momentum with a rate of its own for each layer (You, Gitman & Ginsburg 2017, arXiv:1708.03888)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class LARS(torch.optim.Optimizer):
    """Layer-wise rates for weights that decay, plain momentum for the others; all weights of a group at once.

    A weight w with gradient g moves by lr times the momentum buffer of `trust_coefficient` |w| / (|g| + weight_decay
    |w|) (g + weight_decay w) (equation 6 and algorithm 1 of the paper). The steps are those of lightly's optimiser of
    the same name, which asks the device about each weight by itself and waits for the answer.

    Parameters
    ----------
    params : iterable
        Weights, or groups of them with a `weight_decay` of their own; a group without decay has no layer-wise rate.
    lr : float
        Learning rate.
    momentum : float
        Share of the buffer that stays in a step.
    weight_decay : float
        Of weights whose group says nothing.
    trust_coefficient : float
        Share of a layer's norm by which a step of rate 1 moves it.
    eps : float
        Added to the denominator.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 0.001,
        eps: float = 1e-8,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "eps": eps,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move all weights that have a gradient; `closure` is called first if it is given, its value returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._move(weights, group)
        return loss

    def _move(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        steps: Any = [weight.grad for weight in weights]
        if group["weight_decay"]:
            rates = _rates(weights, steps, group)
            steps = torch._foreach_add(steps, weights, alpha=group["weight_decay"])
            torch._foreach_mul_(steps, rates)
        buffers = [self._buffer(weight) for weight in weights]
        torch._foreach_mul_(buffers, group["momentum"])
        torch._foreach_add_(buffers, steps)
        torch._foreach_add_(weights, buffers, alpha=-group["lr"])

    def _buffer(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def _rates(weights: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
    """Return each layer's rate, a scalar tensor: 1 for weights that are all zero, 0 without gradient."""
    weight, gradient = (torch.stack(torch._foreach_norm(tensors)) for tensors in (weights, gradients))
    rate = group["trust_coefficient"] * weight / (gradient + weight * group["weight_decay"] + group["eps"])
    rate = torch.where(weight == 0, 1.0, rate)
    return list(torch.where(gradient == 0, 0.0, rate).unbind())
