"""Positions in every coordinate system and header form against astropy's SkyCoord, and WCSs that are no use."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import FK4, FK5, Galactic, SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from astropy_healpix import HEALPix
from numpy.testing import assert_allclose, assert_array_equal

from skysift.errors import SkysiftWarning
from skysift.sky import healpix29, icrs_to_pixel, inspect_mosaic, open_mosaic, pixel_to_icrs

X, Y = np.array([0.0, 10.25, 27.0, 55.0]), np.array([0.0, 39.0, 19.5, 12.0])
MATRIX = ("CDELT1", "CDELT2")
COS, SIN = np.cos(0.3), np.sin(0.3)

FORMS = {
    "cdelt": {},
    "crota": {"CROTA2": 17.0},
    "pc": {"PC1_1": COS, "PC1_2": -SIN, "PC2_1": SIN, "PC2_2": COS},
    "aips-pc": {"PC001001": COS, "PC001002": -SIN, "PC002001": SIN, "PC002002": COS},
    "cd": {"CD1_1": -5e-4 * COS, "CD1_2": -5e-4 * SIN, "CD2_1": -5e-4 * SIN, "CD2_2": 5e-4 * COS},
    "fk5": {"RADESYS": "FK5", "EQUINOX": 2000.0},
    "fk5-1975": {"RADESYS": "FK5", "EQUINOX": 1975.0},
    "fk4": {"RADESYS": "FK4", "EQUINOX": 1950.0},
    "epoch": {"RADESYS": None, "EPOCH": 1950.0},
    "sin": {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "PV2_1": 0.01, "PV2_2": 0.2},
    "ncp": {"CTYPE1": "RA---NCP", "CTYPE2": "DEC--NCP", "CRVAL2": 40.0},
    "ait": {"CTYPE1": "RA---AIT", "CTYPE2": "DEC--AIT", "CRVAL2": 0.0},
    "galactic-car": {"CTYPE1": "GLON-CAR", "CTYPE2": "GLAT-CAR", "CRVAL1": 332.5, "CRVAL2": 0.0, "RADESYS": None},
    "galactic-tan": {"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN", "CRVAL1": 10.0, "CRVAL2": -60.0, "RADESYS": None},
    "arcsec": {
        "CUNIT1": "arcsec", "CUNIT2": "arcsec", "CRVAL1": 540000.0, "CRVAL2": 7920.0, "CDELT1": -1.8, "CDELT2": 1.8,
    },
    "zero-crossing": {"CRVAL1": 0.001},
    "pole": {"CRVAL2": 89.995},
}  # fmt: skip


@pytest.fixture(params=FORMS)
def form(request, make_fits, pixels):
    cards = FORMS[request.param]
    drop = tuple(k for k, v in cards.items() if v is None) + (MATRIX if request.param == "cd" else ())
    return make_fits(pixels, drop=drop, **{k: v for k, v in cards.items() if v is not None})


def oracle(path: str, x: np.ndarray, y: np.ndarray) -> SkyCoord:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return WCS(fits.getheader(path)).celestial.pixel_to_world(x, y).icrs


def test_positions_match_astropy(form):
    info = inspect_mosaic(form)
    ra, dec = pixel_to_icrs(info, X, Y)
    truth = oracle(form, X, Y)
    assert truth.separation(SkyCoord(ra, dec, unit="deg")).arcsec.max() < 1e-5
    assert (ra >= 0).all()
    assert (ra < 360).all()
    assert info.pixel_scale == pytest.approx(1.8, rel=1e-6)
    assert_allclose(icrs_to_pixel(info, ra, dec), (X, Y), atol=1e-6)


def test_axes_swapped_with_a_rotation(tmp_path):
    """DEC first: the array is transposed and the matrix with it."""
    header = fits.Header({
        "CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN", "CRVAL1": 2.0, "CRVAL2": 150.0, "CRPIX1": 4.0, "CRPIX2": 11.0,
        "CD1_1": 5e-4 * COS, "CD1_2": 5e-4 * SIN, "CD2_1": 4e-4 * SIN, "CD2_2": -4e-4 * COS, "RADESYS": "ICRS",
    })  # fmt: skip
    data = np.zeros((20, 9), "f4")
    data[13, 6] = 1  # axis 1 (DEC) pixel 6, axis 2 (RA) pixel 13
    fits.PrimaryHDU(data, header).writeto(tmp_path / "m.fits")
    info = inspect_mosaic(str(tmp_path / "m.fits"))
    assert info.shape == (9, 20)
    with open_mosaic(info) as mosaic:
        y, x = np.argwhere(mosaic.read(0, 9, 0, 20) == 1)[0]
    assert (x, y) == (13, 6)
    truth = WCS(header).pixel_to_world(6, 13)
    assert_allclose(pixel_to_icrs(info, x, y), (truth.ra.deg, truth.dec.deg), atol=1e-9)


@pytest.mark.parametrize(
    ("cards", "drop", "reason"),
    [
        ({}, ("CTYPE1", "CTYPE2"), "no celestial WCS"),
        ({"CDELT1": 0.0}, (), r"matrix .* is singular: CDELT1 = 0"),
        ({"CD1_1": 1e-4, "CD1_2": 1e-4, "CD2_1": 1e-4, "CD2_2": 1e-4}, MATRIX, "is singular: it gives different"),
        ({f"CD{i}_{j}": 0.0 for i in (1, 2) for j in (1, 2)}, MATRIX, "is singular: CD1_1, .*, CD2_2 are all 0"),
        ({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CRPIX1": 900000.0}, (), "centre falls off the sky"),
        ({"CTYPE1": "RA---AIT", "CTYPE2": "DEC--AIT", "CRPIX2": 1e6}, (), "centre falls off the sky"),
        ({"CTYPE1": "RA---NON", "CTYPE2": "DEC--NON"}, (), "invalid|off the sky|no celestial"),
        ({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--SIN"}, (), "invalid"),
        ({"CRVAL2": 95.0}, (), "invalid|off the sky"),
    ],
)
def test_unusable_wcs_leaves_positions_empty(make_fits, pixels, expected, cards, drop, reason):
    path = make_fits(pixels, drop=drop, **cards)
    with pytest.warns(SkysiftWarning, match=f"m.fits: .*({reason}).*; its pixels are used, but the positions"):
        info = inspect_mosaic(path)
    assert info.wcs_header is None
    assert info.wcs is None
    assert all(np.isnan(v).all() for v in pixel_to_icrs(info, X, Y))
    assert all(np.isnan(v).all() for v in icrs_to_pixel(info, [1.0, 2.0], [3.0, 4.0]))
    with open_mosaic(info) as mosaic:
        assert_array_equal(mosaic.read(0, 40, 0, 56), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert inspect_mosaic(path, positions="ignore").wcs is None


def test_positions_ignored_on_request(make_fits, pixels):
    info = inspect_mosaic(make_fits(pixels), positions="ignore")
    assert info.wcs_header is None
    assert info.pixel_scale == pytest.approx(1.8)
    assert info.bmaj == 0.0015
    assert info.beam_area_pixels == pytest.approx(6.7986, rel=1e-4)


def test_pixels_of_the_far_side_are_nan(make_fits, pixels):
    for projection in ("TAN", "SIN"):
        info = inspect_mosaic(make_fits(pixels, CTYPE1=f"RA---{projection}", CTYPE2=f"DEC--{projection}"))
        x, y = icrs_to_pixel(info, [150.0, 330.0, np.nan, 240.5], [2.2, -2.2, 1.0, 0.0])
        assert_allclose((x[0], y[0]), (27.0, 19.5), atol=1e-9)
        assert np.isnan(x[1:]).all()
        assert np.isnan(y[1:]).all()
    x, y = icrs_to_pixel(info, 150.0, 2.2)
    assert x.shape == ()
    assert float(x) == pytest.approx(27.0)


def test_plate_carree_far_from_its_reference(make_fits, pixels):
    """A Galactic map around l = 0 whose reference is l = 0 too: sources at l = 359.99 are at its right."""
    info = inspect_mosaic(
        make_fits(pixels, drop=("RADESYS",), CTYPE1="GLON-CAR", CTYPE2="GLAT-CAR", CRVAL1=0.0, CRVAL2=0.0)
    )
    position = SkyCoord([359.995, 0.005], [0.0, 0.0], unit="deg", frame="galactic").icrs
    x, _ = icrs_to_pixel(info, position.ra.deg, position.dec.deg)
    assert_allclose(x, [37.0, 17.0], atol=1e-6)


@pytest.mark.parametrize("frame", [FK4(equinox="B1950"), FK5(equinox="J1975"), Galactic()])
def test_frames_are_converted_not_relabelled(make_fits, pixels, frame):
    names = ("GLON", "GLAT") if isinstance(frame, Galactic) else ("RA--", "DEC-")
    extra = {} if isinstance(frame, Galactic) else {"RADESYS": frame.name.upper(), "EQUINOX": frame.equinox.value}
    if extra:
        extra["EQUINOX"] = 1950.0 if frame.name == "fk4" else 1975.0
    info = inspect_mosaic(
        make_fits(
            pixels, drop=() if extra else ("RADESYS",), CTYPE1=f"{names[0]}-TAN", CTYPE2=f"{names[1]}-TAN", **extra
        )
    )
    reference = SkyCoord(150.0, 2.2, unit="deg", frame=frame).icrs
    ra, dec = pixel_to_icrs(info, 27.0, 19.5)
    assert SkyCoord(ra, dec, unit="deg").separation(reference).arcsec < 1e-4
    assert abs(float(ra) - 150.0) > 0.1


def test_healpix_matches_astropy_healpix():
    rng = np.random.default_rng(2)
    ra, dec = rng.uniform(0, 360, 500), np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))
    got = healpix29(ra, dec)
    assert got.dtype == np.int64
    for order in (0, 5, 12):
        cells = HEALPix(nside=2**order, order="nested").lonlat_to_healpix(ra * u.deg, dec * u.deg)
        assert_array_equal(got >> (2 * (29 - order)), cells)
    assert_array_equal(healpix29([np.nan, 1.0], [0.0, np.nan]), [-1, -1])
    lon, lat = HEALPix(nside=2**29, order="nested").healpix_to_lonlat(got)
    assert SkyCoord(lon, lat).separation(SkyCoord(ra, dec, unit="deg")).arcsec.max() < 1e-3


def test_headers_with_junk_in_them(tmp_path):
    """Tabs, letters outside ASCII and a broken card, as real headers have."""
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CDELT1": -1e-3, "CDELT2": 1e-3})
    header["OBSERVER"] = "somebody"
    fits.PrimaryHDU(np.ones((5, 6), "f4"), header).writeto(tmp_path / "m.fits")
    content = (tmp_path / "m.fits").read_bytes()
    (tmp_path / "m.fits").write_bytes(content.replace(b"'somebody'", b"'some\tb\xf6y'"))
    info = inspect_mosaic(str(tmp_path / "m.fits"))
    assert info.wcs_header is not None
    assert info.shape == (5, 6)


@pytest.mark.realdata
class TestRealHeaders:
    """The observations of SKYSIFT_DATA."""

    @pytest.mark.parametrize(
        ("name", "shape", "scale", "centre"),
        [
            ("aegean/1904-66_SIN.fits", (192, 192), 240.0, True),
            ("aegean/1904-66_AIT.fits", (192, 192), 240.0, True),
            ("ami/AMI_SWIFT_554620.fits", (512, 512), 5.0, True),
            ("scorpio/ScorpioS17Field.fits", (1000, 1000), 1.5, True),
            ("scorpio/ScorpioExtendedSourceField.fits", (1000, 1000), 1.5, True),
        ],
    )
    def test_pixels_and_positions(self, data_dir, name, shape, scale, centre):
        path = str(data_dir / name)
        info = inspect_mosaic(path)
        assert (info.shape, info.planes, info.bunit) == (shape, 1, "JY/BEAM")
        assert info.pixel_scale == pytest.approx(scale, rel=1e-6)
        y, x = (np.random.default_rng(0).uniform(0, n - 1, 50) for n in shape)
        ra, dec = pixel_to_icrs(info, x, y)
        truth = oracle(path, x, y)
        assert truth.separation(SkyCoord(ra, dec, unit="deg")).arcsec.max() < 1e-5
        assert_allclose(icrs_to_pixel(info, ra, dec), (x, y), atol=1e-4)
        with open_mosaic(info) as mosaic, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert_array_equal(mosaic.read(0, shape[0], 0, shape[1]), np.squeeze(fits.getdata(path)))

    def test_what_is_known_of_each(self, data_dir):
        ami = inspect_mosaic(str(data_dir / "ami" / "AMI_SWIFT_554620.fits"))
        assert ami.frequency == pytest.approx(16.88e9, rel=1e-3)
        assert ami.beam_area_pixels == pytest.approx(66.19, abs=0.01)
        scorpio = str(data_dir / "scorpio" / "ScorpioS17Field.fits")
        assert inspect_mosaic(scorpio).bmaj * 3600 == pytest.approx(6.5)
        ignored = inspect_mosaic(scorpio, positions="ignore")
        assert ignored.wcs is None
        assert ignored.pixel_scale == pytest.approx(1.5)
        assert ignored.frequency == pytest.approx(1.447e9, rel=1e-3)
        with pytest.warns(SkysiftWarning, match="3 planes"):
            cube = inspect_mosaic(str(data_dir / "aegean" / "1904-66_SIN_3d.fits"))
        plane = fits.getdata(data_dir / "aegean" / "1904-66_SIN_3d.fits")
        with open_mosaic(cube) as mosaic:
            for k in range(3):
                assert_array_equal(mosaic.read(0, 192, 0, 192, plane=k), plane[k])

    def test_every_first_field(self, data_dir):
        """Opened without a warning; the centre is where the file's name says."""
        paths = sorted((data_dir / "first").glob("*.fits.gz"))
        assert len(paths) == 86
        for path in paths:
            info = inspect_mosaic(str(path))
            assert (info.shape, info.bmaj, info.bunit) == ((300, 300), None, "JY/BEAM")
            assert info.pixel_scale == pytest.approx(1.8)
            ra, dec = pixel_to_icrs(info, 149.5, 149.5)
            named = SkyCoord(float(path.name[4:11]), float(path.name[11:19]), unit="deg")
            assert SkyCoord(ra, dec, unit="deg").separation(named).arcsec < 5
        with open_mosaic(info) as mosaic, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert_array_equal(mosaic.read(0, 300, 0, 300), fits.getdata(path))
