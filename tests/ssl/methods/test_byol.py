"""BYOL against the formula written out."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from skysift.ssl.methods import BYOL
from skysift.ssl.methods.byol import regression
from skysift.ssl.network import Network

OPTIONS = BYOL(hidden_dim=8, projection_dim=4, momentum=0.9)


def unit(rows: Tensor) -> Tensor:
    return rows / rows.square().sum(dim=1, keepdim=True).sqrt()


def network() -> Network:
    torch.manual_seed(0)
    return Network(nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.BatchNorm1d(6)), 6, OPTIONS, seed=1)


def views() -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(5, 3, 4, 4, generator=generator) for _ in range(2)]


def test_regression_is_the_squared_distance_of_unit_vectors() -> None:
    generator = torch.Generator().manual_seed(1)
    prediction = torch.randn(6, 5, generator=generator, dtype=torch.float64).requires_grad_()
    twin = prediction.detach().clone().requires_grad_()
    target = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    loss = regression(prediction, target)
    expected = (unit(twin) - unit(target)).square().sum(dim=1).mean()
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(prediction.grad, twin.grad, rtol=1e-9, atol=1e-12)


def test_step_is_symmetric_and_each_view_is_normalised_by_itself() -> None:
    net, (first, second) = network(), views()
    step = net([first, second])
    heads = net.heads

    def student(view: Tensor) -> Tensor:
        return unit(heads["predictor"](heads["projector"](net.backbone(view))))

    def teacher(view: Tensor) -> Tensor:
        return unit(heads["teacher_projector"](heads["teacher_backbone"](view)))

    expected = 2 - 2 * (student(first) * teacher(second)).sum(dim=1).mean()
    expected = expected + 2 - 2 * (student(second) * teacher(first)).sum(dim=1).mean()
    assert step.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(step.embeddings, net.backbone(first))


def test_no_gradient_reaches_the_teacher() -> None:
    net = network()
    net(views()).loss.backward()
    teacher = [weight for name, weight in net.named_parameters() if "teacher" in name]
    assert teacher
    assert all(weight.grad is None and not weight.requires_grad for weight in teacher)
    assert all(weight.grad is not None for name, weight in net.named_parameters() if "teacher" not in name)


@pytest.mark.parametrize("done", [1, 6, 10])
def test_teacher_follows_with_cosine_momentum(done: int) -> None:
    net = network()
    before = copy.deepcopy(net.heads["teacher_backbone"])
    with torch.no_grad():
        for weight in net.backbone.parameters():
            weight += 1
    net.method.after_step(net, done, 10)
    momentum = 1 - 0.1 * (math.cos(math.pi * (done - 1) / 9) + 1) / 2
    for student, teacher, old in zip(
        net.backbone.parameters(), net.heads["teacher_backbone"].parameters(), before.parameters(), strict=True
    ):
        torch.testing.assert_close(teacher, momentum * old + (1 - momentum) * student)


def test_defaults_are_cecconello2024_and_teacher_is_not_published() -> None:
    net = Network(nn.Identity(), 512, BYOL(), seed=0)
    shapes = [tuple(weight.shape) for weight in net.heads["projector"].parameters() if weight.ndim == 2]
    assert shapes == [(1024, 512), (256, 1024)]
    assert (BYOL().momentum, BYOL().final_momentum) == (0.99, 1.0)
    assert {name.split(".")[0] for name in net.published_heads()} == {"projector", "predictor"}
