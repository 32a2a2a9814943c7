"""The loop: what it computes, what survives a kill, and when it gives up."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from skysift.errors import SkysiftError, Stopped
from skysift.ssl import plan
from skysift.ssl.checkpoint import Checkpoints
from skysift.ssl.journal import Journal
from skysift.ssl.schedules import warmup_cosine
from skysift.store.progress import Progress


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights(run: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.network.state_dict().items()}


def assert_same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> None:
    assert one.keys() == two.keys()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []


@pytest.mark.parametrize("method", ["simclr", "byol"])
def test_loop_equals_the_steps_written_out(toy: ModuleType, pack: Any, tmp_path: Path, method: str) -> None:
    run = toy.make_run(pack, tmp_path, method, net=toy.backbone(dropout=0.0), epochs=2)
    history = toy.fit(run)

    twin = toy.make_run(pack, tmp_path / "twin", method, net=toy.backbone(dropout=0.0), epochs=2)
    net, optimizer, images, losses = twin.network.train(), twin.raw_optimizer, pack.images(), []
    for step in range(10):
        epoch, number = divmod(step, 5)
        rows = plan.epoch_order(90, seed=5, epoch=epoch)[16 * number : 16 * number + 16]
        views = []
        for view in range(2):
            seeds = torch.from_numpy(plan.augment_seeds(rows, seed=5, epoch=epoch, view=view))
            views.append(toy.augment(torch.from_numpy(images[rows].astype(np.float32)), None, seeds))
        optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"] = 2e-3 * warmup_cosine(step, 10, 4)
        optimizer.zero_grad()
        loss = net(views).loss
        loss.backward()
        optimizer.step()
        net.method.after_step(net, step + 1, 10)
        losses.append(loss.item())
    assert [row["loss"] for row in history] == pytest.approx([np.mean(losses[:5]), np.mean(losses[5:])], rel=1e-5)
    for name, value in twin.network.state_dict().items():
        torch.testing.assert_close(run.network.state_dict()[name], value, rtol=1e-3, atol=1e-5)


def test_equal_runs_are_equal_to_the_bit_whatever_the_feed_and_the_synchronisation(
    toy: ModuleType, pack: Any, tmp_path: Path
) -> None:
    first = toy.make_run(pack, tmp_path / "a")
    second = toy.make_run(pack, tmp_path / "b", resident=False, sync_every=3, checkpoint_seconds=0.0)
    assert toy.fit(first) == toy.fit(second)
    assert_same(weights(first), weights(second))
    other = toy.make_run(pack, tmp_path / "c", seed=6)
    toy.fit(other)
    assert other.state.history[-1]["loss"] != first.state.history[-1]["loss"]


@pytest.mark.parametrize(
    ("method", "optimizer"), [("simclr", "adam"), ("byol", "lars"), ("simclr", "sgd"), ("byol", "adamw")]
)
@pytest.mark.parametrize("stop_after", [7, 10])
def test_a_stopped_run_carries_on_to_the_same_bits(
    toy: ModuleType, pack: Any, tmp_path: Path, method: str, optimizer: str, stop_after: int
) -> None:
    whole = toy.make_run(pack, tmp_path / "whole", method, optimizer=optimizer)
    expected = toy.fit(whole)
    calls = iter(range(1, 1000))
    stopped = toy.make_run(
        pack, tmp_path / "part", method, optimizer=optimizer, should_stop=lambda: next(calls) >= stop_after
    )
    with pytest.raises(Stopped, match=f"after step {stop_after} of 20"):
        toy.fit(stopped)
    resumed = toy.make_run(pack, tmp_path / "part", method, optimizer=optimizer)
    assert resumed.state.step == stop_after
    assert toy.fit(resumed) == expected
    assert_same(weights(whole), weights(resumed))
    best = Checkpoints(tmp_path / "part").load("best")
    assert best is not None
    assert best[1]["epoch"] == 1 + min(range(4), key=lambda epoch: expected[epoch]["loss"])


@pytest.mark.parametrize("method", ["simclr", pytest.param("byol", marks=pytest.mark.slow)])
def test_a_killed_run_carries_on_to_the_same_loss(toy: ModuleType, pack: Any, tmp_path: Path, method: str) -> None:
    whole = toy.make_run(pack, tmp_path / "whole", method)
    expected = toy.fit(whole)
    command = [sys.executable, str(Path(__file__).with_name("toy.py")), str(tmp_path), method]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 90
    while not (tmp_path / "scratch" / "last.json").exists():
        assert process.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = toy.make_run(pack, tmp_path / "scratch", method)
    assert 5 <= resumed.state.step < 20
    history = toy.fit(resumed)
    assert [row["loss"] for row in history] == pytest.approx([row["loss"] for row in expected], abs=1e-6)
    assert_same(weights(whole), weights(resumed))


def test_history_has_a_row_an_epoch_and_the_loss_falls(toy: ModuleType, pack: Any, tmp_path: Path) -> None:
    run = toy.make_run(pack, tmp_path, epochs=12)
    history = toy.fit(run)
    assert [row["epoch"] for row in history] == list(range(1, 13))
    assert [row["step"] for row in history] == list(range(5, 65, 5))
    assert history[-1]["loss"] < history[0]["loss"] - 0.1
    assert history[-1]["lr"] == pytest.approx(0, abs=1e-12)
    assert all(1 <= row["rankme"] <= 32 and row["embedding_std"] > 0.05 for row in history)


def test_a_network_that_gives_one_vector_ends_the_run(toy: ModuleType, pack: Any, tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(576, 32))
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].bias.fill_(1.0)
    run = toy.make_run(pack, tmp_path, net=net, lr=1e-9, epochs=40)
    with pytest.raises(SkysiftError, match="collapsed at step 100"):
        toy.fit(run)


def test_a_rate_that_blows_up_ends_the_run(toy: ModuleType, pack: Any, tmp_path: Path) -> None:
    net = toy.backbone(norm=False)
    run = toy.make_run(pack, tmp_path, net=net, optimizer="sgd", lr=1e30)
    with pytest.raises(SkysiftError, match="loss became"):
        toy.fit(run)


def test_the_progress_line_says_how_it_goes(
    toy: ModuleType, pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skysift.store.progress.QUIET_SECONDS", 0.0)
    monkeypatch.setattr("skysift.store.progress.LINE_SECONDS", 0.0)
    run, stream = toy.make_run(pack, tmp_path, sync_every=2), io.StringIO()
    with Progress(stream=stream).bar(20 * 16, "train") as bar:
        run.fit(Journal(bar, None))
    told = r"\d+ images/s, wait \d+ %, loss \d\.\d{4}, std 0\.\d{3}, RankMe \d+\.\d"
    lines = stream.getvalue().splitlines()
    assert len([line for line in lines if re.search(rf"160/320 .* left  {told}$", line)]) == 1
    assert re.search(rf"320/320 .*{told}$", lines[-1])
