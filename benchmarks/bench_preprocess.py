"""`riggi2024` preprocessing of 256 px cutouts on one thread, against astropy image by image."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import torch
from astropy.stats import sigma_clip
from astropy.visualization import ZScaleInterval
from numpy.typing import NDArray
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


def main(write: bool = False, quick: bool = False) -> dict[str, Any]:
    """Print and return milliseconds an image and the ratio, interleaved and repeated."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    images = cutouts(8 if quick else 32, 256)
    holes = images.copy()
    holes[:, :40] = np.nan
    spec = Preprocess.preset("riggi2024", size=224)
    figures: dict[str, Any] = {"target_ratio": TARGET, "threads": 1, "images": len(images), "size": 256}
    try:
        for name, batch in (("whole", images), ("with NaN border", holes)):
            ours, theirs = [], []
            preprocess(batch, spec)
            for _ in range(3 if quick else 7):
                start = time.perf_counter()
                made = preprocess(batch, spec)
                middle = time.perf_counter()
                reference = [peer(image, 224) for image in batch] if name == "whole" else []
                ours.append((middle - start) / len(batch) * 1e3)
                theirs.append((time.perf_counter() - middle) / len(batch) * 1e3)
            entry = {"skysift_ms": statistics.median(ours)}
            if reference:
                ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
                worst = float((torch.stack(reference) - made).abs().max())
                entry |= {"astropy_ms": statistics.median(theirs), "ratio": ratio, "largest_difference": worst}
            figures[name] = entry
            print(f"{name:<16}", "  ".join(f"{k} {v:.3g}" for k, v in entry.items()))
    finally:
        torch.set_num_threads(threads)
    return figures


if __name__ == "__main__":
    main()
