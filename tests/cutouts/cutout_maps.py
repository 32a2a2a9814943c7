"""Small mosaics for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits


def header(ny: int, nx: int, *, ra: float = 150.0, dec: float = -30.0, scale: float = 2.0) -> fits.Header:
    head = fits.Header()
    head["CTYPE1"], head["CTYPE2"] = "RA---SIN", "DEC--SIN"
    head["CRVAL1"], head["CRVAL2"] = ra, dec
    head["CRPIX1"], head["CRPIX2"] = (nx + 1) / 2, (ny + 1) / 2
    head["CDELT1"], head["CDELT2"] = -scale / 3600, scale / 3600
    head["BUNIT"], head["BMAJ"], head["BMIN"], head["BPA"] = "JY/BEAM", 6 / 3600, 6 / 3600, 0.0
    return head


def write_map(path: Path, pixels: np.ndarray, **geometry: float) -> str:
    fits.writeto(path, pixels, header(*pixels.shape[-2:], **geometry), overwrite=True)
    return str(path)


def noise(seed: int, shape: tuple[int, int] = (300, 300)) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
