"""A small survey in a store, cut out and ready for an encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from skysift.cutouts.stages import Cutouts
from skysift.store.artifact import Artifact
from skysift.store.store import Store


@pytest.fixture(scope="session")
def mosaic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of noise and a few sources, with a blank corner."""
    draw = np.random.default_rng(11)
    y, x = np.mgrid[:192, :256]
    image = draw.normal(0, 1e-4, (192, 256))
    for _ in range(40):
        cx, cy, width = draw.uniform(0, 256), draw.uniform(0, 192), draw.uniform(1.5, 5)
        image += draw.uniform(1e-3, 2e-2) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2))
    image[:20, :30] = np.nan
    header = fits.Header()
    header.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRPIX1=128.0, CRPIX2=96.0, CRVAL1=150.0, CRVAL2=2.0)
    header.update(CDELT1=-5e-4, CDELT2=5e-4, CUNIT1="deg", CUNIT2="deg", BUNIT="Jy/beam")
    header.update(BMAJ=1.5e-3, BMIN=1.5e-3, BPA=0.0)
    path = tmp_path_factory.mktemp("survey") / "field.fits"
    fits.writeto(path, image.astype(np.float32), header)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def cutouts(store: Store, mosaic: Path) -> Artifact:
    """154 windows of 32 pixels."""
    return store.run(Cutouts(mosaics=(str(mosaic),), window_size=(32,), overlap=0.5))
