"""Images that resemble radio cutouts, whole and with holes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

KINDS = ("whole", "border", "holes", "sparse", "constant", "one pixel")


def radio_image(kind: str, seed: int, size: int = 64) -> NDArray[np.float32]:
    """Draw noise and a few sources; then take pixels away as `kind` says."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    y, x = np.mgrid[:size, :size]
    image = rng.normal(0, 1e-4, (size, size))
    for _ in range(5):
        a, b = rng.uniform(0, size, 2)
        image += rng.exponential(3e-3) * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 8)
    if kind == "border":
        image[: size // 3] = np.nan
        image[:, -3:] = np.inf
    if kind == "holes":
        image[rng.random(image.shape) < 0.6] = np.nan
    if kind == "sparse":
        image[rng.random(image.shape) < 0.997] = np.nan
    if kind == "constant":
        image[:] = 3.0
    if kind == "one pixel":
        image[:] = np.nan
        image[3, 5] = 2.0
    return image.astype(np.float32)


@pytest.fixture(params=KINDS)
def image(request: pytest.FixtureRequest) -> NDArray[np.float32]:
    """One image of each kind."""
    return radio_image(request.param, 1)
