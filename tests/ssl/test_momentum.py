"""Momentum teachers against lightly's."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from skysift.encoders._torchvision import ensure
from skysift.ssl.methods import BYOL
from skysift.ssl.momentum import move_teachers, move_towards
from skysift.ssl.network import Network

ensure()
from lightly.models.utils import update_momentum  # noqa: E402


def pair() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(3)
    layers = [nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5)) for _ in range(2)]
    return layers[0], layers[1].requires_grad_(False)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.996, 1.0])
def test_teacher_moves_as_with_lightly_and_keeps_its_buffers(momentum: float) -> None:
    student, teacher = pair()
    student(torch.randn(3, 1, 4, 4))
    twin, before = copy.deepcopy(teacher), copy.deepcopy(teacher)
    for _ in range(3):
        move_towards(teacher, student, momentum)
        update_momentum(student, twin, momentum)
    for ours, theirs in zip(teacher.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)
        assert not ours.requires_grad
    for ours, old in zip(teacher.buffers(), before.buffers(), strict=True):
        assert torch.equal(ours, old)


def test_a_network_without_weights_has_nothing_to_move() -> None:
    move_towards(nn.Identity(), nn.Identity(), 0.9)


@pytest.mark.parametrize("done", [1, 4, 8])
def test_every_head_named_teacher_follows_the_head_of_that_name(done: int) -> None:
    student, other = pair()
    network = Network(student, 5, BYOL(hidden_dim=4, projection_dim=3), seed=0)
    network.heads["teacher_memory"] = nn.Linear(2, 2)
    memory = network.heads["teacher_memory"].weight.clone()
    network.heads["teacher_backbone"] = other
    projector = copy.deepcopy(network.heads["teacher_projector"])
    with torch.no_grad():
        for weight in network.heads["projector"].parameters():
            weight += 1
    backbone = copy.deepcopy(other)
    move_teachers(network, done, 8, start=0.9, end=1.0)
    momentum = 1 - 0.1 * (math.cos(math.pi * (done - 1) / 7) + 1) / 2
    for twin, leader, moved in (
        (backbone, student, other),
        (projector, network.heads["projector"], network.heads["teacher_projector"]),
    ):
        update_momentum(leader, twin, momentum)
        for expected, found in zip(twin.parameters(), moved.parameters(), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    assert torch.equal(network.heads["teacher_memory"].weight, memory)
