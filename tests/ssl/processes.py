"""Two processes of gloo for a test: `together` starts them, `member` is what they run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch import distributed as dist

from tests.conftest import ROOT


def together(program: Path, folder: Path, count: int = 2) -> list[dict[str, Tensor]]:
    """Run a program, which must call `member`, in processes that know of each other; return what each left."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "WORLD_SIZE": str(count)}
    command = [sys.executable, str(program), str(folder)]
    processes = [subprocess.Popen(command, env={**environment, "RANK": str(rank)}, cwd=ROOT) for rank in range(count)]
    assert [process.wait(timeout=120) for process in processes] == [0] * count
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(count)]


def member(folder: Path, work: Callable[[int], dict[str, Tensor]]) -> None:
    """Join the other processes, through a file in the folder, and save what `work(rank)` gives."""
    torch.set_num_threads(1)
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=count)
    result = {name: value.detach().clone() for name, value in work(rank).items()}
    dist.barrier()
    torch.save(result, folder / f"{rank}.pt")
    dist.destroy_process_group()
