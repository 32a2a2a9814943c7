"""How deep a mosaic is where: pointings, primary beams, blank borders and the seams between tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from skysift.sky.simulate.beam import Beam
from skysift.sky.simulate.config import SurveyConfig
from skysift.sky.simulate.noise import Float32

OVERLAP = 1.3  # width of the primary beam in pointing spacings
SEAM = 1.0  # local rms by which the zero level changes within two beams where mosaicking shows


@dataclass(frozen=True)
class Coverage:
    """Depth of a mosaic.

    Parameters
    ----------
    rms : ndarray of float32, shape (n, n)
        Noise [Jy/beam], NaN where there is no data.
    offset : ndarray of float32, shape (n, n)
        Zero level [Jy/beam] that mosaicking left behind.
    primary_beam : float
        Full width at half power of the primary beam [pixel].
    """

    rms: Float32
    offset: Float32
    primary_beam: float


def layout(config: SurveyConfig) -> tuple[np.ndarray, float]:
    """Place the pointings along one side of a mosaic.

    Returns
    -------
    centres : ndarray, shape (pointings,)
        Positions along x or y [pixel].
    width : float
        Full width at half power of the primary beam [pixel].
    """
    half = config.size * (0.5 - config.border)
    per_width = math.sqrt(math.log(1 / config.cutoff) / (4 * math.log(2)))  # cutoff radius / full width
    if config.primary_beam is None:
        width = half / ((config.pointings - 1) / (2 * OVERLAP) + per_width)
    else:
        width = config.primary_beam * 60 / config.pixel_scale
    outermost = max(half - per_width * width, 0.0) if config.pointings > 1 else 0.0
    centres = (config.size - 1) / 2 + np.linspace(-outermost, outermost, config.pointings)
    return centres if config.pointings > 1 else np.array([(config.size - 1) / 2]), width


def coverage(config: SurveyConfig, beam: Beam, rng: np.random.Generator) -> Coverage:
    """Co-add primary beams into a noise map and draw the seams between tiles.

    Each pointing is weighted by its squared response, and cut off where that falls below `config.cutoff`; the noise of
    the co-add is the inverse root of the weights' sum. Pointings differ in depth by some per cent, and tiles (the
    Voronoi cells of the pointing grid) in zero level and gain of the noise.
    """
    n = config.size
    centres, width = layout(config)
    weight = np.zeros((n, n), dtype=np.float32)
    reach = width * math.sqrt(math.log(1 / config.cutoff) / (4 * math.log(2)))
    pixels = np.arange(n, dtype=np.float32)
    depth = rng.uniform(0.9, 1.1, (centres.size, centres.size)).astype(np.float32)
    scatter = rng.normal(0, 0.01 * width, (centres.size, centres.size, 2))
    for j, cy in enumerate(centres):
        for i, cx in enumerate(centres):
            x, y = float(cx + scatter[j, i, 0]), float(cy + scatter[j, i, 1])
            low, high = max(0, int(y - reach)), min(n, int(y + reach) + 2)
            left, right = max(0, int(x - reach)), min(n, int(x + reach) + 2)
            dx2, dy2 = (pixels[left:right] - np.float32(x)) ** 2, (pixels[low:high] - np.float32(y)) ** 2
            gx, gy = (np.exp(-8 * math.log(2) * d / np.float32(width**2)) for d in (dx2, dy2))
            inside = dy2[:, None] + dx2[None, :] <= reach**2
            weight[low:high, left:right] += depth[j, i] * gy[:, None] * gx[None, :] * inside
    with np.errstate(divide="ignore"):
        rms = config.rms * np.sqrt(weight.max()) / np.sqrt(weight)
    rms[weight <= 0] = np.nan
    rms = rms.astype(np.float32)
    return Coverage(rms, _seams(config, beam, centres, rms, rng), width)


def _seams(config: SurveyConfig, beam: Beam, centres: np.ndarray, rms: Float32, rng: np.random.Generator) -> Float32:
    """Draw zero-level steps between tiles, narrow ridges along their edges; scale `rms` tile by tile in place."""
    n, tiles = config.size, centres.size
    offset = np.zeros((n, n), dtype=np.float32)
    steps = rng.standard_normal((tiles, tiles))
    gains = np.exp(rng.normal(0, 0.05, (tiles, tiles)))
    if config.seams == 0 or tiles == 1:
        return offset
    edges = np.rint((centres[1:] + centres[:-1]) / 2 + rng.normal(0, 0.01 * n, tiles - 1)).astype(int)
    bounds = [0, *(int(e) for e in edges), n]
    for j in range(tiles):
        for i in range(tiles):
            tile = np.s_[bounds[j] : bounds[j + 1], bounds[i] : bounds[i + 1]]
            offset[tile] = config.rms * config.seams * steps[j, i]
            rms[tile] *= np.float32(gains[j, i])
    for axis in (0, 1):
        for edge in edges:
            add_ridge(offset, int(edge), axis, 4 * config.seams * config.rms, beam, rng)
    return offset


def seam_mask(offset: Float32, rms: Float32, beam: Beam) -> npt.NDArray[np.bool_]:
    """Mark the pixels around which the zero level changes by more than the local rms: steps and ridges of mosaicking.

    Less than the noise of a pixel can be seen still, as a seam is long.

    Parameters
    ----------
    offset : ndarray of float32, shape (n, n)
        Zero level [Jy/beam].
    rms : ndarray of float32, shape (n, n)
        Noise [Jy/beam], NaN where there is no data.
    beam : Beam
        The zero level is compared within a square of two beams [pixel].

    Returns
    -------
    ndarray of bool, shape (n, n)
        False where there is no data.
    """
    side = 2 * round(beam.major) + 1
    change = ndimage.maximum_filter(offset, side) - ndimage.minimum_filter(offset, side)
    with np.errstate(invalid="ignore"):
        return np.asarray(change > SEAM * rms)


def add_ridge(image: Float32, edge: int, axis: int, level: float, beam: Beam, rng: np.random.Generator) -> None:
    """Add a narrow uneven ridge of some level [Jy/beam] along row (axis 0) or column (axis 1) `edge` of an image."""
    half = max(2, round(1.5 * beam.major))
    low, high = max(0, edge - half), min(image.shape[axis], edge + half + 1)
    across = np.exp(-0.5 * ((np.arange(low, high) - edge) / (0.3 * beam.major)) ** 2)
    along = ndimage.gaussian_filter1d(rng.standard_normal(image.shape[1 - axis]), 3 * beam.major, mode="wrap")
    along *= level / max(float(along.std()), 1e-30)
    if axis == 0:
        image[low:high] += (across[:, None] * along[None, :]).astype(np.float32)
    else:
        image[:, low:high] += (along[:, None] * across[None, :]).astype(np.float32)
