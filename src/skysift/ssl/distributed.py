"""The little that the loop needs to know about being one process of several."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributed as dist


def world_size() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return which of them this one is, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def share_of_batch(batch_size: int) -> slice:
    """Return this process's slice of each global batch, whose size must be a multiple of the number of processes."""
    size = batch_size // world_size()
    return slice(rank() * size, (rank() + 1) * size)


def mean_over_processes(value: Tensor) -> Tensor:
    """Return the mean of a tensor over the processes, the same on each; the tensor itself is left alone."""
    if world_size() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / world_size()


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows (n, ...) of all processes below each other, in order of rank, without gradient."""
    if world_size() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(world_size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def gather_with_gradient(rows: Tensor) -> Tensor:
    """Return the rows (n, ...) of all processes below each other; gradients flow back to each process's own.

    A process's rows receive the sum of what all processes derive for them. A loss whose mean over the processes is
    that of one process thereby gets, after DDP's averaging, the gradient of one process.
    """
    if world_size() == 1:
        return rows
    from skysift.encoders._torchvision import ensure

    ensure()
    from lightly.utils.dist import gather

    return torch.cat(gather(rows.contiguous()))


def any_process(flag: bool, device: torch.device) -> bool:
    """Return whether the flag is set on any process."""
    if world_size() == 1:
        return flag
    total = torch.tensor(int(flag), device=device)
    dist.all_reduce(total)
    return bool(total.item())
