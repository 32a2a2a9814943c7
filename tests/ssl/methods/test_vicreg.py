"""VICReg against lightly's and its equations written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skysift.encoders._torchvision import ensure
from skysift.ssl.methods import VICReg
from skysift.ssl.methods.vicreg import squared_covariances, vicreg
from skysift.ssl.network import Network

ensure()
from lightly.loss import VICRegLoss  # noqa: E402
from lightly.loss.vicreg_loss import covariance_loss  # noqa: E402


def rows(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (0.7 * torch.randn(count, 4, generator=generator, dtype=torch.float64)).requires_grad_()


@pytest.mark.parametrize("count", [2, 9])
def test_loss_equals_equations_1_to_6(count: int) -> None:
    first, second = rows(count, 1), rows(count, 2)
    one, two = first.detach().numpy(), second.detach().numpy()
    expected = 2.0 * np.mean((one - two) ** 2)
    for view in (one, two):
        expected += 3.0 * np.mean(np.maximum(0, 1 - np.sqrt(view.var(axis=0, ddof=1) + 1e-4)))
        covariance = np.cov(view.T)
        expected += 0.7 * (np.sum(covariance**2) - np.sum(np.diag(covariance) ** 2)) / 4
    loss = vicreg(first, second, invariance=2.0, variance=3.0, covariance=0.7)
    assert loss.item() == pytest.approx(expected, rel=1e-10)


def test_loss_and_gradient_equal_lightlys_with_half_the_variance() -> None:
    ours, theirs = (rows(9, 1), rows(9, 2)), (rows(9, 1), rows(9, 2))
    loss = vicreg(*ours, invariance=25.0, variance=12.5, covariance=1.0)
    expected = VICRegLoss(25.0, 25.0, 1.0)(*theirs)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-10)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-8, atol=1e-10)


def test_covariance_is_lightlys_without_its_mask() -> None:
    values = rows(12, 3).detach()
    assert squared_covariances(values).item() == pytest.approx(covariance_loss(values).item(), rel=1e-10)


def test_sizes_are_solo_learns_and_weights_the_papers() -> None:
    network = Network(nn.Identity(), 512, VICReg(), seed=0)
    shapes = [tuple(weight.shape) for weight in network.heads.parameters() if weight.ndim == 2]
    assert shapes == [(2048, 512), (2048, 2048), (2048, 2048)]
    assert (VICReg().invariance, VICReg().variance, VICReg().covariance) == (25.0, 25.0, 1.0)
