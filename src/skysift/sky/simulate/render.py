"""From source models to noise-free, beam-convolved brightness on small stamps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import fft

from skysift.sky.simulate.beam import FWHM, Beam, Float64, covariance
from skysift.sky.simulate.cloud import Cloud
from skysift.sky.simulate.noise import Float32

BATCH = 4096  # stamps evaluated at once
SIGMAS = 5.0  # how far a beam is followed around an extended source


@dataclass(frozen=True)
class Stamp:
    """A piece of an image: `data` [Jy/beam] whose lower left pixel is (x0, y0), wholly inside the image."""

    data: Float32
    x0: int
    y0: int

    @property
    def window(self) -> tuple[slice, slice]:
        """The stamp's place in the image."""
        ny, nx = self.data.shape
        return slice(self.y0, self.y0 + ny), slice(self.x0, self.x0 + nx)


def clip(data: Float64, x0: int, y0: int, shape: tuple[int, int]) -> Stamp | None:
    """Cut a stamp to an image of shape (ny, nx); None where nothing is left."""
    left, low = max(0, -x0), max(0, -y0)
    right, high = min(data.shape[1], shape[1] - x0), min(data.shape[0], shape[0] - y0)
    if left >= right or low >= high:
        return None
    return Stamp(np.ascontiguousarray(data[low:high, left:right], dtype=np.float32), x0 + left, y0 + low)


def paint_cloud(cloud: Cloud, x: float, y: float, flux: float, beam: Beam) -> tuple[Float64, int, int]:
    """Convolve an extended source with the beam.

    Parameters
    ----------
    cloud : Cloud
        Model of unit flux.
    x, y : float
        Position of its centre [pixel, 0-based].
    flux : float
        Integrated flux density [Jy].
    beam : Beam
        The beam [pixel].

    Returns
    -------
    data : ndarray
        Brightness [Jy/beam]; its sum is `flux * beam.area` to numerical accuracy.
    x0, y0 : int
        Place of the lower left pixel; may lie outside the image.
    """
    every_x = np.concatenate([cloud.x, cloud.knots[:, 0] - cloud.knots[:, 3], cloud.knots[:, 0] + cloud.knots[:, 3]])
    every_y = np.concatenate([cloud.y, cloud.knots[:, 1] - cloud.knots[:, 3], cloud.knots[:, 1] + cloud.knots[:, 3]])
    pad = int(np.ceil(SIGMAS * np.hypot(beam.major / FWHM, cloud.blur))) + 2
    x0, y0 = int(np.floor(x + every_x.min())) - pad, int(np.floor(y + every_y.min())) - pad
    nx = int(np.ceil(x + every_x.max())) + pad + 1 - x0
    ny = int(np.ceil(y + every_y.max())) + pad + 1 - y0
    data = np.zeros((ny, nx))
    if cloud.x.size:
        grid = _splat(x + cloud.x - x0, y + cloud.y - y0, cloud.weight * (flux * beam.area), (ny, nx))
        full = (fft.next_fast_len(ny, real=True), fft.next_fast_len(nx, real=True))
        spectrum = fft.rfft2(grid, s=full) * beam.transfer(full, cloud.blur)
        data += fft.irfft2(spectrum, s=full)[:ny, :nx]
    for dx, dy, share, width in cloud.knots:
        _add_gaussian(data, x + dx - x0, y + dy - y0, share * flux, width, beam)
    return data, x0, y0


def compact_stamps(
    x: Float64,
    y: Float64,
    flux: Float64,
    shape: tuple[Float64, Float64, Float64],
    beam: Beam,
    *,
    floor: float,
) -> Iterator[tuple[int, Float64, int, int]]:
    """Evaluate elliptical Gaussian sources convolved with the beam, in batches of equal stamps.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Positions [pixel].
    flux : ndarray, shape (n,)
        Integrated flux densities [Jy].
    shape : tuple of ndarray, each of shape (n,)
        Intrinsic major and minor full widths at half maximum [pixel] and position angles [deg].
    beam : Beam
        The beam [pixel].
    floor : float
        Brightness [Jy/beam] below which a bright source's wings may be cut off.

    Yields
    ------
    index : int
        Which source.
    data : ndarray
        Brightness [Jy/beam].
    x0, y0 : int
        Place of the lower left pixel.
    """
    peak, xx, yy, xy = _convolved(flux, *covariance(*shape), beam)
    reach = np.sqrt(2 * np.log(np.maximum(peak / floor, 1.0))).clip(4.2, 8.0)
    half = np.ceil(reach * np.sqrt(np.maximum(xx, yy))).astype(int) + 1
    x0, y0 = np.rint(x).astype(int) - half, np.rint(y).astype(int) - half
    for size in np.unique(half):
        members = np.flatnonzero(half == size)
        step = max(1, min(BATCH, 2**22 // int(2 * size + 1) ** 2))
        for start in range(0, members.size, step):
            batch = members[start : start + step]
            offsets = np.arange(2 * size + 1)
            dx = (offsets + (x0 - x)[batch][:, None])[:, None, :]
            dy = (offsets + (y0 - y)[batch][:, None])[:, :, None]
            a, b, c = (v[batch][:, None, None] for v in (xx, yy, xy))
            exponent = (b * dx**2 + a * dy**2 - 2 * c * dx * dy) / (a * b - c**2)
            stamps = peak[batch][:, None, None] * np.exp(-0.5 * exponent)
            for i, stamp in zip(batch, stamps, strict=True):
                yield int(i), stamp, int(x0[i]), int(y0[i])


def peak_brightness(flux: Float64, shape: tuple[Float64, Float64, Float64], beam: Beam) -> Float64:
    """Peak [Jy/beam] of elliptical Gaussian sources of these fluxes [Jy] and intrinsic shapes, after the beam."""
    return _convolved(flux, *covariance(*shape), beam)[0]


def _convolved(
    flux: Float64, xx: Float64, yy: Float64, xy: Float64, beam: Beam
) -> tuple[Float64, Float64, Float64, Float64]:
    bxx, byy, bxy = beam.covariance
    xx, yy, xy = xx + bxx, yy + byy, xy + bxy
    return flux * np.sqrt((bxx * byy - bxy**2) / (xx * yy - xy**2)), xx, yy, xy


def _splat(x: Float64, y: Float64, weight: Float64, shape: tuple[int, int]) -> Float64:
    """Share each point's flux between its four nearest pixels (cloud in cell)."""
    ix, iy = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    fx, fy = x - ix, y - iy
    flat = iy * shape[1] + ix
    size = shape[0] * shape[1]
    total = np.bincount(flat, weight * (1 - fx) * (1 - fy), minlength=size)
    total += np.bincount(flat + 1, weight * fx * (1 - fy), minlength=size)
    total += np.bincount(flat + shape[1], weight * (1 - fx) * fy, minlength=size)
    total += np.bincount(flat + shape[1] + 1, weight * fx * fy, minlength=size)
    return np.asarray(total.reshape(shape), dtype=np.float64)


def _add_gaussian(data: Float64, x: float, y: float, flux: float, width: float, beam: Beam) -> None:
    """Add one circular Gaussian of a full width at half maximum [pixel], convolved with the beam."""
    bxx, byy, bxy = beam.covariance
    own = (width / FWHM) ** 2
    xx, yy, xy = bxx + own, byy + own, bxy
    half = 7 * np.sqrt(max(xx, yy))
    left, right = max(0, int(x - half)), min(data.shape[1], int(x + half) + 2)
    low, high = max(0, int(y - half)), min(data.shape[0], int(y + half) + 2)
    dx, dy = np.arange(left, right)[None, :] - x, np.arange(low, high)[:, None] - y
    det = xx * yy - xy**2
    exponent = (yy * dx**2 + xx * dy**2 - 2 * xy * dx * dy) / det
    data[low:high, left:right] += flux * np.sqrt((bxx * byy - bxy**2) / det) * np.exp(-0.5 * exponent)
