"""The pack holds what preprocessing gave, in float16, and feeds it unchanged."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from skysift.errors import RequestError, Stopped
from skysift.ssl.feed import Feed
from skysift.ssl.pack import Pack, prepare_pack

COUNT, SIZE = 150, 6


class Noise:
    """Images that know their row; the first column has no data."""

    def read(self, indices: Any) -> np.ndarray:
        images = np.stack([np.random.Generator(np.random.PCG64(int(row))).random((SIZE, SIZE)) for row in indices])
        images[:, :, 0] = np.nan
        return images.astype(np.float32)


def prepare(raw: np.ndarray, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    images = torch.from_numpy(raw)[:, None]
    return torch.nan_to_num(images).repeat(1, 2, 1, 1), ~images.isnan()


def overflow(raw: np.ndarray, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    images, valid = prepare(raw, rows)
    return images * 1e6, valid


def context(folder: Path, die_after: int | None = None, stop_after: int | None = None) -> Any:
    """Work through the chunks one by one; `die_after` ends the work early, as a kill does, `stop_after` as SIGTERM."""
    worked: list[Any] = []

    def map_(fn: Any, items: Any, *, label: str, done: int) -> Any:
        for number, item in enumerate(items):
            if number == die_after:
                raise KeyboardInterrupt
            worked.append(item)
            yield fn(item)

    engine = SimpleNamespace(map=map_)
    return SimpleNamespace(scratch=folder, engine=engine, should_stop=lambda: len(worked) == stop_after, worked=worked)


def made(folder: Path, **options: Any) -> Pack:
    return prepare_pack(context(folder, **options), Noise(), COUNT, prepare, channels=2, size=SIZE)


def test_pixels_are_float16_of_the_preprocessed_ones(tmp_path: Path) -> None:
    pack = made(tmp_path)
    expected = np.nan_to_num(Noise().read(range(COUNT)))
    images, valid = pack.images(), pack.valid()
    assert images.shape == (COUNT, 2, SIZE, SIZE)
    assert (images.dtype, valid.dtype, len(pack)) == (np.float16, np.bool_, COUNT)
    np.testing.assert_allclose(images[:, 1].astype(np.float32), expected, atol=2.5e-4)
    assert not valid[..., 0].any()
    assert valid[..., 1:].all()


@pytest.mark.parametrize(("how", "error"), [("die_after", KeyboardInterrupt), ("stop_after", Stopped)])
def test_an_ended_preparation_carries_on_to_the_same_bytes(tmp_path: Path, how: str, error: type[Exception]) -> None:
    for name in ("whole", "part"):
        (tmp_path / name).mkdir()
    whole = made(tmp_path / "whole")
    with pytest.raises(error):
        made(tmp_path / "part", **{how: 2})
    again = context(tmp_path / "part")
    part = prepare_pack(again, Noise(), COUNT, prepare, channels=2, size=SIZE)
    assert again.worked == [(128, 150)]
    for name in ("images.npy", "valid.npy"):
        assert (part.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_values_beyond_float16_are_a_wrong_request(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cutouts 0 to 63"):
        prepare_pack(context(tmp_path), Noise(), COUNT, overflow, channels=2, size=SIZE)


@pytest.mark.parametrize("resident", [True, False])
def test_feed_gives_the_rows_asked_for(tmp_path: Path, resident: bool) -> None:
    pack = made(tmp_path)
    rows = [np.array([5, 3, 149]), np.array([0, 0, 7]), np.array([9, 8, 7]), np.array([1, 2, 3]), np.array([4, 5, 6])]
    feed = Feed(pack, torch.device("cpu"), resident=resident)
    assert len(feed) == COUNT
    batches = list(feed.batches(rows))
    assert len(batches) == len(rows)
    for wanted, (images, valid) in zip(rows, batches, strict=True):
        np.testing.assert_array_equal(images.numpy(), pack.images()[wanted].astype(np.float32))
        np.testing.assert_array_equal(valid.numpy(), pack.valid()[wanted])
        assert images.dtype == torch.float32
    assert feed.waited > 0
    assert list(feed.batches([])) == []
