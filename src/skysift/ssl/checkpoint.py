"""Checkpoints: safetensors for what is large, JSON for the rest, and never a moment without a whole one."""

from __future__ import annotations

import json
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

AHEAD = 2
"""Checkpoints that may wait to be written; each is a copy of all weights."""


class Checkpoints:
    """The states of a run in one folder.

    `NAME.json` holds the scalars and names the file of tensors that belongs to it. The tensors are written first,
    under a new name, then the JSON takes the place of the old one, then the old tensors go.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    background : bool
        Let a thread write, so that training goes on meanwhile; `finish` waits for it.
    """

    def __init__(self, folder: Path, *, background: bool = False) -> None:
        self.folder, self.background = folder, background
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: list[Future[None]] = []

    def save(self, name: str, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Replace the checkpoint `name` in one step; tensors and state are taken as they are now.

        Raises
        ------
        OSError
            If it, or an earlier one in the background, could not be written.
        """
        while self._writing and (self._writing[0].done() or len(self._writing) == AHEAD):
            self._writing.pop(0).result()
        copies = {key: _whole(value) for key, value in tensors.items()}
        self._writing.append(self._writer.submit(self._write, name, copies, json.dumps(state)))
        if not self.background:
            self.finish()

    def finish(self) -> None:
        """Wait until everything is written."""
        while self._writing:
            self._writing.pop(0).result()

    def _write(self, name: str, tensors: dict[str, Tensor], state: str) -> None:
        old = self._read(name)
        generation = 0 if old is None else old["generation"] + 1
        tensor_file = self.folder / f"{name}-{generation:06d}.safetensors"
        save_file(tensors, tensor_file)
        _flush(tensor_file)
        waiting = self.folder / f"{name}.json.partial"
        record = {"generation": generation, "tensors": tensor_file.name, "state": json.loads(state)}
        waiting.write_text(json.dumps(record))
        _flush(waiting)
        waiting.replace(self.folder / f"{name}.json")
        for stale in self.folder.glob(f"{name}-*.safetensors"):
            if stale != tensor_file:
                stale.unlink()

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the tensors, on the CPU, and the scalars of the checkpoint `name`; None where there is none."""
        self.finish()
        record = self._read(name)
        if record is None:
            return None
        return load_file(self.folder / record["tensors"]), record["state"]

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else None


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's tensors as `optimizer.NUMBER.NAME`, weights numbered in the order of the groups."""
    found = {}
    for number, weight in enumerate(_weights(optimizer)):
        for name, value in optimizer.state[weight].items():
            if isinstance(value, Tensor):
                found[f"optimizer.{number}.{name}"] = value
    return found


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put `optimizer_tensors` back.

    What has the shape of its weight gets the weight's memory format as well: fused kernels walk both side by side.
    """
    weights = _weights(optimizer)
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".", 2)
            weight = weights[int(number)]
            like = weight if value.shape == weight.shape else value.to(weight.device)
            optimizer.state[weight][name] = torch.empty_like(like, dtype=value.dtype).copy_(value)


def network_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return weights and buffers as `network.NAME`."""
    return {f"network.{name}": value for name, value in network.state_dict().items()}


def restore_network(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put `network_tensors` back, in the network's own memory format."""
    prefix = "network."
    network.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})


def _whole(value: Tensor) -> Tensor:
    """Copy a tensor to the CPU, row by row in a storage of its own (safetensors knows neither strides nor views)."""
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def _weights(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def _flush(path: Path) -> None:
    """Wait until the file is on the disk."""
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())
