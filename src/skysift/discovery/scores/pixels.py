"""One pass over the pixels for all scores that look at them, in blocks that survive a kill."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skysift.cutouts.pixels import PixelSource
from skysift.discovery.scores.base import Array, PixelScore, Raw
from skysift.imaging import Preprocess, preprocess

if TYPE_CHECKING:
    from skysift.store.context import Context

BLOCK_ROWS = 512


def read_pixels(
    pixels: PixelSource,
    scores: Mapping[str, PixelScore],
    image: Preprocess | None,
    context: Context,
    label: str,
) -> tuple[dict[str, Raw], Array | None]:
    """Measure the pixels of all cutouts on the engine.

    Parameters
    ----------
    pixels : PixelSource
        N cutouts.
    scores : mapping of str to PixelScore
        What is measured, by name.
    image : Preprocess, optional
        Makes a small image of each cutout, where one is wanted.
    context : Context
        Of the running stage.
    label : str
        What the progress line says; distinct within a stage.

    Returns
    -------
    scores : dict of str to ndarray (N,)
    images : ndarray (N, channels * side * side) float32, or None
    """
    starts = range(0, len(pixels), BLOCK_ROWS)
    blocks = [range(start, min(start + BLOCK_ROWS, len(pixels))) for start in starts]
    work = partial(measure_block, pixels, dict(scores), image)
    paths = context.sharded(work, blocks, label=label, suffix=".npz")
    parts = [_load(path) for path in paths]
    found = {name: np.concatenate([part[name] for part in parts]) for name in scores}
    images = None if image is None else np.concatenate([part["image"] for part in parts]).astype(np.float32)
    return found, images


def measure_block(
    pixels: PixelSource, scores: Mapping[str, PixelScore], image: Preprocess | None, rows: range, out: Path
) -> None:
    """Write the scores and small images of some rows, on a worker."""
    cutouts = list(pixels.read(rows))
    columns: dict[str, NDArray[np.floating]] = {name: score.of_pixels(cutouts) for name, score in scores.items()}
    if image is not None:
        columns["image"] = preprocess(cutouts, image).numpy().reshape(len(cutouts), -1).astype(np.float16)
    with out.open("wb") as stream:
        np.savez(stream, **columns)  # type: ignore[arg-type]


def _load(path: Path) -> dict[str, NDArray[np.floating]]:
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}
