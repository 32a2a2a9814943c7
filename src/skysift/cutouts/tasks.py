"""What has to be measured, divided into tasks: mosaics, pieces of them, and windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from skysift.sky.info import MosaicInfo

__all__ = ["Piece", "Target", "Task", "group_pieces", "plan_boxes", "plan_grids"]

IntArray = npt.NDArray[np.int64]

TASK_PIXELS = 1 << 22
"""Pixels that a task takes on, so that a mosaic is shared by several workers and a strip fits in memory."""

STRIP_PIXELS = 1 << 24
"""Most pixels of a strip [pixel], unless a single row of windows is larger; bounds the memory of a worker."""

_LEAST_ROWS = 8


@dataclass(frozen=True)
class Target:
    """A mosaic to cut up, and how it is read.

    Attributes
    ----------
    info : MosaicInfo
        Where it is and what it is.
    fingerprint : str
        Of its file.
    zero_is_nan : bool
        Whether exact zeros are no data.
    mask : MosaicInfo or None
        Mask of the same shape.
    mask_fingerprint : str or None
        Of the mask's file.
    stack : bool
        Whether it is a stack of images, each a plane, with one row in the table of mosaics.
    """

    info: MosaicInfo
    fingerprint: str
    zero_is_nan: bool = False
    mask: MosaicInfo | None = None
    mask_fingerprint: str | None = None
    stack: bool = False

    def row(self) -> dict[str, Any]:
        """Return its row in the table of mosaics."""
        info = self.info
        names = ("format", "hdu", "plane", "bunit", "bmaj", "bmin", "bpa", "frequency", "pixel_scale", "wcs_header")
        return {
            "mosaic": self.fingerprint,
            "ny": info.shape[0],
            "nx": info.shape[1],
            **{name: getattr(info, name) for name in names},
            **({"plane": None} if self.stack else {}),
            "zero_is_nan": self.zero_is_nan,
            "mask": self.mask_fingerprint,
        }


@dataclass(frozen=True)
class Piece:
    """Windows of one mosaic: a grid of squares (`xs` by `ys`), or boxes anywhere.

    Attributes
    ----------
    target : int
        Number of the mosaic in its task.
    xs, ys : ndarray of int, shape (A,) and (B,)
        First columns and rows of a grid.
    size : int
        Side of the grid's windows [pixel].
    boxes : ndarray of int, shape (N, 4), or None
        x0, y0, width, height [pixel], in place of a grid.
    planes : ndarray of int, shape (N,), or None
        Image of the stack that each box belongs to.
    """

    target: int
    xs: IntArray
    ys: IntArray
    size: int
    boxes: IntArray | None = None
    planes: IntArray | None = None

    @property
    def windows(self) -> IntArray:
        """ndarray, shape (N, 4) : x0, y0, width, height [pixel]."""
        if self.boxes is not None:
            return self.boxes
        windows = np.empty((len(self.ys), len(self.xs), 4), np.int64)
        windows[..., 0], windows[..., 1], windows[..., 2:] = self.xs, self.ys[:, None], self.size
        return windows.reshape(-1, 4)


@dataclass(frozen=True)
class Task:
    """What one worker does in one go.

    Attributes
    ----------
    targets : tuple of Target
        The mosaics.
    pieces : tuple of Piece
        Their windows, in the order of the catalogue.
    min_valid : float
        Least share of finite pixels of a cutout that is kept.
    complexity : bool
        Whether to measure complexity too.
    """

    targets: tuple[Target, ...]
    pieces: tuple[Piece, ...]
    min_valid: float
    complexity: bool


def plan_grids(
    targets: Sequence[Target], windows: Sequence[npt.NDArray[np.integer]], *, min_valid: float, complexity: bool
) -> Iterator[Task]:
    """Divide sliding windows into tasks of similar size; the division depends on the request alone.

    Parameters
    ----------
    targets : sequence of Target
        Mosaics, in the order of the catalogue.
    windows : sequence of ndarray, shape (N, 4)
        Windows of each mosaic as `sky.sliding_windows` gives them: by size, y0, x0, a full grid a size.
    min_valid, complexity
        See `Task`.
    """
    pieces: list[tuple[Target, Piece, int]] = []
    for target, boxes in zip(targets, windows, strict=True):
        for size in np.unique(boxes[:, 2]).tolist():
            of_size = boxes[boxes[:, 2] == size].astype(np.int64)
            xs, ys = np.unique(of_size[:, 0]), np.unique(of_size[:, 1])
            rows = _rows_per_task(size, int(ys[1] - ys[0]) if len(ys) > 1 else size, target.info.shape[1])
            for start in range(0, len(ys), rows):
                chosen = ys[start : start + rows]
                pixels = (int(chosen[-1]) - int(chosen[0]) + size) * target.info.shape[1]
                pieces.append((target, Piece(0, xs, chosen, size), pixels))
    yield from group_pieces(pieces, min_valid, complexity)


def _rows_per_task(size: int, step: int, nx: int) -> int:
    """Rows of windows that one task takes: enough that neighbours share little, few enough for its memory."""
    most = (STRIP_PIXELS // nx - size) // step + 1
    return max(1, min(most, max(_LEAST_ROWS, TASK_PIXELS // (step * nx))))


def plan_boxes(
    targets: Sequence[Target], windows: Sequence[npt.NDArray[np.integer]], *, min_valid: float, complexity: bool
) -> Iterator[Task]:
    """Divide boxes of any sizes into tasks; within a mosaic by size, y0, x0, repeats once. See `plan_grids`."""
    pieces: list[tuple[Target, Piece, int]] = []
    none = np.empty(0, np.int64)
    for target, boxes in zip(targets, windows, strict=True):
        unique = np.unique(boxes.astype(np.int64), axis=0)
        unique = unique[np.lexsort((unique[:, 0], unique[:, 1], unique[:, 2]))]
        upto = np.cumsum(unique[:, 2] * unique[:, 3])
        cuts = np.flatnonzero(np.diff(upto // TASK_PIXELS)) + 1
        for part in np.split(unique, cuts):
            if len(part):
                pieces.append((target, Piece(0, none, none, 0, part), int((part[:, 2] * part[:, 3]).sum())))
    yield from group_pieces(pieces, min_valid, complexity)


def group_pieces(pieces: Iterable[tuple[Target, Piece, int]], min_valid: float, complexity: bool) -> Iterator[Task]:
    """Put small pieces together, so that thousands of small images don't make thousands of shards."""
    targets: list[Target] = []
    chosen: list[Piece] = []
    load = 0
    for target, piece, pixels in pieces:
        if chosen and load + pixels > TASK_PIXELS:
            yield Task(tuple(targets), tuple(chosen), min_valid, complexity)
            targets, chosen, load = [], [], 0
        if not targets or targets[-1] is not target:
            targets.append(target)
        chosen.append(replace(piece, target=len(targets) - 1))
        load += pixels
    if chosen:
        yield Task(tuple(targets), tuple(chosen), min_valid, complexity)
