"""Islands of emission above the noise, and how many components and peaks they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError
from skysift.sky.windows import Windows

Image = npt.NDArray[np.floating]
MAD_TO_RMS = 1.4826


@dataclass(frozen=True)
class Islands:
    """Connected pixels above a threshold.

    Attributes
    ----------
    labels : ndarray of int32, shape (ny, nx)
        Number of the island of each pixel, from 1; 0 outside.
    boxes : ndarray of int32, shape (N, 4)
        Bounding boxes: x0, y0, width, height [pixel].
    pixels : ndarray of int64, shape (N,)
        Pixels of each island.
    peak : ndarray of float64, shape (N,)
        Brightest pixel, in the image's unit, background taken off.
    peak_x, peak_y : ndarray of int64, shape (N,)
        Where that is [pixel].
    total : ndarray of float64, shape (N,)
        Sum of the pixels, background taken off; over the beam's area in pixels it is the flux.
    snr : ndarray of float64, shape (N,)
        Highest ratio of a pixel to the local rms.
    """

    labels: npt.NDArray[np.int32]
    boxes: Windows
    pixels: npt.NDArray[np.int64]
    peak: npt.NDArray[np.float64]
    peak_x: npt.NDArray[np.int64]
    peak_y: npt.NDArray[np.int64]
    total: npt.NDArray[np.float64]
    snr: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.boxes)


def noise(image: Image) -> tuple[float, float]:
    """Median and rms (1.4826 times the median absolute deviation) of the finite pixels.

    Returns
    -------
    median, rms : float
        In the image's unit; NaN where there is no finite pixel.
    """
    finite = image[np.isfinite(image)]
    if not finite.size:
        return float("nan"), float("nan")
    median = float(np.median(finite))
    return median, MAD_TO_RMS * float(np.median(np.abs(finite - median)))


def find_islands(
    image: Image,
    rms: Image | float | None = None,
    *,
    threshold: float = 5.0,
    background: Image | float | None = None,
    seed: float | None = None,
    n_pixels: int = 5,
    connectivity: Literal[4, 8] = 8,
) -> Islands:
    """Find islands with photutils' segmentation.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Brightness; NaN where there is no data.
    rms : ndarray or float, optional
        Local noise, in the image's unit; the image's own by default.
    threshold : float
        Least brightness of a pixel over the background [rms].
    background : ndarray or float, optional
        The image's median by default.
    seed : float, optional
        Least brightness of an island's brightest pixel [rms], as the upper one of two thresholds (PyBDSF: 5 and 3).
    n_pixels : int
        Least size of an island [pixel].
    connectivity : {4, 8}
        Whether diagonal neighbours are connected.

    Returns
    -------
    Islands
        In order of their first pixel, row by row. None above a noise of 0 or NaN.

    Raises
    ------
    RequestError
        Not a 2-dimensional image, or a threshold that is not above 0.
    """
    if image.ndim != 2:
        raise RequestError(f"Islands are looked for in an image (ny, nx), not in an array of shape {image.shape}.")
    if not threshold > 0 or n_pixels < 1:
        raise RequestError(f"Islands of {n_pixels} pixels above {threshold} rms are not defined; both must be above 0.")
    snr, brightness = _signal_to_noise(image, rms, background)
    labels = _label(snr, threshold, n_pixels, connectivity)
    if seed is not None and seed > threshold and labels.max():
        top = _maxima(snr, labels)
        keep = np.concatenate([[False], top >= seed])
        labels = (np.cumsum(keep) * keep)[labels].astype(np.int32)
    return _measure(labels, snr, brightness)


def _signal_to_noise(
    image: Image, rms: Image | float | None, background: Image | float | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Brightness over the noise, -inf where either is unknown; and brightness over the background."""
    median, own = noise(image)
    brightness = np.asarray(image, np.float64) - (median if background is None else background)
    level = np.broadcast_to(np.asarray(own if rms is None else rms, np.float64), image.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        snr = np.where(level > 0, brightness / level, np.nan)
    return np.where(np.isfinite(snr), snr, -np.inf), brightness


def _label(snr: npt.NDArray[np.float64], threshold: float, n_pixels: int, connectivity: int) -> npt.NDArray[np.int32]:
    from photutils.segmentation import detect_sources

    above = snr > threshold
    if not above.any():  # photutils warns
        return np.zeros(snr.shape, np.int32)
    # positional: the parameter was renamed from npixels to n_pixels in photutils 3
    sizes_ok = detect_sources(above.astype(np.float32), 0.5, 1, connectivity=connectivity)
    labels = np.asarray(sizes_ok.data, np.int32)
    keep = np.bincount(labels.ravel()) >= n_pixels
    keep[0] = False
    return np.asarray((np.cumsum(keep) * keep)[labels], np.int32)


def _maxima(values: npt.NDArray[np.float64], labels: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    from scipy import ndimage

    return np.asarray(ndimage.maximum(values, labels, np.arange(1, labels.max() + 1)), np.float64)


def _measure(
    labels: npt.NDArray[np.int32], snr: npt.NDArray[np.float64], brightness: npt.NDArray[np.float64]
) -> Islands:
    from scipy import ndimage

    index = np.arange(1, int(labels.max(initial=0)) + 1)
    if not len(index):
        none, zero = np.empty(0), np.empty(0, np.int64)
        return Islands(labels, np.empty((0, 4), np.int32), zero, none, zero, zero, none, none)
    boxes = [(x.start, y.start, x.stop - x.start, y.stop - y.start) for y, x in ndimage.find_objects(labels)]
    where = np.array(ndimage.maximum_position(brightness, labels, index), np.int64)
    return Islands(
        labels=labels,
        boxes=np.array(boxes, np.int32),
        pixels=np.bincount(labels.ravel(), minlength=len(index) + 1)[1:].astype(np.int64),
        peak=brightness[where[:, 0], where[:, 1]],
        peak_x=where[:, 1],
        peak_y=where[:, 0],
        total=np.asarray(ndimage.sum_labels(brightness, labels, index), np.float64),
        snr=_maxima(snr, labels),
    )


def count_components_peaks(
    image: Image,
    rms: Image | float | None = None,
    *,
    threshold: float = 4.0,
    prominence: float = 2.0,
    background: Image | float | None = None,
    n_pixels: int = 5,
) -> tuple[int, int]:
    """Count components C and peaks P, the names of the classes 1C-1P to 3C-3P.

    Wu et al. 2019 (MNRAS 482, 1211): components are radio islands above the threshold, peaks the local maxima within
    them. A maximum counts where it rises `prominence` over the highest saddle that leads to a higher one, so that
    noise on a plateau does not; the highest of an island always counts.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Brightness around one source; NaN where there is no data.
    rms : ndarray or float, optional
        Local noise; the image's own by default.
    threshold : float
        Of an island's pixels over the background [rms].
    prominence : float
        Least rise of a further maximum [rms].
    background : ndarray or float, optional
        The image's median by default.
    n_pixels : int
        Least size of an island [pixel].

    Returns
    -------
    components, peaks : int
    """
    islands = find_islands(image, rms, threshold=threshold, background=background, n_pixels=n_pixels)
    snr, _ = _signal_to_noise(image, rms, background)
    peaks = 0
    for number, (x, y, w, h) in enumerate(islands.boxes.tolist(), 1):
        part = np.s_[y : y + h, x : x + w]
        inside = islands.labels[part] == number
        peaks += _prominent_maxima(np.where(inside, snr[part], -np.inf), prominence)
    return len(islands), peaks


def _prominent_maxima(values: npt.NDArray[np.float64], prominence: float) -> int:
    """Count maxima that rise enough: pixels are added from the highest down, and hills join at their saddles."""
    padded = np.pad(values, 1, constant_values=-np.inf)
    flat = padded.ravel()
    order = np.argsort(-flat, kind="stable")[: int(np.isfinite(flat).sum())].tolist()
    width = padded.shape[1]
    steps = (-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1)
    hill: dict[int, int] = {}  # pixel -> a pixel of its hill nearer to the hill's top

    def top(pixel: int) -> int:
        while hill[pixel] != pixel:
            hill[pixel] = hill[hill[pixel]]
            pixel = hill[pixel]
        return pixel

    count = 0
    for pixel in order:
        tops = {top(pixel + step) for step in steps if pixel + step in hill}
        if not tops:
            hill[pixel] = pixel
            continue
        highest = max(tops, key=lambda t: (flat[t], -t))
        hill[pixel] = highest
        for other in tops - {highest}:
            count += bool(flat[other] - flat[pixel] >= prominence)
            hill[other] = highest
    return count + len({top(pixel) for pixel in order})
