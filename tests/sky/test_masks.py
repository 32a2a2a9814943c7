"""Masks beside mosaics."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_array_equal

from skysift.errors import RequestError
from skysift.sky import as_mask, find_mask, inspect_mosaic, open_mask


@pytest.fixture
def mosaic(make_fits, pixels):
    return make_fits(pixels)


def test_found_by_pattern(tmp_path, mosaic):
    (tmp_path / "masks").mkdir()
    for name in ("m_mask.fits", "n_mask.fits", "masks/m-island.fits.gz"):
        (tmp_path / name).touch()
    assert find_mask(mosaic, "{stem}_mask.fits") == str(tmp_path / "m_mask.fits")
    assert find_mask(mosaic, "*_mask.fits") == str(tmp_path / "m_mask.fits")
    assert find_mask(mosaic, "masks/{stem}*") == str(tmp_path / "masks" / "m-island.fits.gz")
    assert find_mask(mosaic, str(tmp_path / "n_mask.fits")) == str(tmp_path / "n_mask.fits")
    assert find_mask(f"file://{mosaic}", "{stem}_mask.fits") == str(tmp_path / "m_mask.fits")
    packed = tmp_path / "m.fits.gz"
    packed.touch()
    assert find_mask(str(packed), "{stem}_mask.fits") == str(tmp_path / "m_mask.fits")


def test_folders_may_hold_pattern_characters(tmp_path, mosaic):
    folder = tmp_path / "night[1]"
    folder.mkdir()
    shutil.copy(mosaic, folder / "m.fits")
    (folder / "m_mask.fits").touch()
    assert find_mask(str(folder / "m.fits"), "{stem}_mask.fits") == str(folder / "m_mask.fits")


def test_found_behind_urls():
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("memory://survey/a.fits", b"x")
    memory.pipe("memory://survey/a_mask.fits", b"x")
    assert find_mask("memory://survey/a.fits", "{stem}_mask.fits") == "memory:///survey/a_mask.fits"
    with pytest.raises(RequestError, match="has no mask"):
        find_mask("memory://survey/a.fits", "{stem}_x.fits")


def test_none_or_several(tmp_path, mosaic):
    with pytest.raises(RequestError, match=r"m\.fits has no mask m_mask\.fits beside it"):
        find_mask(mosaic, "{stem}_mask.fits")
    with pytest.raises(RequestError, match="has no mask"):
        find_mask(mosaic, "*.fits")  # not the mosaic itself
    for name in ("m_a.fits", "m_b.fits"):
        (tmp_path / name).touch()
    with pytest.raises(RequestError, match=r"has 2 masks that fit .*\{stem\}"):
        find_mask(mosaic, "m_*.fits")
    with pytest.raises(RequestError, match="is not understood"):
        find_mask(mosaic, "{nonsense}.fits")


@pytest.mark.parametrize("kind", ["u1", "i4", "f4", "4 axes", "fz"])
def test_read(tmp_path, mosaic, kind):
    truth = np.zeros((40, 56), bool)
    truth[3:9, 5:20] = True
    path = tmp_path / "m_mask.fits"
    if kind == "fz":
        fits.CompImageHDU(truth.astype("i2")).writeto(path)
    elif kind == "4 axes":
        fits.PrimaryHDU(truth.astype("f4")[None, None]).writeto(path)
    else:
        fits.PrimaryHDU((truth * 7).astype(kind)).writeto(path)
    with open_mask(str(path), inspect_mosaic(mosaic)) as mask:
        assert_array_equal(as_mask(mask.read(0, 40, 0, 56)), truth)
        assert not as_mask(mask.read(-5, 0, 0, 9)).any()


def test_another_shape(tmp_path, mosaic):
    fits.PrimaryHDU(np.zeros((4, 5), "u1")).writeto(tmp_path / "m_mask.fits")
    with pytest.raises(RequestError, match=r"m_mask\.fits has 5 x 4 pixels, but its mosaic .*m\.fits has 56 x 40"):
        open_mask(str(tmp_path / "m_mask.fits"), inspect_mosaic(mosaic))
