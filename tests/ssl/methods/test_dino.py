"""DINO against lightly's loss, step after step."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skysift.encoders._torchvision import ensure
from skysift.ssl.methods import DINO
from skysift.ssl.methods.dino import move_center, self_distillation
from skysift.ssl.network import Network

ensure()
from lightly.loss import DINOLoss  # noqa: E402

OPTIONS = DINO(
    hidden_dim=8, projection_dim=4, prototypes=6, momentum=0.9, freeze_prototypes=0.2, temperature_warmup=0.5
)


def rows(seed: int) -> Tensor:
    return torch.randn(8, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network() -> Network:
    torch.manual_seed(0)
    return Network(nn.Sequential(nn.Flatten(), nn.Linear(48, 6)), 6, OPTIONS, seed=1)


def views() -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(5, 3, 4, 4, generator=generator) for _ in range(2)]


def test_loss_gradient_and_centre_equal_lightlys_over_several_steps() -> None:
    theirs = DINOLoss(6, student_temp=0.1, center_momentum=0.8).double()
    center = torch.zeros(6, dtype=torch.float64)
    for step, temperature in enumerate((0.04, 0.05, 0.07)):
        scores, targets = rows(step).requires_grad_(), rows(10 + step)
        twin = scores.detach().clone().requires_grad_()
        loss = self_distillation(scores, targets, center, torch.tensor(temperature), 0.1)
        expected = theirs(list(targets.chunk(2)), list(twin.chunk(2)), teacher_temp=temperature)
        move_center(center, targets, 0.8)
        loss.backward()
        expected.backward()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
        torch.testing.assert_close(scores.grad, twin.grad, rtol=1e-5, atol=1e-8)
        torch.testing.assert_close(center, theirs.center.flatten(), rtol=1e-12, atol=1e-15)


def test_loss_is_the_cross_entropy_written_out() -> None:
    scores, targets, center = rows(1).numpy(), rows(2).numpy(), rows(3).numpy()[0]

    def softmax(values: np.ndarray) -> np.ndarray:
        return np.exp(values) / np.exp(values).sum()

    losses = []
    for i in range(4):
        for student, teacher in ((i, i + 4), (i + 4, i)):
            wanted = softmax((targets[teacher] - center) / 0.05)
            losses.append(-np.sum(wanted * np.log(softmax(scores[student] / 0.1))))
    found = self_distillation(*(torch.tensor(x, dtype=torch.float64) for x in (scores, targets, center, 0.05)), 0.1)
    assert found.item() == pytest.approx(np.mean(losses), rel=1e-10)


def test_step_uses_the_old_centre_and_no_gradient_reaches_the_teacher() -> None:
    net = network()
    heads, images = net.heads, torch.cat(views())
    with torch.no_grad():
        heads.teacher_center.copy_(torch.arange(6.0) / 10)
        targets = heads["teacher_projector"](heads["teacher_backbone"](images))
        scores = heads["projector"](net.backbone(images))
        expected = self_distillation(scores, targets, torch.arange(6.0) / 10, torch.tensor(0.04), 0.1)
        wanted = 0.9 * torch.arange(6.0) / 10 + 0.1 * targets.mean(dim=0)
    step = net(views())
    assert step.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(heads.teacher_center, wanted)
    step.loss.backward()
    gained = {name for name, weight in net.named_parameters() if weight.grad is not None}
    assert gained == {name for name, weight in net.named_parameters() if weight.requires_grad}
    assert not any("teacher" in name or "weight_g" in name for name in gained)
    prototypes = heads["projector"].last_layer.weight
    torch.testing.assert_close(prototypes.norm(dim=1), torch.ones(6))
    share = torch.softmax(scores / 0.1, dim=1) @ prototypes
    torch.testing.assert_close(step.projections[0], share[:5].detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(step.projections[1], share[5:].detach(), rtol=1e-4, atol=1e-6)


def test_prototypes_stay_in_place_at_first() -> None:
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    for done in range(1, 5):
        before = net.heads["projector"].last_layer.weight_v.detach().clone()
        optimizer.zero_grad()
        net(views()).loss.backward()
        net.method.after_backward(net, done, 10)
        optimizer.step()
        assert torch.equal(net.heads["projector"].last_layer.weight_v, before) == (done <= 2)


def test_teacher_follows_and_its_temperature_rises_on_a_line() -> None:
    net = network()
    assert net.heads.teacher_temperature.item() == pytest.approx(0.04)
    for done in range(1, 11):
        before = net.heads["teacher_backbone"][1].weight.clone()
        with torch.no_grad():
            net.backbone[1].weight += 1
        net.method.after_step(net, done, 10)
        momentum = 1 - 0.1 * (math.cos(math.pi * (done - 1) / 9) + 1) / 2
        wanted = momentum * before + (1 - momentum) * net.backbone[1].weight
        torch.testing.assert_close(net.heads["teacher_backbone"][1].weight, wanted)
        assert net.heads.teacher_temperature.item() == pytest.approx(0.04 + 0.03 * min(1, done / 5))


def test_a_temperature_without_warm_up_is_the_last_one() -> None:
    heads = Network(nn.Identity(), 6, OPTIONS.model_copy(update={"temperature_warmup": 0.0}), seed=0).heads
    assert heads.teacher_temperature.item() == pytest.approx(0.07)


def test_defaults_are_solo_learns() -> None:
    net = Network(nn.Identity(), 512, DINO(), seed=0)
    shapes = [
        tuple(w.shape)
        for name, w in net.heads["projector"].named_parameters()
        if w.ndim == 2 and "weight_g" not in name
    ]
    assert shapes == [(2048, 512), (2048, 2048), (256, 2048), (4096, 256)]
    assert (DINO().student_temperature, DINO().teacher_temperature, DINO().momentum) == (0.1, 0.07, 0.9995)
    assert {name.split(".")[0] for name in net.published_heads()} == {"projector"}
    for ours, teachers in zip(
        net.heads["projector"].parameters(), net.heads["teacher_projector"].parameters(), strict=True
    ):
        assert torch.equal(ours, teachers)
