"""Two processes train what one does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from skysift.errors import RequestError
from skysift.ssl.checkpoint import Checkpoints
from skysift.ssl.fabric import make_fabric


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.slow
def test_two_gloo_processes_equal_one_with_a_norm_free_encoder(toy: ModuleType, tmp_path: Path) -> None:
    pack = toy.make_pack(tmp_path / "pack")
    alone: Any = toy.make_run(pack, tmp_path / "alone", net=toy.backbone(norm=False, dropout=0.0))
    expected = toy.fit(alone)
    world = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("toy.py")), str(tmp_path), "together"],
            env={**os.environ, **world, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    loaded = Checkpoints(tmp_path / "scratch").load("last")
    assert loaded is not None
    tensors, state = loaded
    for row, other in zip(expected, state["history"], strict=True):
        assert other["loss"] == pytest.approx(row["loss"], abs=1e-5)
        assert other["alignment"] == pytest.approx(row["alignment"], abs=1e-4)
    for name, value in alone.network.state_dict().items():
        torch.testing.assert_close(tensors[f"network.{name}"], value, rtol=1e-3, atol=1e-5)


def test_a_device_that_is_not_there_is_a_wrong_request() -> None:
    with pytest.raises(RequestError, match="--device abacus is unknown"):
        make_fabric("abacus", "32-true")
    if not torch.cuda.is_available():
        with pytest.raises(RequestError, match="--device cuda can't be used here"):
            make_fabric("cuda", "32-true")
        assert make_fabric("auto", "32-true").device.type == "cpu"
