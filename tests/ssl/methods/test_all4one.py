"""All4One against its three objectives written out."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from skysift.ssl.contrast import info_nce
from skysift.ssl.methods.all4one import All4One, decorrelation
from skysift.ssl.network import Network
from tests.ssl.processes import together

OPTIONS = All4One(hidden_dim=24, predictor_dim=24, projection_dim=16, queue_size=40, dropout=0.0, momentum=0.9)


def draws(count: int, dim: int, seed: int) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network() -> Network:
    torch.manual_seed(0)
    return Network(nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.BatchNorm1d(6)), 6, OPTIONS, seed=1).double()


def views() -> list[Tensor]:
    return [draws(7, 48, seed).reshape(7, 3, 4, 4) for seed in (2, 3)]


def unit(rows: Tensor) -> Tensor:
    return rows / rows.square().sum(dim=-1, keepdim=True).sqrt()


def written_out_info_nce(anchors: Tensor, candidates: Tensor, temperature: float) -> Tensor:
    """Equation 3 of Dwibedi et al. 2021, anchor by anchor."""
    losses = []
    for number, anchor in enumerate(unit(anchors)):
        similarity = unit(candidates) @ anchor / temperature
        losses.append(similarity.exp().sum().log() - similarity[number])
    return torch.stack(losses).mean()


def written_out_decorrelation(keys: list[Tensor], projections: list[Tensor]) -> Tensor:
    """The feature objective element by element."""
    on, off = [], []
    for key, projection in ((keys[0], projections[1]), (keys[1], projections[0])):
        for i in range(key.shape[1]):
            for j in range(key.shape[1]):
                a, b = key[:, i], projection[:, j]
                correlation = (a * b).sum() / (a.square().sum() * b.square().sum()).sqrt()
                (on if i == j else off).append((correlation - float(i == j)) ** 2)
    return (torch.stack(on).mean().sqrt() + torch.stack(off).mean().sqrt()) / 2


def written_out_positions(length: int, dim: int) -> Tensor:
    """Section 3.5 of Vaswani et al. 2017; all sines, then all cosines."""
    code = np.empty((length, dim))
    for place in range(length):
        for pair in range(dim // 2):
            angle = place / 10000 ** (2 * pair / dim)
            code[place, pair], code[place, dim // 2 + pair] = math.sin(angle), math.cos(angle)
    return torch.from_numpy(code)


def written_out_loss(net: Network, projections: list[Tensor], keys: list[Tensor]) -> Tensor:
    """The loss, image by image where the queue is asked."""
    heads, method = net.heads, OPTIONS
    queue = heads["teacher_queue"].rows
    close, shifted, predictions = [], [], []
    for key, projection in zip(keys, projections, strict=True):
        order = (unit(key) @ queue.T).argsort(dim=1, descending=True)[:, : method.neighbours]
        near = torch.stack([queue[row] for row in order])
        guess = heads["centroid_predictor"](projection)
        close.append(near)
        shifted.append(torch.stack([torch.stack([g, *n[:-1]]) for g, n in zip(guess, near, strict=True)]))
        predictions.append(heads["predictor"](projection))
    code = written_out_positions(method.neighbours, method.projection_dim)
    whole = [heads["transformer"](sequence + code)[:, 0] for sequence in close]
    guessed = [heads["transformer"](sequence + code)[:, 0] for sequence in shifted]
    t, total = method.temperature, torch.zeros((), dtype=torch.float64)
    for one, other in ((0, 1), (1, 0)):
        total = total + 0.5 * written_out_info_nce(close[one][:, 0], predictions[other], t) / 2
        total = total + 0.5 * written_out_info_nce(whole[one], guessed[other], t) / 2
    return total + 5 * written_out_decorrelation(keys, projections)


@pytest.mark.parametrize("temperature", [0.1, 0.2])
def test_info_nce_and_its_gradient_equal_the_written_out_formula(temperature: float) -> None:
    ours = [draws(6, 5, seed).requires_grad_() for seed in (1, 2)]
    theirs = [rows.detach().clone().requires_grad_() for rows in ours]
    loss, expected = info_nce(*ours, temperature), written_out_info_nce(*theirs, temperature)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, reference.grad, rtol=1e-9, atol=1e-12)


def test_decorrelation_and_its_gradient_equal_the_written_out_formula() -> None:
    keys = [draws(6, 5, seed) for seed in (1, 2)]
    ours = [draws(6, 5, seed).requires_grad_() for seed in (3, 4)]
    theirs = [rows.detach().clone().requires_grad_() for rows in ours]
    loss, expected = decorrelation(keys, ours), written_out_decorrelation(keys, theirs)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, reference.grad, rtol=1e-9, atol=1e-12)


def test_decorrelation_is_nought_for_equal_orthogonal_columns() -> None:
    columns = torch.linalg.qr(draws(6, 4, 5))[0].requires_grad_()
    loss = decorrelation([columns.detach(), columns.detach()], [columns, columns])
    loss.backward()
    assert loss.item() < 2e-6
    assert torch.isfinite(columns.grad).all()


def test_loss_and_gradients_equal_the_three_objectives_written_out() -> None:
    ours, reference = network(), network()
    keys = [draws(7, 16, seed) for seed in (5, 6)]
    projections = [[draws(7, 16, seed).requires_grad_() for seed in (7, 8)] for _ in range(2)]
    loss = OPTIONS.loss(ours.heads, projections[0], keys)
    expected = written_out_loss(reference, projections[1], keys)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for mine, theirs in zip(projections[0], projections[1], strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-5, atol=1e-8)
    weights = dict(reference.named_parameters())
    for name, weight in ours.named_parameters():
        if name.startswith(("heads.predictor", "heads.centroid", "heads.transformer")):
            torch.testing.assert_close(weight.grad, weights[name].grad, rtol=1e-4, atol=1e-7, msg=name)


def test_step_takes_the_teachers_keys_and_queues_those_of_the_first_view() -> None:
    net, twin = network().float(), network().float()
    first, second = (view.float() for view in views())
    step = net([first, second])
    heads = twin.heads
    keys = [heads["teacher_projector"](heads["teacher_backbone"](view)) for view in (first, second)]
    projections = [heads["projector"](twin.backbone(view)).float() for view in (first, second)]
    queue = net.heads["teacher_queue"]
    torch.testing.assert_close(queue.rows[:7], unit(keys[0]))
    assert queue.place.item() == 7
    for mine, theirs in zip(step.projections, projections, strict=True):
        torch.testing.assert_close(mine, theirs)
    torch.testing.assert_close(step.embeddings, network().float().backbone(first))


def test_gradient_reaches_all_but_the_teacher() -> None:
    net = network().float()
    net([view.float() for view in views()]).loss.backward()
    for name, weight in net.named_parameters():
        assert (weight.grad is None) == ("teacher" in name), name


def test_teacher_follows_on_a_cosine() -> None:
    net = network()
    before = [weight.clone() for weight in net.heads["teacher_projector"].parameters()]
    with torch.no_grad():
        for weight in net.heads["projector"].parameters():
            weight += 1
    net.method.after_step(net, 6, 10)
    momentum = 1 - 0.1 * (math.cos(math.pi * 5 / 9) + 1) / 2
    rows = zip(net.heads["projector"].parameters(), net.heads["teacher_projector"].parameters(), before, strict=True)
    for student, teacher, old in rows:
        torch.testing.assert_close(teacher, momentum * old + (1 - momentum) * student)


def test_sizes_are_the_papers_and_only_what_learns_is_published() -> None:
    net = Network(nn.Identity(), 512, All4One(), seed=0)
    shapes = {
        name: [tuple(weight.shape) for weight in head.parameters() if weight.ndim == 2]
        for name, head in net.heads.items()
    }
    assert shapes["projector"] == [(2048, 512), (2048, 2048), (256, 2048)]
    assert shapes["predictor"] == shapes["centroid_predictor"] == [(4096, 256), (256, 4096)]
    assert net.heads["teacher_queue"].rows.shape == (65_536, 256)
    layers = net.heads["transformer"].layers
    assert (len(layers), layers[0].self_attn.num_heads) == (3, 8)
    assert (All4One().temperature, All4One().neighbours) == (0.2, 5)
    published = {name.split(".")[0] for name in net.published_heads()}
    assert published == {"projector", "predictor", "centroid_predictor", "transformer"}


@pytest.mark.parametrize("bad", [{"projection_dim": 20}, {"queue_size": 4}, {"neighbours": 1}, {"temperature": 0}])
def test_bad_options_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        All4One(**bad)


def objectives(share: slice) -> dict[str, Tensor]:
    """Loss, and gradients of projections, of a share of a batch of eight."""
    net = network().eval()
    keys = [draws(8, 16, seed)[share] for seed in (5, 6)]
    projections = [draws(8, 16, seed)[share].requires_grad_() for seed in (7, 8)]
    loss = OPTIONS.loss(net.heads, projections, keys)
    loss.backward()
    net.heads["teacher_queue"].push(keys[0])
    first, second = (projection.grad for projection in projections)
    return {"loss": loss.detach(), "first": first, "second": second, "queue": net.heads["teacher_queue"].rows}


@pytest.mark.slow
def test_two_processes_have_the_loss_gradient_and_queue_of_one(tmp_path: Path) -> None:
    alone = objectives(slice(None))
    one, two = together(Path(__file__), tmp_path)
    assert (one["loss"] + two["loss"]).item() / 2 == pytest.approx(alone["loss"].item(), abs=1e-5)
    for view in ("first", "second"):
        both = torch.cat([one[view], two[view]]) / 2  # as DDP averages
        torch.testing.assert_close(both, alone[view], rtol=1e-5, atol=1e-7)
    for process in (one, two):
        torch.testing.assert_close(process["queue"], alone["queue"])


if __name__ == "__main__":
    from tests.ssl.processes import member

    member(Path(sys.argv[1]), lambda rank: objectives(slice(4 * rank, 4 * rank + 4)))
