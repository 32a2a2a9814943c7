"""From the pack to the device: the whole pack at once where it fits, else batch by batch behind the network's back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skysift.ssl.pack import Pack

SHARE_OF_FREE_MEMORY = 0.6
AHEAD = 3


class Feed:
    """Hands out batches of preprocessed images.

    Parameters
    ----------
    pack : Pack
        The training set.
    device : torch.device
        Where batches are wanted.
    resident : bool, optional
        Keep the whole pack on the device. By default on the CPU (the pack stays memory-mapped), and on a GPU when it
        takes less than 60 % of the free memory.

    Attributes
    ----------
    waited : float
        Seconds that the caller has waited for batches.
    """

    def __init__(self, pack: Pack, device: torch.device, *, resident: bool | None = None) -> None:
        self.device, self.waited = device, 0.0
        self._images, self._valid = torch.from_numpy(pack.images()), torch.from_numpy(pack.valid())
        self.resident = _fits(pack.nbytes, device) if resident is None else resident
        if self.resident and device.type != "cpu":
            self._images, self._valid = self._images.to(device), self._valid.to(device)

    def __len__(self) -> int:
        return len(self._images)

    def batches(self, rows: Sequence[NDArray[np.int64]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield float32 images (B, C, S, S) and bool masks (B, 1, S, S) on the device, for each array of rows."""
        source = self._resident(rows) if self.resident else self._streamed(rows)
        while True:
            start = time.perf_counter()
            batch = next(source, None)
            self.waited += time.perf_counter() - start
            if batch is None:
                return
            yield batch

    def _resident(self, rows: Sequence[NDArray[np.int64]]) -> Iterator[tuple[Tensor, Tensor]]:
        if not rows:
            return
        indices = torch.from_numpy(np.concatenate(rows)).to(self.device)
        for index in indices.split([len(batch) for batch in rows]):
            yield self._images.index_select(0, index).float(), self._valid.index_select(0, index)

    def _streamed(self, rows: Sequence[NDArray[np.int64]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Gather the next batches in a thread while the device works on this one."""
        with ThreadPoolExecutor(1) as pool:
            waiting: list[Future[tuple[Tensor, Tensor]]] = [pool.submit(self._gather, r) for r in rows[:AHEAD]]
            for number in range(len(rows)):
                images, valid = waiting.pop(0).result()
                if number + AHEAD < len(rows):
                    waiting.append(pool.submit(self._gather, rows[number + AHEAD]))
                yield (
                    images.to(self.device, non_blocking=True).float(),
                    valid.to(self.device, non_blocking=True),
                )

    def _gather(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        index = torch.from_numpy(rows)
        images, valid = self._images.index_select(0, index), self._valid.index_select(0, index)
        return (images.pin_memory(), valid.pin_memory()) if self.device.type == "cuda" else (images, valid)


def _fits(nbytes: int, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return nbytes < SHARE_OF_FREE_MEMORY * free
