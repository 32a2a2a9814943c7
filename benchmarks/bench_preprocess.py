"""`riggi2024` preprocessing of 256 px cutouts on one thread, against astropy image by image.

Both sides run in one thread, so processor time is compared: what else runs on the machine disturbs it least.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from astropy.stats import sigma_clip
from astropy.visualization import ZScaleInterval
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch.nn.functional import interpolate

from skysift.imaging import Preprocess, preprocess

TARGET = 10.0


def cutouts(number: int, size: int) -> NDArray[np.float32]:
    """Draw noise with sources of all brightnesses."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size]
    images = rng.normal(0, 1e-4, (number, size, size))
    for image in images:
        for _ in range(12):
            a, b = rng.uniform(0, size, 2)
            image += 1e-3 * rng.pareto(1.0) * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 9)
    return images.astype(np.float32)


def peer(image: NDArray[np.float32], size: int) -> torch.Tensor:
    """Do the same with astropy and torch's resize."""
    _, low, high = sigma_clip(
        image, sigma_lower=5, sigma_upper=30, maxiters=5, masked=False, return_bounds=True, copy=False
    )
    limits = [(low, high)] + [ZScaleInterval(contrast=c).get_limits(image) for c in (0.25, 0.4)]
    clipped = np.stack([np.clip(image, a, b) for a, b in limits])
    low, high = (f(clipped, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    channels = torch.from_numpy(((clipped - low) / (high - low)).astype(np.float32))
    return interpolate(channels[None], (size, size), mode="bilinear", antialias=True)[0]


def main(quick: bool = False) -> dict[str, Any]:
    """Print and return milliseconds of processor time an image and their ratio, interleaved and repeated."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    images = cutouts(32, 256)
    holes = images.copy()
    holes[:, :40] = np.nan
    spec = Preprocess.preset("riggi2024", size=224)
    figures: dict[str, Any] = {"target_ratio": TARGET, "threads": 1, "images": len(images), "size": 256}
    try:
        with threadpool_limits(1):
            made = preprocess(images, spec)
            worst = max(float((peer(image, 224) - ours).abs().max()) for image, ours in zip(images, made, strict=True))
            times = [
                (
                    seconds(lambda: preprocess(images, spec)),
                    seconds(lambda: preprocess(holes, spec)),
                    seconds(lambda: [peer(image, 224) for image in images]),
                )
                for _ in range(5 if quick else 15)
            ]
    finally:
        torch.set_num_threads(threads)
    whole, with_border, astropy = (1e3 / len(images) * statistics.median(column) for column in zip(*times, strict=True))
    figures |= {
        "skysift_ms": whole,
        "skysift_with_nan_border_ms": with_border,
        "astropy_ms": astropy,
        "ratio": statistics.median(theirs / ours for ours, _, theirs in times),
        "largest_difference": worst,
    }
    print("  ".join(f"{name} {value:.3g}" for name, value in figures.items()))
    return figures


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time of a call [s]."""
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
