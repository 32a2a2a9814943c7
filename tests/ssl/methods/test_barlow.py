"""Barlow Twins against its equations written out."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from skysift.ssl.methods import BarlowTwins
from skysift.ssl.methods.barlow import cross_correlation
from skysift.ssl.network import Network


def rows(count: int, seed: int) -> Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def written_out(first: np.ndarray, second: np.ndarray, redundancy: float) -> float:
    """Equations 1 and 2 of Zbontar et al. 2021, element by element; 1e-5 in the variances as in batch normalisation."""
    one, two = (x - x.mean(axis=0) for x in (first, second))
    loss = 0.0
    for i in range(first.shape[1]):
        for j in range(first.shape[1]):
            scale = np.sqrt((np.mean(one[:, i] ** 2) + 1e-5) * (np.mean(two[:, j] ** 2) + 1e-5))
            correlation = np.mean(one[:, i] * two[:, j]) / scale
            loss += (1 - correlation) ** 2 if i == j else redundancy * correlation**2
    return float(loss)


@pytest.mark.parametrize("redundancy", [0.005, 0.3])
@pytest.mark.parametrize("count", [2, 9])
def test_loss_and_gradient_equal_the_written_out_formula(count: int, redundancy: float) -> None:
    first, second = rows(count, 1).requires_grad_(), rows(count, 2)
    loss = cross_correlation(first, second, redundancy)
    expected = written_out(first.detach().numpy(), second.numpy(), redundancy)
    assert loss.item() == pytest.approx(expected, rel=1e-9)
    loss.backward()
    assert first.grad is not None
    for place in [(0, 0), (count - 1, 3)]:
        moved = [first.detach().numpy().copy() for _ in range(2)]
        moved[0][place] += 1e-6
        moved[1][place] -= 1e-6
        ends = [written_out(values, second.numpy(), redundancy) for values in moved]
        assert first.grad[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-8)


def test_step_passes_each_view_by_itself() -> None:
    torch.manual_seed(0)
    options = BarlowTwins(hidden_dim=8, projection_dim=4, redundancy=0.1)
    network = Network(nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.BatchNorm1d(6)), 6, options, seed=1)
    views = [torch.randn(5, 3, 4, 4) for _ in range(2)]
    twin = copy.deepcopy(network)
    projections = [twin.heads["projector"](twin.backbone(view)).detach().double().numpy() for view in views]
    assert network(views).loss.item() == pytest.approx(written_out(*projections, 0.1), rel=1e-4)


def test_sizes_are_solo_learns_and_the_weight_is_the_papers() -> None:
    network = Network(nn.Identity(), 512, BarlowTwins(), seed=0)
    shapes = [tuple(weight.shape) for weight in network.heads.parameters() if weight.ndim == 2]
    assert shapes == [(2048, 512), (2048, 2048), (2048, 2048)]
    assert BarlowTwins().redundancy == 0.005
    with pytest.raises(ValidationError):
        BarlowTwins(projection_dim=1)
