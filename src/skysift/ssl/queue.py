"""A queue of projections that outlives a step: where neighbours are looked for."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from skysift.ssl.distributed import gather_rows


class Queue(nn.Module):
    """The last `size` projections, as unit vectors; random ones until there are so many.

    Rows and place are buffers, so that checkpoints hold them (lightly's memory bank leaves them out).

    Parameters
    ----------
    size : int
        Rows kept.
    dim : int
        Length of a row.

    Attributes
    ----------
    rows : Tensor
        (size, dim), float32.
    """

    rows: Tensor
    place: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("rows", normalize(torch.randn(size, dim), dim=1))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, rows: Tensor) -> None:
        """Put the rows (n, dim) of all processes in the place of the oldest; the host never waits."""
        newest = normalize(gather_rows(rows.detach()).to(self.rows.dtype), dim=1)[-len(self.rows) :]
        index = (self.place + torch.arange(len(newest), device=rows.device)) % len(self.rows)
        self.rows.index_copy_(0, index, newest)
        self.place.copy_((self.place + len(newest)) % len(self.rows))

    @torch.no_grad()
    def nearest(self, rows: Tensor, count: int = 1) -> Tensor:
        """Return the `count` rows of the queue that are most like each of (n, dim), nearest first: (n, count, dim)."""
        with torch.autocast(rows.device.type, enabled=False):
            similarity = normalize(rows.to(self.rows.dtype), dim=1) @ self.rows.T
        return self.rows[similarity.topk(count, dim=1).indices]
