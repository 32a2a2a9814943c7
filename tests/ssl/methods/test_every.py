"""What holds for every method: backbones train, steps lower the loss, checkpoints hold all state, collapse shows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from skysift.encoders import build_backbone
from skysift.ssl.checkpoint import (
    Checkpoints,
    network_tensors,
    optimizer_tensors,
    restore_network,
    restore_optimizer,
)
from skysift.ssl.collapse import LEAST_STD, embedding_std
from skysift.ssl.methods import NAMES
from skysift.ssl.network import Network
from skysift.ssl.schedules import make_optimizer
from tests.ssl import toy

TWO_VIEWS = [name for name, method in toy.METHODS.items() if method.views == 2]
TOTAL = 40


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Training:
    """A network, its optimiser, and one step after the other."""

    def __init__(self, name: str, seed: int = 1, **options: float) -> None:
        method = toy.METHODS[name].model_copy(update=options)
        self.network = Network(toy.backbone(dropout=0.0), 32, method, seed=seed).train()
        self.optimizer = make_optimizer(self.network, "adam", lr=1e-3, weight_decay=1e-6)

    def step(self, done: int, views: list[Tensor]) -> float:
        method = self.network.method
        with torch.random.fork_rng():
            torch.manual_seed(done)  # as the loop does, for dropout
            loss = self.network(views).loss
        self.optimizer.zero_grad()
        loss.backward()
        method.after_backward(self.network, done, TOTAL)
        self.optimizer.step()
        method.after_step(self.network, done, TOTAL)
        return float(loss.item())


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    pack = toy.make_pack(tmp_path_factory.mktemp("images"), 32)
    return torch.from_numpy(pack.images()).float()


def views_of(images: Tensor, step: int) -> list[Tensor]:
    seeds = torch.arange(len(images))
    valid = torch.ones_like(images, dtype=torch.bool)
    return [toy.augment(images, valid, seeds + 1000 * (2 * step + view)) for view in range(2)]


def test_each_method_of_two_views_is_here() -> None:
    assert set(NAMES) - set(TWO_VIEWS) == {"mae"}


@pytest.mark.parametrize("name", TWO_VIEWS)
def test_two_steps_lower_the_loss_and_equal_steps_are_equal(name: str, images: Tensor) -> None:
    """After ten steps: SwAV's queue takes part, NNCLR has neighbours. DINO's target stays, as it moves faster."""
    fixed = {"momentum": 1.0, "center_momentum": 1.0} if name == "dino" else {}
    losses = []
    for _ in range(2):
        training, views = Training(name, **fixed), views_of(images, 0)
        for done in range(1, 11):
            training.step(done, views)
        losses.append([training.step(done, views) for done in (11, 12, 13)])
    assert losses[0] == losses[1]
    assert losses[0][2] < losses[0][0]


@pytest.mark.parametrize("name", TWO_VIEWS)
def test_a_run_resumed_from_a_checkpoint_carries_on_to_the_same_bits(name: str, images: Tensor, tmp_path: Path) -> None:
    whole, stopped = Training(name), Training(name)
    for done in range(1, 8):
        whole.step(done, views_of(images, done))
    for done in range(1, 5):
        stopped.step(done, views_of(images, done))
    tensors = network_tensors(stopped.network) | optimizer_tensors(stopped.optimizer)
    Checkpoints(tmp_path).save("last", tensors, {})
    loaded = Checkpoints(tmp_path).load("last")
    assert loaded is not None
    resumed = Training(name, seed=99)
    restore_network(resumed.network, loaded[0])
    restore_optimizer(resumed.optimizer, loaded[0])
    for done in range(5, 8):
        resumed.step(done, views_of(images, done))
    expected, found = whole.network.state_dict(), resumed.network.state_dict()
    assert [key for key in expected if not torch.equal(expected[key], found[key])] == []


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit"])
@pytest.mark.parametrize("name", TWO_VIEWS)
def test_any_backbone_trains_in_float32_and_bf16(name: str, backbone: str, channels: int) -> None:
    net = build_backbone(backbone, channels=channels, image_size=32)
    network = Network(net, net.num_features, toy.METHODS[name], seed=0)
    generator = torch.Generator().manual_seed(3)
    views = [torch.rand(8, channels, 32, 32, generator=generator) for _ in range(2)]
    losses = []
    for half in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            step = network(views)
        network.zero_grad()
        step.loss.backward()
        losses.append(step.loss.item())
        assert step.loss.dtype == step.projections[0].dtype == torch.float32
        assert step.embeddings.shape == (8, net.num_features)
        assert step.projections[0].shape == step.projections[1].shape
        assert step.projections[0].shape[1] <= 32
        gradients = [weight.grad for weight in network.backbone.parameters() if weight.grad is not None]
        assert gradients
        assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert losses[1] == pytest.approx(losses[0], rel=0.2, abs=0.2)


@pytest.mark.parametrize("name", TWO_VIEWS)
def test_a_network_that_gives_one_vector_shows_or_has_no_loss(name: str) -> None:
    network = Network(nn.Sequential(nn.Flatten(), nn.Linear(16, 32)), 32, toy.METHODS[name], seed=0)
    with torch.no_grad():
        network.backbone[1].weight.zero_()
    step = network([torch.randn(16, 1, 4, 4) for _ in range(2)])
    spread = embedding_std(step.projections[0])
    assert math.isnan(step.loss.item()) or spread < LEAST_STD


@pytest.mark.parametrize("name", TWO_VIEWS)
def test_a_short_training_does_not_collapse(name: str, tmp_path: Path) -> None:
    """Forty steps of the loop; the loss is compared where a moving teacher's entropy does not hide its fall."""
    history = toy.fit(toy.make_run(toy.make_pack(tmp_path / "pack"), tmp_path / "scratch", name, epochs=8))
    assert min(row["projection_std"] for row in history) > 0.1
    assert min(row["embedding_std"] for row in history) > 0.3
    assert history[-1]["rankme"] > 15
    if name != "dino":
        assert history[-1]["loss"] < history[0]["loss"] - 0.1
