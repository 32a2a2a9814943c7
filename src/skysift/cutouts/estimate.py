"""What a `Cutouts` request takes, told from the headers of its mosaics."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from skysift.cutouts.images import inspect_images
from skysift.cutouts.tasks import STRIP_PIXELS

if TYPE_CHECKING:
    from skysift.cutouts.stages import Cutouts

__all__ = ["estimate_cutouts"]

_BYTES_PER_ROW = 75.0
_BYTES_PER_PIXEL = 40.0
_BASE_BYTES = 3e8
_PIXELS_PER_SECOND = 5e7
_WINDOWS_PER_SECOND = 6e4
_COMPLEXITY_PIXELS_PER_SECOND = 1.2e7


def estimate_cutouts(paths: Sequence[str], stage: Cutouts, sources: Sequence[str] = ()) -> dict[str, float]:
    """Estimate rows, disk, memory and time of a request; no pixel is read.

    Parameters
    ----------
    paths : sequence of str
        The mosaics.
    stage : Cutouts
        The request.
    sources : sequence of str
        The files of its list of sources.

    Returns
    -------
    dict
        `rows` (windows before `min_valid`; for source-centred boxes, all sources), `rows_at_most` (each source in
        each mosaic), `disk_bytes`, `memory_bytes` (of one worker) and `seconds` (on one core).

    Raises
    ------
    RequestError
        If a mosaic can't be read or is smaller than a window.
    """
    from skysift.errors import SkysiftWarning
    from skysift.sky.windows import sliding_windows

    rows, pixels, complexity_pixels, strip = 0.0, 0.0, 0.0, 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkysiftWarning)
        infos = inspect_images([path for path in paths if path not in sources], stage)
    for info in infos:
        area = float(np.prod(info.shape))
        if stage.sources is not None:
            continue
        for size in stage.window_size:
            count = len(sliding_windows(info.shape, size, stage.overlap, edge=stage.edge, name=info.path))
            rows += count
            pixels += area
            complexity_pixels += count * float(size) ** 2
            strip = max(strip, min(area, max(float(STRIP_PIXELS), float(size) * info.shape[1])))
    if stage.sources is not None:
        from skysift.sky.sources import read_sources

        rows = float(sum(read_sources(path, stage.source_columns or None).num_rows for path in sources))
        pixels = complexity_pixels = rows * float(max(stage.min_size, 64)) ** 2
        strip = float(STRIP_PIXELS) / 4
    seconds = 1 + pixels / _PIXELS_PER_SECOND + rows / _WINDOWS_PER_SECOND
    if stage.complexity:
        seconds += complexity_pixels / _COMPLEXITY_PIXELS_PER_SECOND
    return {
        "rows": rows,
        "rows_at_most": rows if stage.sources is None else rows * len(infos),
        "disk_bytes": _BYTES_PER_ROW * rows,
        "memory_bytes": _BASE_BYTES + _BYTES_PER_PIXEL * strip / 4 + 900.0 * rows,
        "seconds": seconds,
    }
