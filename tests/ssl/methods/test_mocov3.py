"""MoCo v3 against its algorithm written out."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skysift.encoders import build_backbone
from skysift.ssl.methods import MoCoV3
from skysift.ssl.methods.mocov3 import contrast
from skysift.ssl.network import Network

OPTIONS = MoCoV3(hidden_dim=8, projection_dim=4, momentum=0.9)


def rows(count: int, seed: int) -> Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def written_out(queries: np.ndarray, keys: np.ndarray, temperature: float) -> float:
    """Equation 1 of Chen et al. 2021, query by query, times 2 T as in algorithm 1."""
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    keys = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    losses = []
    for i in range(len(queries)):
        each = np.exp(keys @ queries[i] / temperature)
        losses.append(-np.log(each[i] / each.sum()))
    return float(2 * temperature * np.mean(losses))


@pytest.mark.parametrize("temperature", [0.2, 1.0])
@pytest.mark.parametrize("count", [2, 7])
def test_loss_and_gradient_equal_the_written_out_formula(count: int, temperature: float) -> None:
    queries, keys = rows(count, 1).requires_grad_(), rows(count, 2)
    loss = contrast(queries, keys, temperature)
    assert loss.item() == pytest.approx(written_out(queries.detach().numpy(), keys.numpy(), temperature), rel=1e-12)
    loss.backward()
    assert queries.grad is not None
    for place in [(0, 0), (count - 1, 3)]:
        moved = [queries.detach().numpy().copy() for _ in range(2)]
        moved[0][place] += 1e-6
        moved[1][place] -= 1e-6
        ends = [written_out(values, keys.numpy(), temperature) for values in moved]
        assert queries.grad[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-9)


def test_step_is_symmetric_and_no_gradient_reaches_the_teacher() -> None:
    torch.manual_seed(0)
    network = Network(nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.BatchNorm1d(6)), 6, OPTIONS, seed=1)
    views = [torch.randn(5, 3, 4, 4) for _ in range(2)]
    twin = copy.deepcopy(network)
    with torch.no_grad():
        for weight in network.heads["teacher_projector"].parameters():
            weight += 0.1
        twin.heads["teacher_projector"].load_state_dict(network.heads["teacher_projector"].state_dict())
    step = network(views)
    heads = twin.heads
    queries = [heads["predictor"](heads["projector"](twin.backbone(view))).detach().double().numpy() for view in views]
    keys = [heads["teacher_projector"](heads["teacher_backbone"](v)).detach().double().numpy() for v in views]
    expected = written_out(queries[0], keys[1], 0.2) + written_out(queries[1], keys[0], 0.2)
    assert step.loss.item() == pytest.approx(expected, rel=1e-5)
    step.loss.backward()
    for name, weight in network.named_parameters():
        assert (weight.grad is None) == ("teacher" in name) == (not weight.requires_grad)


@pytest.mark.parametrize("done", [1, 6, 10])
def test_teacher_follows_with_cosine_momentum(done: int) -> None:
    network = Network(nn.Linear(3, 6), 6, OPTIONS, seed=1)
    before = network.heads["teacher_projector"].layers[0].weight.clone()
    with torch.no_grad():
        network.heads["projector"].layers[0].weight += 1
    network.method.after_step(network, done, 10)
    share = 0.1 * (math.cos(math.pi * (done - 1) / 9) + 1) / 2
    torch.testing.assert_close(network.heads["teacher_projector"].layers[0].weight, before + share)


@pytest.mark.parametrize("freeze", [True, False])
def test_a_vision_transformers_patch_embedding_stays_as_it_begins(freeze: bool) -> None:
    backbone = build_backbone("test_vit", channels=1, image_size=32)
    network = Network(backbone, 64, MoCoV3(hidden_dim=8, projection_dim=4, freeze_patches=freeze), seed=1)
    network([torch.randn(4, 1, 32, 32) for _ in range(2)]).loss.backward()
    fixed = {name for name, weight in network.backbone.named_parameters() if weight.grad is None}
    assert fixed == ({"patch_embed.proj.weight", "patch_embed.proj.bias"} if freeze else set())


def test_defaults_are_the_papers() -> None:
    network = Network(nn.Identity(), 512, MoCoV3(), seed=0)
    shapes = [tuple(w.shape) for n, w in network.heads.named_parameters() if w.ndim == 2 and "teacher" not in n]
    assert shapes == [(4096, 512), (4096, 4096), (256, 4096), (4096, 256), (256, 4096)]
    assert sum(isinstance(module, nn.BatchNorm1d) for module in network.heads["projector"].modules()) == 3
    assert (MoCoV3().temperature, MoCoV3().momentum, MoCoV3().final_momentum) == (0.2, 0.99, 1.0)
    assert {name.split(".")[0] for name in network.published_heads()} == {"projector", "predictor"}
