"""SimCLR against the formula written out."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from skysift.encoders._torchvision import ensure
from skysift.ssl.methods import SimCLR
from skysift.ssl.methods.simclr import nt_xent
from skysift.ssl.network import Network


def written_out(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Equation 1 of Chen et al. 2020, anchor by anchor."""
    rows = torch.cat([first, second])
    rows = rows / rows.square().sum(dim=1, keepdim=True).sqrt()
    count = len(first)
    losses = []
    for anchor in range(2 * count):
        partner = (anchor + count) % (2 * count)
        similarity = rows @ rows[anchor] / temperature
        others = torch.cat([similarity[:anchor], similarity[anchor + 1 :]])
        losses.append(torch.log(torch.exp(others).sum()) - similarity[partner])
    return torch.stack(losses).mean()


def projections(count: int, dim: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    second = first + 0.3 * torch.randn(count, dim, generator=generator, dtype=torch.float64)
    return first.requires_grad_(), second.requires_grad_()


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize("count", [2, 7])
def test_loss_and_gradient_equal_the_written_out_formula(count: int, temperature: float) -> None:
    ours, reference = projections(count, 5, seed=3), projections(count, 5, seed=3)
    loss, expected = nt_xent(*ours, temperature), written_out(*reference, temperature)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for mine, theirs in zip(ours, reference, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-12)


def test_loss_and_gradient_equal_lightlys() -> None:
    ensure()
    from lightly.loss import NTXentLoss

    ours, reference = projections(7, 5, seed=3), projections(7, 5, seed=3)
    loss, expected = nt_xent(*ours, 0.2), NTXentLoss(0.2)(*reference)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-10)
    for mine, theirs in zip(ours, reference, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-8, atol=1e-10)


def test_step_puts_both_views_through_the_network_together() -> None:
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.BatchNorm1d(6))
    network = Network(backbone, 6, SimCLR(hidden_dim=8, projection_dim=4, temperature=0.2), seed=1)
    views = [torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4)]
    step = network(views)
    backbone_out = backbone(torch.cat(views))
    hidden, _, output = network.heads["projector"].layers
    rows = backbone_out @ hidden.weight.T + hidden.bias
    rows = rows.clamp_min(0) @ output.weight.T + (0 if output.bias is None else output.bias)
    assert step.loss.item() == pytest.approx(written_out(rows[:5], rows[5:], 0.2).item(), rel=1e-5)
    torch.testing.assert_close(step.embeddings, backbone_out[:5])
    assert [tuple(projection.shape) for projection in step.projections] == [(5, 4), (5, 4)]


def test_heads_depend_on_the_seed_alone() -> None:
    heads = [Network(nn.Identity(), 6, SimCLR(), seed=seed).heads.state_dict() for seed in (4, 4, 5)]
    first = heads[0]["projector.layers.0.weight"]
    assert torch.equal(first, heads[1]["projector.layers.0.weight"])
    assert not torch.equal(first, heads[2]["projector.layers.0.weight"])


def test_projector_has_riggi2024_sizes() -> None:
    heads = SimCLR().build(nn.Identity(), 512)
    assert [tuple(weight.shape) for weight in heads.parameters() if weight.ndim == 2] == [(256, 512), (128, 256)]
    assert SimCLR().temperature == 0.1


@pytest.mark.parametrize("bad", [{"temperature": 0}, {"hidden_dim": 0}, {"tau": 0.1}])
def test_bad_options_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        SimCLR(**bad)
