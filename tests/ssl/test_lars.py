"""LARS takes lightly's steps, without waiting for the device."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from skysift.encoders._torchvision import ensure
from skysift.ssl.lars import LARS
from skysift.ssl.schedules import make_optimizer, parameter_groups


def network() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 5))
    nn.init.zeros_(net[3].weight)  # the layer-wise rate of a layer of zeros is 1
    return net


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_steps_are_lightlys(momentum: float, weight_decay: float) -> None:
    ensure()
    from lightly.utils.lars import LARS as Theirs

    ours, theirs = network(), network()
    options = {"lr": 0.7, "momentum": momentum, "trust_coefficient": 0.02}
    one = LARS(parameter_groups(ours, weight_decay), **options)
    two = Theirs(parameter_groups(theirs, weight_decay), **options)
    for step in range(6):
        images = torch.randn(8, 2, 6, 6, generator=torch.Generator().manual_seed(step))
        for net, optimizer in ((ours, one), (theirs, two)):
            optimizer.zero_grad()
            net(images).square().mean().backward()
            if step == 3:
                net[0].weight.grad.zero_()  # neither decays nor moves but by its momentum
            optimizer.step()
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-7)


def test_the_rate_is_that_of_the_paper() -> None:
    weight = nn.Parameter(torch.tensor([[3.0, 4.0]]))
    optimizer = make_optimizer(_only(weight), "lars", lr=2.0, weight_decay=0.1, momentum=0.0, trust_coefficient=0.01)
    assert isinstance(optimizer, LARS)
    weight.grad = torch.tensor([[0.0, 2.0]])
    optimizer.step()
    local = 0.01 * 5 / (2 + 0.1 * 5)
    expected = torch.tensor([[3 - 2 * local * 0.3, 4 - 2 * local * (2 + 0.4)]])
    torch.testing.assert_close(weight.detach(), expected, rtol=1e-6, atol=0)


def test_weights_without_gradient_stay_and_a_closure_is_heard() -> None:
    weight, other = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    optimizer = LARS([weight, other], lr=1.0, weight_decay=0.1)

    def closure() -> torch.Tensor:
        loss = weight.sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 4
    assert torch.equal(other, torch.ones(2, 2))
    assert not torch.equal(weight, torch.ones(2, 2))


def _only(weight: nn.Parameter) -> nn.Module:
    module = nn.Module()
    module.weight = weight
    return module
