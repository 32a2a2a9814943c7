"""Two processes compute for every method what one does: from given projections, and end to end without norm layers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from skysift.ssl.methods import NAMES
from tests.ssl.methods import shares
from tests.ssl.processes import together

pytestmark = pytest.mark.slow

COMPARED = [name for name in NAMES if name != "mae"]
"""The masked autoencoder compares no images with each other."""


@pytest.fixture(scope="module")
def alone() -> dict[str, Tensor]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = shares.everything(slice(None))
    torch.set_num_threads(threads)
    return found


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    """The results of two processes."""
    return together(Path(shares.__file__), tmp_path_factory.mktemp("pair"))


def assert_near(found: Tensor, expected: Tensor) -> None:
    """Equal to 1e-5 of the largest element."""
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * max(1e-3, expected.abs().max().item()))


@pytest.mark.parametrize("name", COMPARED)
def test_loss_and_gradient_from_given_projections(
    name: str, alone: dict[str, Tensor], pair: list[dict[str, Tensor]]
) -> None:
    one = {key: value for key, value in alone.items() if key.startswith(f"given.{name}.")}
    loss, rows = f"given.{name}.loss", f"given.{name}.rows"
    assert one[rows].abs().max() > 1e-3
    assert_near((pair[0][loss] + pair[1][loss]) / 2, one[loss])
    assert_near(torch.cat([pair[0][rows], pair[1][rows]], dim=1) / 2, one[rows])
    for key in one.keys() - {loss, rows}:
        assert_near((pair[0][key] + pair[1][key]) / 2, one[key])


@pytest.mark.parametrize("name", COMPARED)
def test_weights_queues_and_centres_after_a_few_steps_end_to_end(
    name: str, alone: dict[str, Tensor], pair: list[dict[str, Tensor]]
) -> None:
    prefix = f"trained.{name}."
    one = {key: value for key, value in alone.items() if key.startswith(prefix)}
    losses = f"{prefix}losses"
    assert_near((pair[0][losses] + pair[1][losses]) / 2, one.pop(losses))
    assert len(one) > 6
    for key, value in one.items():
        for process in pair:
            torch.testing.assert_close(process[key], value, rtol=1e-4, atol=1e-5)


def test_prototypes_take_part_where_there_are_some(alone: dict[str, Tensor]) -> None:
    assert {key for key in alone if key.endswith(".prototypes")} == {"given.swav.prototypes", "given.dino.prototypes"}
