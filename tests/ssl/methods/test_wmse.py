"""W-MSE against numpy in float64 and against lightly's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from skysift.encoders._torchvision import ensure
from skysift.ssl.methods import WMSE
from skysift.ssl.methods.wmse import whiten, whitened_distance
from skysift.ssl.network import Network

ensure()
from lightly.loss.wmse_loss import Whitening2d, WMSELoss  # noqa: E402


def rows(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(count, 4, generator=generator, dtype=torch.float64) @ torch.randn(
        4, 4, generator=generator, dtype=torch.float64
    )
    return (mixed + 3.0).requires_grad_()


def whitened(values: np.ndarray, shrinkage: float) -> np.ndarray:
    covariance = (1 - shrinkage) * np.cov(values.T) + shrinkage * np.eye(values.shape[1])
    return (values - values.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(covariance)).T


def written_out(first: np.ndarray, second: np.ndarray, groups: list[np.ndarray], shrinkage: float) -> float:
    """Equation 6 of Ermolov et al. 2021 with unit vectors, group by group."""
    distances = []
    for group in groups:
        one, two = whitened(first[group], shrinkage), whitened(second[group], shrinkage)
        for a, b in zip(one, two, strict=True):
            distances.append(np.sum((a / np.linalg.norm(a) - b / np.linalg.norm(b)) ** 2))
    return float(np.mean(distances))


def test_whitened_rows_have_the_identity_as_covariance() -> None:
    values = rows(20, 1).detach()
    np.testing.assert_allclose(np.cov(whiten(values).numpy().T), np.eye(4), atol=1e-10)
    np.testing.assert_allclose(whiten(values).numpy(), whitened(values.numpy(), 0.0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shrinkage", [0.0, 0.1])
def test_whitening_equals_lightlys(shrinkage: float) -> None:
    values = rows(20, 1).detach().float()
    expected = Whitening2d(4, eps=shrinkage)(values)
    torch.testing.assert_close(whiten(values, shrinkage), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("count", "sizes"), [(8, [8]), (15, [15]), (17, [9, 8]), (26, [9, 9, 8])])
def test_loss_equals_the_written_out_formula_in_groups(count: int, sizes: list[int]) -> None:
    first, second = rows(count, 1), rows(count, 2)
    groups = np.split(np.arange(count), np.cumsum(sizes)[:-1])
    loss = whitened_distance(first, second, size=8, shrinkage=0.05)
    expected = written_out(first.detach().numpy(), second.detach().numpy(), groups, 0.05)
    assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_gradient_equals_finite_differences_and_lightlys() -> None:
    first, second = rows(10, 1), rows(10, 2)
    loss = whitened_distance(first, second, size=10)
    loss.backward()
    assert first.grad is not None
    base = first.detach().numpy()
    for place in [(0, 0), (9, 3), (4, 1)]:
        ends = []
        for sign in (1, -1):
            moved = base.copy()
            moved[place] += sign * 1e-6
            ends.append(written_out(moved, second.detach().numpy(), [np.arange(10)], 0.0))
        assert first.grad[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-8)
    single = [view.detach().float().requires_grad_() for view in (first, second)]
    expected = WMSELoss(4, w_size=10)(torch.cat(single))
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    torch.testing.assert_close(first.grad.float(), single[0].grad, rtol=1e-3, atol=1e-5)


def test_further_whitenings_divide_the_batch_otherwise_but_always_alike() -> None:
    first, second = rows(16, 1), rows(16, 2)
    once, twice, again = (whitened_distance(first, second, size=8, whitenings=n).item() for n in (1, 2, 2))
    assert twice == again
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1)).numpy()
    views = first.detach().numpy(), second.detach().numpy()
    other = written_out(*views, [order[:8], order[8:]], 0.0)
    assert twice == pytest.approx((once + other) / 2, rel=1e-9)


def test_a_singular_covariance_makes_the_loss_no_number() -> None:
    alike = torch.ones(10, 4)
    assert math.isnan(whitened_distance(alike, alike, size=10).item())
    assert math.isfinite(whitened_distance(alike, alike, size=10, shrinkage=0.01).item())


def test_defaults_are_solo_learns() -> None:
    network = Network(nn.Identity(), 512, WMSE(), seed=0)
    shapes = [tuple(weight.shape) for weight in network.heads.parameters() if weight.ndim == 2]
    assert shapes == [(1024, 512), (64, 1024)]
    assert (WMSE().whitening_size, WMSE().whitenings, WMSE().shrinkage, WMSE().min_batch) == (128, 1, 0.0, 128)
    with pytest.raises(ValidationError, match="must exceed projection_dim"):
        WMSE(projection_dim=128)
