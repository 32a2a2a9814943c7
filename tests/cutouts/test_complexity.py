"""Coarse-grained complexity: structure raises it, noise and units do not."""

from __future__ import annotations

import gzip

import numpy as np
from scipy.ndimage import gaussian_filter

from skysift.cutouts.coarse_graining import complexity
from skysift.cutouts.statistics import measure_images


def measured(images: np.ndarray) -> np.ndarray:
    found = measure_images(images)
    return complexity(images, found.median, found.rms)


def scenes() -> np.ndarray:
    rng = np.random.default_rng(2)
    images = rng.standard_normal((3, 128, 128)).astype(np.float32)
    images[1, 60:64, 60:64] += 80
    y, x = np.mgrid[:128, :128]
    for _ in range(25):
        cx, cy, s = rng.uniform(10, 118, 3)
        images[2] += 15 * np.exp(-((x - cx) ** 2 / 20 + (y - cy) ** 2 / (2 + s))).astype(np.float32)
    return images


def test_order_of_noise_source_and_structure() -> None:
    noise, source, structure = measured(scenes())
    assert noise < source < structure


def test_neither_unit_nor_offset_matters() -> None:
    images = scenes()
    np.testing.assert_array_equal(measured(images), measured(images * np.float32(2.0**-13)))
    shifted = measured(images + np.float32(64))
    assert np.abs(shifted / measured(images) - 1).max() < 0.03


def test_definition() -> None:
    image = scenes()[2, :126, :125]
    found = measure_images(image[None])
    z = (image.astype(np.float64) - found.median[0]) / float(found.rms[0])
    z = gaussian_filter(z, 2.0, mode="nearest")
    coarse = np.array([[z[y : y + 4, x : x + 4].mean() for x in range(0, 125, 4)] for y in range(0, 126, 4)])
    expected = len(gzip.compress(np.clip(np.round(coarse), 0, 255).astype(np.uint8).tobytes(), 9, mtime=0))
    assert complexity([image], found.median, found.rms)[0] == expected


def test_missing_data_adds_nothing() -> None:
    images = scenes()
    images[2, 40:80] = np.nan
    images[0] = np.nan
    values = measured(images)
    assert np.isnan(values[0])
    assert values[2] < measured(scenes())[2]
    constant = np.full((1, 64, 64), 3.5, np.float32)
    blank = len(gzip.compress(bytes(256), 9, mtime=0))
    assert measured(constant)[0] == blank
