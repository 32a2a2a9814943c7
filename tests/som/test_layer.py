from __future__ import annotations

import math

import pytest
import torch

from skysift.som import Bubble, Exponential, Gaussian, Grid, Linear, SOMLayer


def test_loss_and_gradient_are_those_written_out() -> None:
    draw = torch.Generator().manual_seed(3)
    layer = SOMLayer(Grid(3, 4), 5, generator=draw)
    z = torch.randn(7, 5, generator=draw, requires_grad=True)
    radius, m = 1.7, layer.prototypes.detach()
    total, pull = 0.0, torch.zeros_like(m)
    for b in range(7):
        squares = [float(((z[b].detach() - m[k]) ** 2).sum()) for k in range(12)]
        best = squares.index(min(squares))
        for k in range(12):
            d = abs(best // 4 - k // 4) + abs(best % 4 - k % 4)
            w = math.exp(-(d**2) / radius**2)
            total += w * squares[k] / 7
            pull[k] += 2 * w * (m[k] - z[b].detach()) / 7
    loss = layer.loss(z, radius)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(total, rel=1e-5)
    torch.testing.assert_close(layer.prototypes.grad, pull, rtol=1e-4, atol=1e-6)
    assert z.grad is not None
    assert float(z.grad.abs().sum()) > 0


def test_neighbourhoods() -> None:
    d = torch.tensor([0.0, 1.0, 2.0, 3.0])
    torch.testing.assert_close(Gaussian()(d, 2.0), torch.tensor([math.exp(-((x / 2) ** 2)) for x in range(4)]))
    assert Gaussian()(d, 0.0).tolist() == [1, 0, 0, 0]
    assert Bubble()(d, 2.0).tolist() == [1, 1, 1, 0]


def test_decays() -> None:
    assert [Exponential(10, 0.1)(t) for t in (0, 0.5, 1)] == pytest.approx([10, 1, 0.1])
    assert [Linear(4, 1)(t) for t in (0, 0.5, 1)] == pytest.approx([4, 2.5, 1])
    with pytest.raises(ValueError, match="both must be above 0"):
        Exponential(10, 0)


def test_best_unit_is_the_nearest_and_the_first_of_equals() -> None:
    layer = SOMLayer(Grid(1, 3), 2)
    with torch.no_grad():
        layer.prototypes.copy_(torch.tensor([[0.0, 0], [2, 0], [2, 0]]))
    assert layer.best(torch.tensor([[0.9, 0.0], [1.9, 0.3], [1.0, 0.0]])).tolist() == [0, 1, 0]
    torch.testing.assert_close(layer(torch.tensor([[1.0, 1.0]])), torch.tensor([[2.0, 2, 2]]))


def test_prototypes_start_from_vectors_without_repeats() -> None:
    layer = SOMLayer(Grid(2, 3), 1)
    layer.start_from(torch.arange(6.0)[:, None], torch.Generator().manual_seed(1))
    assert sorted(layer.prototypes[:, 0].tolist()) == [0, 1, 2, 3, 4, 5]
    layer.start_from(torch.arange(4.0)[:, None], torch.Generator().manual_seed(1))
    assert len(set(layer.prototypes[:, 0].tolist())) == 4
    with pytest.raises(ValueError, match="prototypes of length 1"):
        layer.start_from(torch.zeros(3, 2), torch.Generator())


def test_the_seed_decides_and_torchs_generator_stays_as_it_was() -> None:
    before = torch.random.get_rng_state()
    made = [SOMLayer(Grid(2, 2), 3, generator=torch.Generator().manual_seed(s)).prototypes for s in (0, 0, 1)]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert torch.equal(torch.random.get_rng_state(), before)
    assert list(SOMLayer(Grid(2, 2), 3).state_dict()) == ["prototypes"]
