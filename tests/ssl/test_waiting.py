"""A step never asks a GPU for a value: neither augmentation nor method, loss, optimiser or teacher."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from skysift.imaging import Augment, augment, augment_device
from skysift.imaging.draws import Draws
from skysift.ssl.methods import NAMES

ASKING = {
    "aten::_linalg_check_errors",
    "aten::_local_scalar_dense",
    "aten::bincount",
    "aten::equal",
    "aten::is_nonzero",
    "aten::masked_select",
    "aten::nonzero",
    "aten::repeat_interleave.Tensor",
    "aten::_unique2",
    "aten::unique_consecutive",
    "aten::unique_dim",
}


class NeverAsking(TorchDispatchMode):
    """Fails on every operation that a GPU answers only when all its work is done: values, and shapes made of them."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name()
        masked = name.startswith("aten::index") and isinstance(args[1], list | tuple)
        masked = masked and any(index is not None and index.dtype == torch.bool for index in args[1])
        assert name not in ASKING, f"{name} makes the host wait for the device"
        assert not masked, f"{name} by a mask makes the host wait for the device"
        return func(*args, **(kwargs or {}))


def on_device(images: Tensor, valid: Tensor, seeds: Tensor) -> Tensor:
    """Augment as on a GPU."""
    return augment_device.augment_piece(images, valid, Draws.of(Augment.preset("hulk"), seeds))


def one_step(run: Any, at: int = 24) -> None:
    """Take a step, the 25th: one at which spread is looked at."""
    images, valid, seeds = next(run._batches(0, 0))
    run.network.train()
    run.state.step = at
    with NeverAsking():
        run._step(images, valid, seeds)
    assert len(run._pending) == 1


@pytest.mark.parametrize("method", NAMES)
def test_no_method_waits(toy: ModuleType, pack: Any, tmp_path: Path, method: str) -> None:
    one_step(toy.make_run(pack, tmp_path, method, augment=on_device, epochs=8))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lars"])
def test_no_optimizer_waits(toy: ModuleType, pack: Any, tmp_path: Path, optimizer: str) -> None:
    one_step(toy.make_run(pack, tmp_path, "byol", optimizer=optimizer, augment=on_device, epochs=8))


def _by_mask(values: Tensor) -> Any:
    return values[values > 0.5]


@pytest.mark.parametrize(
    "asking",
    [
        lambda values: values.sum().item(),
        lambda values: bool(values.any()),
        lambda values: values.nonzero(),
        lambda values: torch.linalg.cholesky(values @ values.T + torch.eye(16)),
        _by_mask,
        lambda values: values.unique(),
        lambda values: torch.equal(values, values),
        lambda values: augment(
            values[None, None], values[None, None] >= 0, Augment.preset("hulk"), torch.zeros(1, dtype=torch.int64)
        ),
    ],
)
def test_what_waits_is_found(asking: Callable[[Tensor], Any]) -> None:
    with NeverAsking(), pytest.raises(AssertionError, match="makes the host wait"):
        asking(torch.rand(16, 16))
