"""NNCLR against the formula written out."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skysift.ssl.methods import NNCLR
from skysift.ssl.methods.nnclr import neighbour_loss
from skysift.ssl.network import Network

OPTIONS = NNCLR(hidden_dim=8, predictor_dim=8, projection_dim=4, queue_size=12, temperature=0.2)


def rows(count: int, seed: int) -> Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(values: np.ndarray) -> np.ndarray:
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def written_out(neighbours: np.ndarray, predictions: np.ndarray, temperature: float, symmetric: bool) -> float:
    """Equation 3 of Dwibedi et al. 2021, image by image, and the term that the paper adds to it."""
    near, found = unit(neighbours), unit(predictions)
    losses = []
    for i in range(len(near)):
        top = np.exp(near[i] @ found[i] / temperature)
        loss = -np.log(top / sum(np.exp(near[i] @ found[k] / temperature) for k in range(len(near))))
        if symmetric:
            other = -np.log(top / sum(np.exp(near[k] @ found[i] / temperature) for k in range(len(near))))
            loss = (loss + other) / 2
        losses.append(loss)
    return float(np.mean(losses))


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("count", [2, 7])
def test_loss_and_gradient_equal_the_written_out_formula(count: int, symmetric: bool) -> None:
    near, found = rows(count, 1), rows(count, 2).requires_grad_()
    loss = neighbour_loss(near, found, 0.2, symmetric=symmetric)
    assert loss.item() == pytest.approx(written_out(near.numpy(), found.detach().numpy(), 0.2, symmetric), rel=1e-12)
    loss.backward()
    assert found.grad is not None
    for place in [(0, 0), (count - 1, 3)]:
        moved = [found.detach().numpy().copy() for _ in range(2)]
        moved[0][place] += 1e-6
        moved[1][place] -= 1e-6
        ends = [written_out(near.numpy(), values, 0.2, symmetric) for values in moved]
        assert found.grad[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-9)


def test_neighbours_come_from_the_queue_as_it_was_before_the_step() -> None:
    torch.manual_seed(0)
    network = Network(nn.Sequential(nn.Flatten(), nn.Linear(48, 6)), 6, OPTIONS, seed=1)
    views = [torch.randn(5, 3, 4, 4) for _ in range(2)]
    heads = copy.deepcopy(network.heads)
    before = network.heads["teacher_queue"].rows.clone()
    step = network(views)
    projections = [heads["projector"](network.backbone(view)).detach() for view in views]
    predictions = [heads["predictor"](projection).detach() for projection in projections]
    near = [before[(torch.tensor(unit(p.numpy())) @ before.T).argmax(dim=1)] for p in projections]
    expected = [written_out(near[i].double().numpy(), predictions[1 - i].double().numpy(), 0.2, True) for i in range(2)]
    assert step.loss.item() == pytest.approx(np.mean(expected), rel=1e-4)
    torch.testing.assert_close(step.projections[1], projections[1], rtol=1e-4, atol=1e-5)
    stored = torch.tensor(unit(projections[0].numpy()))
    torch.testing.assert_close(network.heads["teacher_queue"].rows[:5], stored, rtol=1e-4, atol=1e-5)
    assert torch.equal(network.heads["teacher_queue"].rows[5:], before[5:])
    step.loss.backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_defaults_are_the_papers() -> None:
    network = Network(nn.Identity(), 512, NNCLR(queue_size=8), seed=0)
    shapes = [tuple(w.shape) for w in network.heads.parameters() if w.ndim == 2]
    assert shapes == [(2048, 512), (2048, 2048), (256, 2048), (4096, 256), (256, 4096)]
    assert (NNCLR().temperature, NNCLR().queue_size) == (0.1, 65_536)
    assert {name.split(".")[0] for name in network.published_heads()} == {"projector", "predictor"}
