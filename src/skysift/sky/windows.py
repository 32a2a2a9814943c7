"""Where cutouts lie: sliding windows over a mosaic, and boxes around sources.

Every function gives windows as an int32 array (N, 4) with the columns of `WINDOW_COLUMNS`: 0-based x and y of the
first pixel, width and height [pixel]. That is what `Mosaic.read_many` takes and what catalogues hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError

WINDOW_COLUMNS = ("x0", "y0", "width", "height")

Windows = npt.NDArray[np.int32]
Edge = Literal["align", "drop"]


def sliding_windows(
    shape: tuple[int, int],
    size: int | Sequence[int],
    overlap: float = 0.5,
    *,
    edge: Edge = "align",
    name: str = "the mosaic",
) -> Windows:
    """Square windows on a regular grid, all inside the mosaic.

    Parameters
    ----------
    shape : tuple of int
        (ny, nx) of the mosaic [pixel].
    size : int or sequence of int
        Side or sides of the windows [pixel]; the grids of several sizes follow one another in ascending order.
    overlap : float
        Fraction of the side shared by neighbours, in [0, 1): the step is `round(size * (1 - overlap))`, at least 1.
    edge : {"align", "drop"}
        Whether a last row and column are added flush with the far edges where the grid does not reach them.
    name : str
        Of the mosaic, for the error.

    Returns
    -------
    ndarray of int32, shape (N, 4)
        Ordered by size, y0, x0.

    Raises
    ------
    RequestError
        A window larger than the mosaic, a side below 1, or an overlap outside [0, 1).

    Examples
    --------
    >>> sliding_windows((4, 6), 4, 0.5).tolist()
    [[0, 0, 4, 4], [2, 0, 4, 4]]
    """
    sizes = sorted({int(s) for s in np.atleast_1d(np.asarray(size))})
    if not 0 <= overlap < 1:
        raise RequestError(f"An overlap of {overlap} is outside [0, 1); give a fraction such as 0.5.")
    if not sizes or sizes[0] < 1:
        raise RequestError(f"A window of {sizes[0] if sizes else 'no'} pixels is too small; give a size of at least 1.")
    ny, nx = shape
    if sizes[-1] > min(ny, nx):
        raise RequestError(
            f"A window of {sizes[-1]} pixels is larger than {name} ({nx} x {ny} pixels);"
            f" choose a window size of at most {min(ny, nx)}."
        )
    return np.concatenate([_grid(ny, nx, side, overlap, edge) for side in sizes])


def _grid(ny: int, nx: int, size: int, overlap: float, edge: Edge) -> Windows:
    # 1e-9: 128 * (1 - 0.9) must not fall below what the user means by it
    step = max(1, int(np.floor(size * (1 - overlap) + 0.5 + 1e-9)))
    x, y = (_starts(length, size, step, edge) for length in (nx, ny))
    grid = np.empty((len(y), len(x), 4), np.int32)
    grid[..., 0] = x
    grid[..., 1] = y[:, None]
    grid[..., 2:] = size
    return grid.reshape(-1, 4)


def _starts(length: int, size: int, step: int, edge: Edge) -> npt.NDArray[np.int64]:
    starts = np.arange(0, length - size + 1, step, dtype=np.int64)
    if edge == "align" and starts[-1] != length - size:
        starts = np.append(starts, length - size)
    return starts


def source_windows(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    width: npt.ArrayLike,
    height: npt.ArrayLike,
    *,
    zoom: float = 1.5,
    min_size: int = 32,
) -> Windows:
    """Square boxes centred on sources, `zoom` times the larger side of each bounding box.

    Riggi et al. 2024 cut their banner sets with 1.5, Cecconello et al. 2024 with 2.5. A box may hang over the
    mosaic's edges (`Mosaic.read` fills with NaN) and its pixels are centred on the source to half a pixel.

    Parameters
    ----------
    x, y : array_like of float, shape (N,)
        Centres of the sources [pixel, 0-based].
    width, height : array_like of float, shape (N,)
        Bounding boxes [pixel].
    zoom : float
        Side of the box over the larger side of the bounding box.
    min_size : int
        Least side of a box [pixel], for sources of a few pixels.

    Returns
    -------
    ndarray of int32, shape (N, 4)
        In the order of the sources.

    Raises
    ------
    RequestError
        `zoom` not above 0, `min_size` below 1, or a centre or size that is not a finite number.
    """
    if not zoom > 0 or min_size < 1:
        raise RequestError(f"A zoom of {zoom} with a least size of {min_size} pixels makes no box; both must be > 0.")
    cx, cy, w, h = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, np.float64)) for v in (x, y, width, height)))
    if not np.isfinite(np.stack([cx, cy, w, h])).all():
        raise RequestError("A source has no finite centre or size in pixels; drop sources off the map first.")
    side = np.maximum(np.ceil(zoom * np.maximum(w, h) - 1e-9), min_size).astype(np.int64)
    out = np.empty((len(cx), 4), np.int32)
    # pixel i covers [i - 0.5, i + 0.5]: the box [x0 - 0.5, x0 + side - 0.5] is centred on cx
    out[:, 0] = np.floor(cx - side / 2 + 1)
    out[:, 1] = np.floor(cy - side / 2 + 1)
    out[:, 2] = out[:, 3] = side
    return out


def inside(windows: Windows, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Which windows share at least one pixel with a mosaic.

    Parameters
    ----------
    windows : ndarray of int32, shape (N, 4)
        As `WINDOW_COLUMNS`.
    shape : tuple of int
        (ny, nx) [pixel].

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    x0, y0, w, h = windows.T
    return (x0 < shape[1]) & (y0 < shape[0]) & (x0 + w > 0) & (y0 + h > 0)
