"""The brightest emission of a window: by it windows are known to show the same object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from skysift.cutouts.pixels import PixelSource
from skysift.sky.islands import find_islands

Rows = NDArray[np.int64]
Float = NDArray[np.float64]
THRESHOLD = 5.0
BLOCK = 256


@dataclass(frozen=True)
class Emission:
    """The brightest island of each of N windows.

    Attributes
    ----------
    counts : ndarray (N,) int64
        Pixels of the island; 0 without one.
    pixels : ndarray (sum of counts, 2) int32
        x, y in the mosaic [pixel].
    peaks : ndarray (N, 2) int32
        x, y of the brightest pixel.
    peak, snr : ndarray (N,) float64
        Its brightness over the background [unit of the mosaic], and over the noise; NaN without an island.
    """

    counts: Rows
    pixels: NDArray[np.int32]
    peaks: NDArray[np.int32]
    peak: Float
    snr: Float

    @classmethod
    def concat(cls, parts: Sequence[Emission]) -> Self:
        """Put the emission of several groups of windows one after another."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as found:
            return cls(*(found[field.name] for field in fields(cls)))

    def save(self, path: Path) -> None:
        """Write an `.npz`."""
        with path.open("wb") as stream:
            np.savez(stream, **{field.name: getattr(self, field.name) for field in fields(self)})


def measure_emission(pixels: PixelSource, rows: Sequence[int] | Rows, threshold: float = THRESHOLD) -> Emission:
    """Find the brightest island of some windows.

    Parameters
    ----------
    pixels : PixelSource
        Cutouts.
    rows : sequence of int
        Which.
    threshold : float
        Of an island over the window's median [its rms].
    """
    chosen = np.asarray(rows, np.int64)
    corners = pixels.windows[chosen, :2]
    parts = [np.empty((0, 2), np.int32)]
    counts = np.zeros(len(chosen), np.int64)
    peaks = np.zeros((len(chosen), 2), np.int32)
    peak, snr = np.full(len(chosen), np.nan), np.full(len(chosen), np.nan)
    for start in range(0, len(chosen), BLOCK):
        for i, image in enumerate(pixels.read(chosen[start : start + BLOCK]), start):
            islands = find_islands(image, threshold=threshold)
            if not len(islands):
                continue
            best = int(islands.peak.argmax())
            y, x = np.nonzero(islands.labels == best + 1)
            parts.append((np.stack([x, y], axis=1) + corners[i]).astype(np.int32))
            counts[i] = len(x)
            peaks[i] = (islands.peak_x[best], islands.peak_y[best]) + corners[i]
            peak[i], snr[i] = islands.peak[best], islands.snr[best]
    return Emission(counts, np.concatenate(parts), peaks, peak, snr)
