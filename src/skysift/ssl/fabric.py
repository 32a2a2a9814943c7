"""Where training runs: Lightning Fabric for one process or several."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import TorchElasticEnvironment
from lightning_fabric.strategies import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import distributed as dist

from skysift.errors import RequestError
from skysift.ssl.launch import World

PATIENCE = timedelta(hours=24)
"""How long processes wait for each other; rank 0 preprocesses alone before the others have anything to do."""
KINDS = ("auto", "cpu", "cuda", "mps")


def make_fabric(device: str, precision: str) -> Fabric:
    """Return a Fabric on a torch device, in every process that `torchrun` or Slurm's `srun` has started.

    Parameters
    ----------
    device : str
        `auto`, `cpu`, `cuda`, `cuda:1`, `mps`. With several processes each takes the device of its local rank.
    precision : str
        `32-true` or `bf16-mixed`.

    Raises
    ------
    RequestError
        If there is no such device here.
    """
    kind, _, number = device.partition(":")
    if kind not in KINDS:
        raise RequestError(f"--device {device} is unknown; there are {', '.join(KINDS)}, and cuda:N")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    processes = World.of().size
    on_each = int(os.environ.get("LOCAL_WORLD_SIZE", str(processes)))
    try:
        if processes > 1:
            return Fabric(
                accelerator=kind,
                devices=on_each,
                num_nodes=processes // on_each,
                strategy=DDPStrategy(process_group_backend="nccl" if kind == "cuda" else "gloo", timeout=PATIENCE),
                precision=precision,
                plugins=TorchElasticEnvironment(),
            )
        devices: Any = [int(number)] if number and kind == "cuda" else 1
        return Fabric(accelerator=kind, devices=devices, precision=precision)
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise RequestError(f"--device {device} can't be used here: {error}") from error


@contextmanager
def together(fabric: Fabric) -> Iterator[None]:
    """Join the processes of a Fabric meanwhile; after an error the others may be gone, and nobody says goodbye."""
    fabric.launch()
    warnings.filterwarnings("ignore", message="Grad strides do not match")  # of 1x1 convolutions: no matter
    yield
    if dist.is_initialized():
        dist.destroy_process_group()
