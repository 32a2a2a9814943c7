"""SimSiam against its equations written out."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from skysift.ssl.methods import SimSiam
from skysift.ssl.methods.simsiam import dissimilarity
from skysift.ssl.network import Network


def rows(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, 5, generator=generator, dtype=torch.float64).requires_grad_()


def cosine(one: Tensor, two: Tensor) -> Tensor:
    return (one * two).sum(dim=1) / (one.square().sum(dim=1).sqrt() * two.square().sum(dim=1).sqrt())


def test_loss_and_gradient_equal_the_written_out_formula_and_one_side_takes_none() -> None:
    prediction, projection, twin = rows(1), rows(2), rows(1)
    loss = dissimilarity(prediction, projection)
    expected = -cosine(twin, projection.detach()).mean()
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(prediction.grad, twin.grad, rtol=1e-9, atol=1e-12)
    assert projection.grad is None


def test_step_is_the_mean_of_both_directions() -> None:
    torch.manual_seed(0)
    options = SimSiam(hidden_dim=8, projection_dim=6, predictor_dim=4)
    network = Network(nn.Sequential(nn.Flatten(), nn.Linear(48, 6)), 6, options, seed=1)
    views = [torch.randn(5, 3, 4, 4) for _ in range(2)]
    twin = copy.deepcopy(network)
    step, expected = network(views), []
    projections = [twin.heads["projector"](twin.backbone(view)) for view in views]
    for i in range(2):
        expected.append(-cosine(twin.heads["predictor"](projections[i]), projections[1 - i].detach()).mean())
    loss = (expected[0] + expected[1]) / 2
    assert step.loss.item() == pytest.approx(loss.item(), rel=1e-5)
    step.loss.backward()
    loss.backward()
    for ours, theirs in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


def test_defaults_are_the_papers() -> None:
    network = Network(nn.Identity(), 512, SimSiam(), seed=0)
    shapes = [tuple(weight.shape) for weight in network.heads.parameters() if weight.ndim == 2]
    assert shapes == [(2048, 512), (2048, 2048), (2048, 2048), (512, 2048), (2048, 512)]
