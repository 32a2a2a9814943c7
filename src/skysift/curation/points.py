"""Points as k-means sees them: centred rows of a matrix in memory, on disk or on an accelerator, read in chunks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from skysift.curation.threads import each_chunk
from skysift.errors import RequestError

CHUNK = {"cpu": 2048, "cuda": 65536}
"""Rows searched at once: scores of this many rows against a block of centroids stay in a CPU's cache."""
SUM_ROWS = 65536
"""Rows summed at once; a constant, because it decides the order of summation."""
BAG = 256
"""Longest run of float32 additions; longer sums are put together in float64."""
CACHED_BYTES = 2 << 30
"""Largest centred copy that is kept in memory."""
SMALL = 100_000_000
"""Number of multiplications below which rounding the points to bfloat16 first does not pay."""


class Points:
    """Rows of `x`, moved so that their mean is the origin (in float32).

    Centring keeps the rounding of `|x - c|^2 = |x|^2 - 2 x.c + |c|^2` small whatever the mean of the features is.

    Parameters
    ----------
    x : array (N, D) float32
        May be a memory map; it is not changed and never copied as a whole beyond `CACHED_BYTES`.
    device : str
        Where the arithmetic runs: "cpu", "cuda", ...
    work : float
        Expected number of multiplications in one search over all rows; it decides whether a bfloat16 copy pays.
    unit : bool
        Scale each row to length 1 first; rows of zeros stay.

    Attributes
    ----------
    shift : Tensor (D,) float32
        The mean that was taken off.
    squares : Tensor (N,) float32
        Squared length of each centred row.
    total : float
        Sum of `squares`, added up in float64.
    fast : torch.dtype
        bfloat16 where the processor multiplies it natively, else float32: what searches are done in first.
    """

    def __init__(
        self, x: NDArray[np.float32] | Tensor, *, device: str = "cpu", work: float = 0.0, unit: bool = False
    ) -> None:
        data = x if isinstance(x, Tensor) else _wrap(x)
        if data.ndim != 2 or data.shape[0] == 0 or data.shape[1] == 0:
            raise RequestError(f"k-means needs a matrix of points (N, D) with N, D > 0, not shape {tuple(data.shape)}")
        self.device = torch.device(device)
        size = data.shape[0] * data.shape[1] * 4
        if self.device.type == "cuda" and size < 0.4 * torch.cuda.mem_get_info(self.device)[0]:
            data = data.to(self.device)
        self.data = data
        self.n, self.dim = data.shape
        self.chunk = CHUNK.get(self.device.type, CHUNK["cpu"])
        self.scale = self._inverse_lengths() if unit else None
        self.shift = self._mean()
        self.fast = torch.bfloat16 if work >= SMALL and has_bfloat16(self.device) else torch.float32
        self._copy: Tensor | None = None
        keep = size // (2 if self.fast == torch.bfloat16 else 1) <= CACHED_BYTES
        self._prepare(keep and work > 0)

    def _inverse_lengths(self) -> Tensor:
        scale = torch.empty(self.n, device=self.device)
        for start in range(0, self.n, self.chunk):
            part = slice(start, min(start + self.chunk, self.n))
            torch.linalg.vector_norm(self.data[part].to(self.device), dim=1, out=scale[part])
        return torch.where(scale > 0, scale.reciprocal(), 0.0)

    def _raw(self, which: slice | Tensor) -> Tensor:
        if isinstance(which, slice):
            part = self.data[which].to(self.device)
        else:
            part = self.data.index_select(0, which.to(self.data.device)).to(self.device)
        return part if self.scale is None else part * self.scale[which, None]

    def _mean(self) -> Tensor:
        total = torch.zeros(self.dim, dtype=torch.float64, device=self.device)
        for start in range(0, self.n, self.chunk):
            total += self._raw(slice(start, start + self.chunk)).sum(0)
        mean = (total / self.n).float()
        if not bool(torch.isfinite(mean).all()):
            raise RequestError(
                f"the features hold NaN or infinite values, first in row {self._first_bad()}; extract them again or "
                "leave those cutouts out"
            )
        return mean

    def _first_bad(self) -> int:
        for start in range(0, self.n, SUM_ROWS):
            bad = ~torch.isfinite(self.data[start : start + SUM_ROWS]).all(1)
            if bool(bad.any()):
                return start + int(bad.nonzero()[0, 0])
        return -1

    def _prepare(self, keep: bool) -> None:
        copy = torch.empty((self.n, self.dim), dtype=self.fast, device=self.device) if keep else None
        self.squares = torch.empty(self.n, device=self.device)

        def work(part: slice) -> None:
            rows = self.rows(part)
            torch.linalg.vector_norm(rows, dim=1, out=self.squares[part])
            if copy is not None:
                copy[part] = rows

        each_chunk(work, self.n, self.chunk, self.device)
        self.squares.square_()
        self.total = float(self.squares.sum(dtype=torch.float64))
        self._copy = copy

    def rows(self, which: slice | Tensor) -> Tensor:
        """Return centred rows (float32) for a slice or for indices."""
        part = self._raw(which)
        return part - self.shift

    def fast_rows(self, which: slice | Tensor) -> Tensor:
        """Return centred rows in the dtype of the first search."""
        if self._copy is None:
            return self.rows(which).to(self.fast)
        if isinstance(which, slice):
            return self._copy[which]
        return self._copy.index_select(0, which)

    def sums(self, labels: Tensor, k: int, rows: Tensor | None = None, signs: Tensor | None = None) -> Tensor:
        """Add up the centred rows of each cluster: (k, D) float64, the same for any number of threads.

        Parameters
        ----------
        labels : Tensor (M,) int64
            Cluster of each row.
        k : int
            Number of clusters.
        rows : Tensor (M,) int64, optional
            Which rows; None means all of them, M = N.
        signs : Tensor (M,) float32, optional
            Weight of each row.
        """
        result = torch.zeros((k, self.dim), dtype=torch.float64, device=self.device)
        step = max(SUM_ROWS, 8 * k)
        for start in range(0, len(labels), step):
            stop = min(start + step, len(labels))
            part = labels[start:stop]
            order = torch.argsort(part, stable=True)
            taken = torch.arange(start, stop, device=self.device) if rows is None else rows[start:stop]
            weights = None if signs is None else signs[start:stop][order]
            moved = torch.bincount(part, weights=None if signs is None else signs[start:stop].double(), minlength=k)
            if self.scale is not None:
                own = self.scale[taken][order]
                weights = own if weights is None else own * weights
            if rows is None:
                table, index = self.data[start:stop].to(self.device), order
            elif self.data.device == self.device:
                table, index = self.data, taken[order]
            else:
                table, index = self.data[taken.cpu()].to(self.device), order
            counts = torch.bincount(part, minlength=k)
            pieces = (counts + BAG - 1) // BAG
            owner = torch.repeat_interleave(torch.arange(k, device=self.device), pieces)
            inside = torch.arange(len(owner), device=self.device) - (pieces.cumsum(0) - pieces)[owner]
            offsets = (counts.cumsum(0) - counts)[owner] + BAG * inside
            bags = self._bags(index, table, offsets, weights)
            added: Tensor = torch.segment_reduce(bags.double(), "sum", lengths=pieces, unsafe=True)
            result += added - moved[:, None].double() * self.shift.double()
        return result

    def _bags(self, index: Tensor, table: Tensor, offsets: Tensor, weights: Tensor | None) -> Tensor:
        """Add up runs of rows of `table`: (len(offsets), D) float32."""
        result = torch.empty((len(offsets), self.dim), device=self.device)
        ends = torch.cat([offsets[1:], offsets.new_tensor([len(index)])])

        def work(part: slice) -> None:
            first, last = int(offsets[part.start]), int(ends[part.stop - 1])
            own = None if weights is None else weights[first:last]
            result[part] = embedding_bag(
                index[first:last], table, offsets[part] - first, mode="sum", per_sample_weights=own
            )

        each_chunk(work, len(offsets), max(BAG, len(offsets) // 16), self.device)
        return result

    def distances(self, labels: Tensor, centroids: Tensor) -> Tensor:
        """Return the squared distance (N,) float32 of each row from its own (centred) centroid, summed directly."""
        result = torch.empty(self.n, device=self.device)

        def work(part: slice) -> None:
            rows = self.rows(part).sub_(centroids[labels[part]])
            torch.sum(rows.square_(), 1, out=result[part])

        each_chunk(work, self.n, self.chunk, self.device)
        return result


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether matrix products of bfloat16 are native, so that they are at least twice as fast as float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in probes)
    return False


def _wrap(x: NDArray[np.float32]) -> Tensor:
    array = np.asarray(x)
    if array.dtype != np.float32:
        array = array.astype(np.float32)
    if array.flags.writeable:
        return torch.from_numpy(array)
    if isinstance(x, np.memmap) and x.filename is not None and x.flags.c_contiguous:
        # torch has no read-only tensors; nothing is written to it, and a copy-on-write map costs nothing
        return torch.from_numpy(np.memmap(x.filename, dtype=np.float32, mode="c", offset=x.offset, shape=x.shape))
    return torch.from_numpy(array.copy())
