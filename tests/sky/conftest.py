"""Mosaics of every header form, made on the spot."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

NY, NX = 40, 56

TAN = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.2, "CRPIX1": 28.0, "CRPIX2": 20.5,
    "CDELT1": -0.0005, "CDELT2": 0.0005, "CUNIT1": "deg", "CUNIT2": "deg", "RADESYS": "ICRS",
}  # fmt: skip
RADIO = {"BUNIT": "Jy/beam", "BMAJ": 0.0015, "BMIN": 0.001, "BPA": 30.0}


@pytest.fixture
def pixels() -> np.ndarray:
    """Noise with a blanked corner, one infinite and one zero pixel."""
    data = np.random.default_rng(5).normal(size=(NY, NX)).astype(np.float32)
    data[:6, :9] = np.nan
    data[20, 20] = np.inf
    data[21, 21] = 0
    return data


@pytest.fixture
def expected(pixels: np.ndarray) -> np.ndarray:
    """What a reader gives for `pixels`."""
    return np.where(np.isinf(pixels), np.nan, pixels)


@pytest.fixture
def make_fits(tmp_path: Path) -> Callable[..., str]:
    """Write an image and give its path."""

    def make(data: np.ndarray | None, *, name: str = "m.fits", drop: tuple[str, ...] = (), **extra: Any) -> str:
        cards = fits.Header({k: v for k, v in {**TAN, **RADIO, **extra}.items() if k not in drop and k != "HISTORY"})
        for line in extra.get("HISTORY", ()):
            cards["HISTORY"] = line
        path = tmp_path / name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fits.PrimaryHDU(data, cards).writeto(path, overwrite=True)
        return str(path)

    return make
