"""Checkpoints are whole or not there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from skysift.ssl import checkpoint
from skysift.ssl.checkpoint import Checkpoints
from skysift.ssl.schedules import make_optimizer


def test_tensors_and_scalars_come_back(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path)
    assert store.load("last") is None
    image = torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)
    both = torch.arange(6.0)
    store.save("last", {"image": image, "a": both[:3], "b": both[3:]}, {"loss": 0.1})
    store.save("last", {"image": image + 1, "a": both[:3], "b": both[3:]}, {"loss": 1 / 3})
    loaded = store.load("last")
    assert loaded is not None
    tensors, state = loaded
    assert torch.equal(tensors["image"], image + 1)
    assert torch.equal(tensors["b"], both[3:])
    assert state == {"loss": 1 / 3}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last-000001.safetensors", "last.json"]


def test_a_kill_while_saving_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Checkpoints(tmp_path)
    store.save("last", {"a": torch.ones(1)}, {"step": 1})
    for victim in ("save_file", "_flush"):
        with monkeypatch.context() as patch:
            real = getattr(checkpoint, victim)

            def die(*args: object, real: object = real) -> None:
                real(*args)  # type: ignore[operator]
                raise KeyboardInterrupt

            patch.setattr(checkpoint, victim, die)
            with pytest.raises(KeyboardInterrupt):
                store.save("last", {"a": torch.zeros(1)}, {"step": 2})
        loaded = store.load("last")
        assert loaded is not None
        assert loaded[0]["a"].item() == 1
        assert loaded[1] == {"step": 1}
    store.save("last", {"a": torch.zeros(1)}, {"step": 2})
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


def test_in_the_background_what_is_saved_is_what_there_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    real = checkpoint.save_file

    def slowly(*args: object) -> None:
        held.wait(60)
        real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint, "save_file", slowly)
    store = Checkpoints(tmp_path, background=True)
    weights, history = torch.ones(2), [1]
    store.save("last", {"a": weights}, {"history": history})
    weights.zero_()
    history.append(2)
    assert not list(tmp_path.iterdir())
    held.set()
    loaded = store.load("last")
    assert loaded is not None
    assert torch.equal(loaded[0]["a"], torch.ones(2))
    assert loaded[1] == {"history": [1]}


def test_a_full_disk_shows_with_a_later_checkpoint_or_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    store = Checkpoints(tmp_path, background=True)
    store.save("last", {"a": torch.ones(1)}, {})
    with pytest.raises(OSError, match="No space"):
        store.finish()
    store.finish()

    def go_on() -> None:
        for _ in range(3):
            store.save("last", {"a": torch.ones(1)}, {})

    with pytest.raises(OSError, match="No space"):
        go_on()


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "lars"])
def test_optimiser_state_comes_back_in_the_weights_memory_format(name: str, tmp_path: Path) -> None:
    def made() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        net = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        return net, make_optimizer(net, name, lr=0.1, weight_decay=0.01)  # type: ignore[arg-type]

    def step(net: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
        images = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(number))
        optimizer.zero_grad()
        net(images).square().sum().backward()
        optimizer.step()

    net, optimizer = made()
    for number in range(3):
        step(net, optimizer, number)
    store = Checkpoints(tmp_path)
    store.save("last", {**checkpoint.network_tensors(net), **checkpoint.optimizer_tensors(optimizer)}, {})
    twin, twin_optimizer = made()
    loaded = store.load("last")
    assert loaded is not None
    checkpoint.restore_network(twin, loaded[0])
    checkpoint.restore_optimizer(twin_optimizer, loaded[0])
    for value in twin_optimizer.state[twin.weight].values():
        assert value.shape != twin.weight.shape or value.stride() == twin.weight.stride()
    for number in range(3, 6):
        step(net, optimizer, number)
        step(twin, twin_optimizer, number)
    assert torch.equal(net.weight, twin.weight)
    assert torch.equal(net.bias, twin.bias)
