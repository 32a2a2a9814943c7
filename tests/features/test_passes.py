"""Threads that work ahead, devices, and torch's settings."""

import threading
import time

import pytest
import torch

from skysift.errors import RequestError
from skysift.features.passes import ahead, exact_float32, groups_of, one_thread_each, pick_device


def test_results_come_in_order_and_not_too_far_ahead() -> None:
    started: list[int] = []

    def work(number: int) -> int:
        started.append(number)
        time.sleep(0.002 * (number % 3))
        return number * number

    stream = ahead(work, range(30), workers=2, waiting=3)
    assert next(stream) == 0
    time.sleep(0.05)
    assert len(started) <= 4
    assert list(stream) == [n * n for n in range(1, 30)]


def test_an_error_in_a_thread_reaches_the_caller_and_ends_the_threads() -> None:
    def work(number: int) -> int:
        if number == 5:
            raise RequestError("mosaic changed")
        return number

    stream = ahead(work, range(1000), workers=2)
    assert [next(stream) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(RequestError, match="mosaic changed"):
        next(stream)
    assert not [t for t in threading.enumerate() if t.name.startswith("features")]


def test_leaving_early_ends_the_threads() -> None:
    stream = ahead(lambda n: n, range(1000), workers=3)
    assert next(stream) == 0
    stream.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("features")]


def test_one_thread_each_holds_in_new_threads_and_is_undone() -> None:
    before = torch.get_num_threads()
    with one_thread_each() as available:
        assert available == before
        assert list(ahead(lambda _: torch.get_num_threads(), range(4), workers=2)) == [1, 1, 1, 1]
    assert torch.get_num_threads() == before


def test_one_thread_each_of_several_callers() -> None:
    before = torch.get_num_threads()
    first, second = one_thread_each(), one_thread_each()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert torch.get_num_threads() == 1
    second.__exit__(None, None, None)
    assert torch.get_num_threads() == before


def test_tensorfloat_is_switched_off_and_on_again() -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    with exact_float32():
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before


def test_groups() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("meta")
    assert groups_of(range(10, 45), cpu) == [range(10, 26), range(26, 42), range(42, 45)]
    assert groups_of(range(10, 45), cpu, batch_size=7) == groups_of(range(10, 45), cpu)
    assert groups_of(range(10, 45), gpu, batch_size=30) == [range(10, 40), range(40, 45)]
    assert groups_of(range(0), cpu) == []


def test_devices() -> None:
    assert pick_device("auto").type in ("cpu", "cuda")
    assert pick_device("cpu") == torch.device("cpu")
    with pytest.raises(RequestError, match="--device cuda:99 can't be used here"):
        pick_device("cuda:99")
    with pytest.raises(RequestError, match="--device toaster"):
        pick_device("toaster")
