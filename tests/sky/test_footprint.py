"""Footprints: areas against geometry, membership against the WCS."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from mocpy import MOC
from numpy.testing import assert_array_equal

from skysift.errors import RequestError, SkysiftError
from skysift.sky import (
    cutout_footprint,
    footprint_area,
    healpix29,
    healpix_counts,
    inspect_mosaic,
    mosaic_footprint,
    open_mosaic,
    pixel_to_icrs,
    save_footprint,
    sliding_windows,
    union_footprint,
)
from skysift.sky.footprint import _rectangles


def large(make_fits, data, **cards):
    ny, nx = data.shape
    return make_fits(data, CRPIX1=nx / 2 + 0.5, CRPIX2=ny / 2 + 0.5, **cards)


@pytest.fixture
def half_blank():
    data = np.ones((300, 400), np.float32)
    data[:, :200] = np.nan
    return data


@pytest.mark.parametrize("centre", [(150.0, 2.2), (0.0, -45.0), (10.0, 89.99)])
def test_area_of_a_mosaic(make_fits, centre):
    info = inspect_mosaic(large(make_fits, np.ones((300, 400), "f4"), CRVAL1=centre[0], CRVAL2=centre[1]))
    moc = mosaic_footprint(info)
    assert footprint_area(moc) == pytest.approx(0.15 * 0.2, rel=0.02)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-100, 500, 2000), rng.uniform(-100, 400, 2000)
    ra, dec = pixel_to_icrs(info, x, y)
    got = moc.contains_lonlat(ra * u.deg, dec * u.deg)
    inside = (x > -0.5) & (x < 399.5) & (y > -0.5) & (y < 299.5)
    near = (np.abs(np.abs(x - 199.5) - 200) < 4) | (np.abs(np.abs(y - 149.5) - 150) < 4)  # an order's cell
    assert_array_equal(got[~near], inside[~near])
    assert got[inside].all()


def test_area_of_the_valid_part(make_fits, half_blank):
    path = large(make_fits, half_blank)
    info = inspect_mosaic(path)
    with open_mosaic(info) as mosaic:
        moc = mosaic_footprint(info, mosaic)
    assert footprint_area(moc) == pytest.approx(0.15 * 0.1, rel=0.03)
    ra, dec = pixel_to_icrs(info, [100, 300], [150, 150])
    assert moc.contains_lonlat(ra * u.deg, dec * u.deg).tolist() == [False, True]


def test_a_whole_galactic_strip(tmp_path):
    """20 by 3 degrees in CAR: the curved sides are followed, across longitude 0."""
    header = fits.Header({
        "CTYPE1": "GLON-CAR", "CTYPE2": "GLAT-CAR", "CRVAL1": 0.0, "CRVAL2": 0.0, "CRPIX1": 1000.5, "CRPIX2": 150.5,
        "CDELT1": -0.01, "CDELT2": 0.01,
    })  # fmt: skip
    fits.PrimaryHDU(np.zeros((300, 2000), "f4"), header).writeto(tmp_path / "g.fits")
    moc = mosaic_footprint(inspect_mosaic(str(tmp_path / "g.fits")))
    area = np.radians(20) * 2 * np.sin(np.radians(1.5)) * (180 / np.pi) ** 2
    assert footprint_area(moc) == pytest.approx(area, rel=0.02)


def test_cutouts(make_fits, half_blank):
    info = inspect_mosaic(large(make_fits, half_blank))
    windows = sliding_windows(info.shape, 64)
    right = windows[windows[:, 0] >= 200]
    width = 400 - right[:, 0].min()
    assert footprint_area(cutout_footprint(info, right)) == pytest.approx(300 * width * 0.0005**2, rel=0.06)
    one = cutout_footprint(info, np.array([[350, 250, 100, 100]], np.int32))  # half over two edges
    assert footprint_area(one) == pytest.approx(50 * 50 * 0.0005**2, rel=0.15)
    whole = union_footprint([cutout_footprint(info, windows), one])
    assert footprint_area(whole) == pytest.approx(0.03, rel=0.03)
    assert footprint_area(cutout_footprint(info, windows[:0])) == 0
    assert footprint_area(cutout_footprint(info, np.array([[500, 0, 9, 9]]))) == 0


def test_without_positions(make_fits, half_blank):
    info = inspect_mosaic(large(make_fits, half_blank), positions="ignore")
    assert footprint_area(mosaic_footprint(info)) == 0
    assert footprint_area(union_footprint([])) == 0
    with pytest.raises(RequestError, match="no order 30"):
        mosaic_footprint(info, order=30)


def test_saved_and_read_back(tmp_path, make_fits, half_blank):
    moc = mosaic_footprint(inspect_mosaic(large(make_fits, half_blank)), order=12)
    path = save_footprint(moc, tmp_path / "moc.fits")
    first = path.read_bytes()
    assert MOC.from_fits(path) == moc
    assert MOC.from_fits(path).max_order == 12
    assert save_footprint(moc, path).read_bytes() == first
    with pytest.raises(SkysiftError, match="cannot be written"):
        save_footprint(moc, tmp_path / "none" / "moc.fits")


def test_healpix_counts():
    rng = np.random.default_rng(0)
    index = healpix29(rng.uniform(0, 360, 1000), rng.uniform(-90, 90, 1000))
    index[:10] = -1
    cells, counts = healpix_counts(index, 3)
    assert counts.sum() == 990
    assert_array_equal(cells, np.unique(index[10:] >> 52))
    assert counts[0] == (index[10:] >> 52 == cells[0]).sum()
    assert healpix_counts([], 5)[0].size == 0
    with pytest.raises(RequestError, match="no order 30"):
        healpix_counts(index, 30)


def test_rectangles_cover_a_mask_once():
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = rng.random((9, 12)) < 0.6
        covered = np.zeros(mask.shape, int)
        for y0, y1, x0, x1 in _rectangles(mask):
            covered[y0:y1, x0:x1] += 1
        assert_array_equal(covered, mask)
    assert _rectangles(np.ones((3, 4), bool)) == [(0, 3, 0, 4)]


@pytest.mark.realdata
def test_the_border_of_a_real_map_is_left_out(data_dir):
    """Aegean's map is 40 % NaN."""
    info = inspect_mosaic(str(data_dir / "aegean" / "1904-66_SIN.fits"))
    with open_mosaic(info) as mosaic:
        valid = np.isfinite(mosaic.read(0, 192, 0, 192)).mean()
        ratio = footprint_area(mosaic_footprint(info, mosaic)) / footprint_area(mosaic_footprint(info))
    assert ratio == pytest.approx(valid, abs=0.05)
