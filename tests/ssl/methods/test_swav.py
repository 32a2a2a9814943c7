"""SwAV against lightly's and its equations written out."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from skysift.encoders._torchvision import ensure
from skysift.ssl.collapse import embedding_std, expected_prototypes
from skysift.ssl.methods import SwAV
from skysift.ssl.methods.swav import sinkhorn, swapped_prediction
from skysift.ssl.network import Network

ensure()
from lightly.loss import SwaVLoss  # noqa: E402
from lightly.loss.swav_loss import sinkhorn as lightlys_sinkhorn  # noqa: E402

OPTIONS = SwAV(hidden_dim=8, projection_dim=4, prototypes=6, queue_size=12, queue_start=0.3, freeze_prototypes=0.2)
SETTINGS = {"temperature": 0.1, "epsilon": 0.05, "iterations": 3}


def unit(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(count, 5, generator=generator, dtype=torch.float64), dim=1)


def network() -> Network:
    torch.manual_seed(0)
    return Network(nn.Sequential(nn.Flatten(), nn.Linear(48, 6)), 6, OPTIONS, seed=1)


def views() -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(5, 3, 4, 4, generator=generator) for _ in range(2)]


@pytest.mark.parametrize("iterations", [1, 3])
def test_sinkhorn_equals_lightlys_and_fills_clusters_evenly(iterations: int) -> None:
    scores = unit(9, 1) @ unit(4, 2).T
    ours = sinkhorn(scores, torch.ones(9, dtype=scores.dtype), 0.05, iterations)
    torch.testing.assert_close(ours, lightlys_sinkhorn(scores, iterations, 0.05), rtol=1e-9, atol=1e-12)
    even = sinkhorn(scores, torch.ones(9, dtype=scores.dtype), 0.05, 200)
    np.testing.assert_allclose(even.sum(dim=0).numpy(), 9 / 4, rtol=1e-6)
    np.testing.assert_allclose(even.sum(dim=1).numpy(), 1, rtol=1e-12)


def test_a_row_without_weight_is_as_if_it_were_not_there() -> None:
    scores = unit(9, 1) @ unit(4, 2).T
    weights = torch.tensor([1, 1, 0, 1, 1, 0, 1, 1, 1], dtype=scores.dtype)
    ours = sinkhorn(scores, weights, 0.05, 3)
    torch.testing.assert_close(ours[weights > 0], lightlys_sinkhorn(scores[weights > 0], 3, 0.05))
    assert ours[weights == 0].abs().max() == 0


@pytest.mark.parametrize(("weight", "present"), [(0.0, 7), (1.0, 7), (1.0, 3)])
def test_loss_and_gradient_equal_lightlys_with_and_without_a_queue(weight: float, present: int) -> None:
    earlier = torch.stack([unit(7, 5), unit(7, 6)])
    earlier[:, present:] = 0
    ours = [torch.cat([unit(6, 1), unit(6, 2)]).requires_grad_(), unit(4, 3).requires_grad_()]
    theirs = [tensor.detach().clone().requires_grad_() for tensor in ours]
    loss = swapped_prediction(*ours, earlier, torch.tensor(weight, dtype=torch.float64), **SETTINGS)
    queue = [old[:present] @ theirs[1].T for old in earlier] if weight else None
    expected = SwaVLoss(0.1, 3, 0.05)([view @ theirs[1].T for view in theirs[0].chunk(2)], [], queue)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-8, atol=1e-10)


def test_step_equals_the_loss_of_its_parts_and_fills_the_queue() -> None:
    net = network()
    images, twin = views(), copy.deepcopy(net)
    step = net(images)
    both = normalize(twin.heads["projector"](twin.backbone(torch.cat(images))), dim=1)
    prototypes = twin.heads["prototypes"].weight
    expected = SwaVLoss(0.1, 3, 0.05)([view @ prototypes.T for view in both.chunk(2)], [])
    assert step.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for queue, rows in zip(net.heads["teacher_queues"], both.chunk(2), strict=True):
        torch.testing.assert_close(queue.rows[:5], rows.detach(), rtol=1e-4, atol=1e-6)
        assert queue.rows[5:].abs().max() == 0
    share = torch.softmax(both[:5] @ prototypes.T / 0.1, dim=1)
    torch.testing.assert_close(step.projections[0], (share @ prototypes).detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(step.embeddings, twin.backbone(images[0]))


def test_the_queue_takes_part_from_its_share_of_the_run_on() -> None:
    net = network()
    for done in range(1, 11):
        net(views())
        net.method.after_step(net, done, 10)
        assert net.heads["teacher_queues"].started.item() == (done >= 3)


def test_prototypes_are_unit_vectors_and_stay_in_place_at_first() -> None:
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    for done in range(1, 5):
        before = net.heads["prototypes"].weight.detach().clone()
        optimizer.zero_grad()
        net(views()).loss.backward()
        net.method.after_backward(net, done, 10)
        optimizer.step()
        net.method.after_step(net, done, 10)
        after = net.heads["prototypes"].weight.detach()
        np.testing.assert_allclose(after.norm(dim=1).numpy(), 1, rtol=1e-6)
        assert ((after - before).abs().max() < 1e-6) == (done <= 2)


def test_assignments_that_are_all_alike_show_as_collapse() -> None:
    """Both ways to collapse while projections differ: one prototype for all, all prototypes evenly."""
    projections, prototypes = unit(50, 1), unit(8, 2)
    scores = projections @ prototypes.T
    healthy = embedding_std(expected_prototypes(scores, prototypes, 0.1))
    one = embedding_std(expected_prototypes(scores + 10 * torch.eye(8)[0], prototypes, 0.1))
    even = embedding_std(expected_prototypes(0 * scores + 0.3, prototypes, 0.1))
    assert healthy > 0.5
    assert max(one, even) < 1e-6


def test_defaults_are_solo_learns() -> None:
    net = Network(nn.Identity(), 512, SwAV(), seed=0)
    shapes = {name: tuple(weight.shape) for name, weight in net.heads.named_parameters() if weight.ndim == 2}
    assert shapes == {
        "projector.layers.0.weight": (2048, 512),
        "projector.layers.3.weight": (128, 2048),
        "prototypes.weight": (3000, 128),
    }
    options = SwAV()
    assert (options.temperature, options.epsilon, options.iterations, options.queue_size) == (0.1, 0.05, 3, 3840)
    assert math.isclose(options.queue_start * 100, 15)
    assert {name.split(".")[0] for name in net.published_heads()} == {"projector", "prototypes"}
