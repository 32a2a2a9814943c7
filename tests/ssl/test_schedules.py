"""Learning rates against lightly's schedule, optimisers against their definitions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from skysift.encoders._torchvision import ensure
from skysift.ssl.schedules import make_optimizer, parameter_groups, warmup_cosine


@pytest.mark.parametrize(("total", "warmup"), [(100, 10), (100, 0), (7, 3), (2, 1), (11, 10)])
def test_factor_equals_lightly(total: int, warmup: int) -> None:
    ensure()
    from lightly.utils.scheduler import cosine_warmup_schedule

    for step in range(total):
        if warmup <= step and total - warmup == 1:
            continue
        expected = cosine_warmup_schedule(step, total, 1.0, 0.0, warmup, 0.0)
        assert warmup_cosine(step, total, warmup) == pytest.approx(expected, abs=1e-12)


def test_factor_rises_to_one_and_falls_to_zero() -> None:
    assert warmup_cosine(0, 100, 10) == 0.1
    assert warmup_cosine(9, 100, 10) == 1
    assert warmup_cosine(10, 100, 10) == 1
    assert warmup_cosine(99, 100, 10) == pytest.approx(0, abs=1e-15)
    assert warmup_cosine(0, 1, 0) == 1


def test_biases_and_norms_do_not_decay() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    net.append(nn.Linear(2, 2).requires_grad_(False))
    decay, rest = parameter_groups(net, 0.5)
    assert (decay["weight_decay"], rest["weight_decay"]) == (0.5, 0.0)
    assert [weight.ndim for weight in decay["params"]] == [4, 2]
    assert [weight.ndim for weight in rest["params"]] == [1, 1, 1, 1]


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "lars"])
def test_first_step_is_what_the_papers_say(name: str) -> None:
    lr, decay, eps = 0.1, 0.2, 1e-8
    net = nn.Linear(3, 2, bias=False)
    weight = net.weight.detach().clone()
    optimizer = make_optimizer(net, name, lr=lr, weight_decay=decay)
    gradient = torch.tensor([[1.0, -2.0, 0.5], [0.3, 0.0, -1.0]])
    net.weight.grad = gradient.clone()
    optimizer.step()
    total = gradient + decay * weight
    expected = {
        "adam": weight - lr * total / (total.abs() + eps),
        "adamw": weight * (1 - lr * decay) - lr * gradient / (gradient.abs() + eps),
        "sgd": weight - lr * total,
        "lars": weight - lr * 0.001 * weight.norm() / (gradient.norm() + decay * weight.norm()) * total,
    }
    torch.testing.assert_close(net.weight.detach(), expected[name], rtol=1e-5, atol=1e-7)
