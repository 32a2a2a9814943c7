"""A batch that is too small for its method is refused, with the least size."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from skysift.errors import RequestError
from skysift.ssl.methods import WMSE
from skysift.ssl.stages import Train
from skysift.ssl.train import _batch_size

ZERO = "0" * 32
SMALL = WMSE(projection_dim=8, whitening_size=15)


def size_of(batch_size: int, count: int, processes: int = 1, method: Any = "simclr") -> tuple[int, list[str]]:
    warnings: list[str] = []
    stage = Train(cutouts=ZERO, batch_size=batch_size, method=method)
    return _batch_size(stage, count, processes, SimpleNamespace(warn=warnings.append)), warnings  # type: ignore[arg-type]


def test_the_request_holds_where_there_are_enough_cutouts() -> None:
    assert size_of(128, 128) == (128, [])
    assert size_of(15, 15, method=SMALL) == (15, [])
    assert size_of(128, 1000, processes=4, method="wmse") == (128, [])


def test_fewer_cutouts_make_a_smaller_batch_that_processes_can_share() -> None:
    assert size_of(128, 99, processes=2) == (98, ["only 99 cutouts: the batch size is 98 instead of 128"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((64, 1000, 1, "wmse"), "wmse needs at least 128 images in a batch, not --batch-size 64"),
        ((128, 100, 1, "wmse"), "training with wmse needs at least 128 cutouts and 000000000000 holds 100"),
        ((16, 15, 2, SMALL), "wmse needs at least 15 images in a batch and 15 cutouts give 2 processes 14"),
        ((8, 1000, 8, "barlow"), "barlow needs at least 16 images in a batch over 8 processes, not --batch-size 8"),
        ((30, 1000, 4, "vicreg"), "--batch-size 30 can't be shared by 4 processes"),
        ((8, 5, 1, "simsiam"), "training with simsiam needs at least 8 cutouts and 000000000000 holds 5"),
    ],
)
def test_too_small_a_batch_is_refused_with_the_least_size(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        size_of(*arguments)
