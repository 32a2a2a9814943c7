"""FITS mosaics in every form against astropy, and everything that can be wrong with one."""

from __future__ import annotations

import gzip
import multiprocessing
import os
import pickle
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skysift.errors import RequestError, SkysiftError, SkysiftWarning
from skysift.sky import inspect_mosaic, open_mosaic, sliding_windows

FREQ = {"CTYPE": "FREQ", "CRVAL": 1.4e9, "CDELT": 1e6, "CRPIX": 1.0, "CUNIT": "Hz"}
STOKES = {"CTYPE": "STOKES", "CRVAL": 1.0, "CDELT": 1.0, "CRPIX": 1.0}
RA = {"CTYPE": "RA---TAN", "CRVAL": 150.0, "CDELT": -0.0005, "CRPIX": 28.0}
DEC = {"CTYPE": "DEC--TAN", "CRVAL": 2.2, "CDELT": 0.0005, "CRPIX": 20.5}


def axes_header(*axes: dict) -> dict:
    return {f"{key}{i}": value for i, axis in enumerate(axes, 1) for key, value in axis.items()} | {"RADESYS": "ICRS"}


def read_all(path: str, **options: object) -> np.ndarray:
    with open_mosaic(path, **options) as mosaic:
        return mosaic.read(0, mosaic.shape[0], 0, mosaic.shape[1])


@pytest.mark.parametrize("dtype", [">f4", ">f8"])
def test_plain_float_is_read_as_stored(make_fits, pixels, expected, dtype):
    path = make_fits(pixels.astype(dtype))
    got = read_all(path)
    assert got.dtype == np.dtype("=f4")
    assert_array_equal(got, expected)


@pytest.mark.parametrize(("dtype", "blank"), [("i2", -32768), ("i4", None), ("u1", None), ("i8", None)])
def test_scaled_integers_match_astropy(tmp_path, dtype, blank):
    raw = np.random.default_rng(1).integers(0, 200, (30, 31)).astype(dtype)
    hdu = fits.PrimaryHDU(raw)
    path = tmp_path / "scaled.fits"
    hdu.writeto(path)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[0].header["BSCALE"] = 0.25
        hdus[0].header["BZERO"] = -7.5
        if blank is not None:
            hdus[0].header["BLANK"] = int(raw[3, 3])
    with pytest.warns(SkysiftWarning, match="no celestial WCS"):
        got = read_all(str(path))
    with fits.open(path) as hdus:
        assert_allclose(got, hdus[0].data, rtol=1e-6)
    assert np.isnan(got[3, 3]) == (blank is not None)


def test_unsigned_16_bit(tmp_path):
    raw = np.array([[0, 40000], [65535, 1]], np.uint16)
    fits.PrimaryHDU(raw).writeto(tmp_path / "u.fits")
    with pytest.warns(SkysiftWarning):
        assert_array_equal(read_all(str(tmp_path / "u.fits")), raw.astype(np.float32))


@pytest.mark.parametrize("order", ["xyfs", "xysf", "fxys", "sfxy", "fyx", "yx", "xfys", "sxfy", "xyf", "yxs"])
def test_axes_in_any_order(tmp_path, order):
    """Each order of the axes gives the plane, frequency and positions of the plain two-axis image."""
    sizes = {"x": 9, "y": 7, "f": 3, "s": 2}
    kinds = {"x": RA, "y": DEC, "f": FREQ, "s": STOKES | {"CRVAL": 2.0, "CDELT": -1.0}}  # Stokes Q, then I
    rng = np.random.default_rng(3)
    cube = rng.normal(size=(2, 3, 7, 9)).astype(np.float32)  # s f y x
    cube = cube[: 2 if "s" in order else 1, : 3 if "f" in order else 1]
    numpy_order = [axis for axis in reversed(order)]
    keep = [axis for axis in "sfyx" if axis in order]
    flat = cube.reshape([sizes[a] for a in keep])
    data = flat.transpose([keep.index(a) for a in numpy_order])
    path = str(tmp_path / "cube.fits")
    fits.PrimaryHDU(data, fits.Header(axes_header(*(kinds[a] for a in order)))).writeto(path)

    many = "f" in order or "s" in order
    with pytest.warns(SkysiftWarning, match="Stokes I|the first") if many else warnings.catch_warnings():
        info = inspect_mosaic(path)
    assert info.shape == (7, 9)
    assert info.planes == (3 if "f" in order else 1) * (2 if "s" in order else 1)
    stokes_i = 1 if "s" in order else 0
    with open_mosaic(info) as mosaic:
        assert_array_equal(mosaic.read(0, 7, 0, 9), cube[stokes_i, 0])
        assert_array_equal(mosaic.read(2, 5, 1, 9), cube[stokes_i, 0, 2:5, 1:9])
    if "f" in order:
        assert info.frequency == pytest.approx(1.4e9)
    plain = WCS(fits.Header(axes_header(RA, DEC)))
    assert_allclose(info.wcs.pixel_to_world_values(3.0, 5.0), plain.pixel_to_world_values(3.0, 5.0), atol=1e-10)

    others = [a for a in numpy_order if a in "fs"]
    for plane in range(info.planes):
        index = dict(zip(others, np.unravel_index(plane, [sizes[a] for a in others]), strict=True)) if others else {}
        chosen = inspect_mosaic(path, plane=plane)
        assert chosen.plane == plane
        with open_mosaic(chosen) as mosaic:
            assert_array_equal(mosaic.read(0, 7, 0, 9), cube[index.get("s", 0), index.get("f", 0)])
        if "f" in order:
            assert chosen.frequency == pytest.approx(1.4e9 + 1e6 * index["f"])


def test_compressed_cube(tmp_path):
    cube = np.random.default_rng(2).integers(-99, 99, (2, 3, 20, 30)).astype(np.int32)
    header = fits.Header(axes_header(RA, DEC, FREQ, STOKES))
    fits.CompImageHDU(cube, header, tile_shape=(1, 1, 4, 7)).writeto(tmp_path / "c.fits.fz")
    info = inspect_mosaic(str(tmp_path / "c.fits.fz"), plane=4)
    assert (info.format, info.hdu, info.planes) == ("fits.fz", 1, 6)
    with open_mosaic(info) as mosaic:
        assert_array_equal(mosaic.read(3, 19, 5, 30), cube[1, 1, 3:19, 5:30])
        assert_array_equal(mosaic.read(0, 20, 0, 30, plane=2), cube[0, 2])


@pytest.mark.parametrize("tile", [None, (16, 16), (7, 56)])
def test_fz_equals_astropy(tmp_path, pixels, tile):
    """Also with the quantisation that the compression brings: the same numbers as astropy's."""
    pixels[np.isinf(pixels)] = 1
    path = tmp_path / "m.fits.fz"
    fits.CompImageHDU(pixels, tile_shape=tile).writeto(path)
    truth = fits.getdata(path)
    with pytest.warns(SkysiftWarning, match="no celestial WCS"):
        mosaic = open_mosaic(str(path))
    for y0, y1, x0, x1 in [(0, 40, 0, 56), (5, 6, 0, 56), (10, 33, 41, 52)]:
        assert_array_equal(mosaic.read(y0, y1, x0, x1), truth[y0:y1, x0:x1])
    mosaic.release()
    windows = sliding_windows(mosaic.shape, 16, 0.5)
    for window, (x, y, w, h) in zip(mosaic.read_many(windows), windows.tolist(), strict=True):
        assert_array_equal(window, truth[y : y + h, x : x + w])
    mosaic.close()


@pytest.mark.parametrize("hdu", [None, 2])
def test_image_in_any_hdu(tmp_path, pixels, expected, hdu):
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])])
    path = tmp_path / "many.fits"
    fits.HDUList([fits.PrimaryHDU(), table, fits.ImageHDU(pixels), fits.ImageHDU(pixels + 1)]).writeto(path)
    with pytest.warns(SkysiftWarning, match="no celestial"):
        info = inspect_mosaic(str(path), hdu=hdu)
    assert info.hdu == 2
    with open_mosaic(info) as mosaic:
        assert_array_equal(mosaic.read(0, 40, 0, 56), expected)
    for wrong in (0, 1, 7):
        with pytest.raises(RequestError, match=rf"no image in HDU {wrong}; choose 2 \(image\) or 3 \(image\)"):
            inspect_mosaic(str(path), hdu=wrong)


def test_gzip_is_expanded_once_and_mapped(make_fits, pixels, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("SKYSIFT_CACHE", str(tmp_path / "cache"))
    plain = Path(make_fits(pixels))
    packed = tmp_path / "m.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert_array_equal(read_all(str(packed)), expected)
    files = sorted(p for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock")
    assert [p.stat().st_size for p in files] == [plain.stat().st_size]
    marked = files[0].stat().st_ino
    assert_array_equal(read_all(str(packed)), expected)
    assert [p.stat().st_ino for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock"] == [marked]
    # a changed source is another entry
    packed.write_bytes(gzip.compress(Path(make_fits(pixels + 1)).read_bytes()))
    assert_array_equal(read_all(str(packed)), expected + np.float32(1))


@pytest.mark.parametrize("kind", ["fits", "gz", "fz", "cube"])
def test_through_fsspec(make_fits, pixels, expected, tmp_path, kind):
    import fsspec

    memory = fsspec.filesystem("memory")
    data = pixels if kind != "cube" else np.stack([pixels, pixels * 2], axis=-1)
    if kind == "cube":
        path = str(tmp_path / "cube.fits")
        fits.PrimaryHDU(data, fits.Header(axes_header(FREQ, RA, DEC))).writeto(path)
    else:
        path = make_fits(data)
    content = Path(path).read_bytes()
    if kind == "gz":
        content = gzip.compress(content)
    if kind == "fz":
        fits.CompImageHDU(pixels, quantize_level=0, compression_type="GZIP_2").writeto(tmp_path / "m.fz")
        content = (tmp_path / "m.fz").read_bytes()
    url = f"memory://sky/{kind}.fits"
    memory.pipe(url, content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkysiftWarning)
        info = inspect_mosaic(url)
        mosaic = open_mosaic(info)
    assert info.path == url
    assert_array_equal(mosaic.read(0, 40, 0, 56), expected)
    assert_array_equal(pickle.loads(pickle.dumps(mosaic)).read(-1, 9, 50, 60)[1:, :6], expected[:9, 50:])
    mosaic.close()
    with open_mosaic(inspect_mosaic(f"file://{path}", plane=0)) as mosaic:
        assert_array_equal(mosaic.read(0, 40, 0, 56), expected)
    with pytest.raises(RequestError, match="There is no file memory://sky/none"):
        inspect_mosaic("memory://sky/none.fits")
    with pytest.raises(RequestError, match="nosuch://a"):
        inspect_mosaic("nosuch://a/b.fits")


def test_edges_are_padded_with_nan(make_fits, pixels, expected):
    with open_mosaic(make_fits(pixels)) as mosaic:
        got = mosaic.read(-3, 43, -5, 60)
        assert_array_equal(got[3:43, 5:61], expected)
        assert np.isnan(got).sum() == got.size - np.isfinite(expected).sum()
        for box in [(50, 60, 0, 9), (-9, 0, 3, 5), (0, 5, 56, 58), (0, 5, -4, 0)]:
            assert np.isnan(mosaic.read(*box)).all()
        assert mosaic.read(3, 3, 0, 5).shape == (0, 5)
        with pytest.raises(RequestError, match="ends before it starts"):
            mosaic.read(5, 4, 0, 1)
        windows = np.array([[-4, -4, 8, 8], [10, 10, 8, 8], [52, 36, 8, 8], [70, 0, 8, 8]])
        for window, (x, y, w, h) in zip(mosaic.read_many(windows), windows.tolist(), strict=True):
            assert_array_equal(window, mosaic.read(y, y + h, x, x + w))
        assert mosaic.read_many(np.empty((0, 4), int)).size == 0
        with pytest.raises(RequestError, match="one size"):
            mosaic.read_many([[0, 0, 4, 4], [0, 0, 5, 5]])


@pytest.fixture(scope="module")
def striped(tmp_path_factory):
    """A mosaic with NaN rows, plain and compressed without loss, and its pixels behind a border of NaN."""
    data = np.random.default_rng(9).integers(-50, 50, (37, 45)).astype("f4")
    data[10:12] = np.nan
    folder = tmp_path_factory.mktemp("striped")
    header = fits.Header(axes_header(RA, DEC))
    fits.PrimaryHDU(data, header).writeto(folder / "m.fits")
    fits.CompImageHDU(data, header, compression_type="GZIP_1", quantize_level=0, tile_shape=(5, 8)).writeto(
        folder / "m.fz"
    )
    return [open_mosaic(str(folder / name)) for name in ("m.fits", "m.fz")], np.pad(data, 60, constant_values=np.nan)


@given(st.integers(-50, 80), st.integers(-50, 80), st.integers(1, 15), st.integers(1, 15))
@settings(deadline=None, max_examples=150)
def test_any_section_equals_the_padded_array(striped, y, x, height, width):
    mosaics, padded = striped
    want = padded[y + 60 : y + 60 + height, x + 60 : x + 60 + width]
    for mosaic in mosaics:
        assert_array_equal(mosaic.read(y, y + height, x, x + width), want)
        assert_array_equal(mosaic.read_many([[x, y, width, height]] * 2)[1], want)


def test_exact_zeros_are_no_data_on_request(make_fits, pixels):
    path = make_fits(pixels)
    assert read_all(path)[21, 21] == 0
    assert np.isnan(read_all(path, zero_is_nan=True)[21, 21])
    with open_mosaic(path, zero_is_nan=True) as mosaic:
        assert np.isnan(pickle.loads(pickle.dumps(mosaic)).read_many([[20, 20, 4, 4]])[0, 1, 1])


def test_strips_make_the_whole(make_fits, pixels, expected):
    with open_mosaic(make_fits(pixels)) as mosaic:
        parts = list(mosaic.strips(7))
        assert [p[:2] for p in parts] == [(0, 7), (7, 14), (14, 21), (21, 28), (28, 35), (35, 40)]
        assert_array_equal(np.concatenate([p[2] for p in parts]), expected)
        assert [p[:2] for p in mosaic.strips(16, overlap=8)] == [(0, 16), (8, 24), (16, 32), (24, 40)]
        with pytest.raises(RequestError):
            list(mosaic.strips(4, overlap=4))


def test_float64_beyond_float32_is_no_data(tmp_path):
    fits.PrimaryHDU(np.array([[1e300, 1.0], [-1e300, np.nan]])).writeto(tmp_path / "big.fits")
    with pytest.warns(SkysiftWarning):
        assert_array_equal(read_all(str(tmp_path / "big.fits")), [[np.nan, 1], [np.nan, np.nan]])


# ---------------------------------------------------------------- unit, beam, frequency


def test_unit_is_taken_from_the_header_or_from_the_user(make_fits, pixels):
    assert inspect_mosaic(make_fits(pixels)).bunit == "Jy/beam"
    assert inspect_mosaic(make_fits(pixels), bunit="K").bunit == "Jy/beam"
    bare = make_fits(pixels, drop=("BUNIT",))
    assert inspect_mosaic(bare).bunit is None
    assert inspect_mosaic(bare, bunit="Jy/beam").bunit == "Jy/beam"


def test_beam(make_fits, pixels):
    info = inspect_mosaic(make_fits(pixels))
    assert (info.bmaj, info.bmin, info.bpa) == (0.0015, 0.001, 30.0)
    assert info.pixel_scale == pytest.approx(1.8)
    assert info.beam_area_pixels == pytest.approx(1.1331 * 0.0015 * 0.001 / 0.0005**2, rel=1e-4)
    no_beam = ("BMAJ", "BMIN", "BPA")
    info = inspect_mosaic(make_fits(pixels, drop=no_beam))
    assert (info.bmaj, info.bmin, info.bpa, info.beam_area_pixels) == (None,) * 4
    lines = [
        "AIPS   CLEAN BMAJ=  2.0000E-03 BMIN=  1.0000E-03 BPA=  10.00",
        "AIPS   IMAGR something else",
        "AIPS   CLEAN BMAJ=  1.5000E-03 BMIN=  1.2000E-03 BPA= -45.50",
    ]
    info = inspect_mosaic(make_fits(pixels, drop=no_beam, HISTORY=lines))
    assert (info.bmaj, info.bmin, info.bpa) == (0.0015, 0.0012, -45.5)
    info = inspect_mosaic(make_fits(pixels, drop=("BMIN", "BPA")))
    assert (info.bmaj, info.bmin, info.bpa) == (0.0015, 0.0015, None)
    info = inspect_mosaic(make_fits(pixels, drop=no_beam, BMAJ=0.0))
    assert info.bmaj is None


def test_beam_of_each_channel(tmp_path):
    """CASA's table of beams."""
    header = fits.Header(axes_header(RA, DEC, STOKES, FREQ) | {"CASAMBM": True})
    columns = {"BMAJ": [9.0, 7.2, 5.4], "BMIN": [3.6, 3.6, 1.8], "BPA": [10.0, 20.0, 30.0]}
    units = {"BMAJ": "arcsec", "BMIN": "arcsec", "BPA": "deg"}
    table = [fits.Column(k, "E", unit=units[k], array=np.array(v)) for k, v in columns.items()]
    table += [fits.Column("CHAN", "J", array=np.arange(3)), fits.Column("POL", "J", array=np.zeros(3))]
    beams = fits.BinTableHDU.from_columns(table, name="BEAMS")
    cube = fits.PrimaryHDU(np.zeros((3, 1, 5, 6), "f4"), header)
    fits.HDUList([cube, beams]).writeto(tmp_path / "c.fits")
    for plane, want in enumerate([(9.0, 3.6, 10.0), (7.2, 3.6, 20.0), (5.4, 1.8, 30.0)]):
        info = inspect_mosaic(str(tmp_path / "c.fits"), plane=plane)
        assert_allclose((info.bmaj * 3600, info.bmin * 3600, info.bpa), want, rtol=1e-6)
    cube.writeto(tmp_path / "n.fits")
    assert inspect_mosaic(str(tmp_path / "n.fits"), plane=0).bmaj is None


def test_memory_of_huge_mosaics_is_let_go(tmp_path, monkeypatch):
    """With a bound of 1 MB: the numbers stay right while pages are dropped all the time."""
    from skysift.sky.formats import base

    monkeypatch.setattr(base, "RESIDENT", 1 << 20)
    pixels = np.random.default_rng(0).normal(size=(700, 700)).astype("f4")
    fits.PrimaryHDU(pixels, fits.Header(axes_header(RA, DEC))).writeto(tmp_path / "m.fits")
    released: list[int] = []
    release = base.ArrayReader.release
    monkeypatch.setattr(base.ArrayReader, "release", lambda self: (released.append(1), release(self))[1])
    with open_mosaic(str(tmp_path / "m.fits")) as mosaic:
        windows = sliding_windows(mosaic.shape, 64)
        for window, (x, y, w, h) in zip(mosaic.read_many(windows), windows.tolist(), strict=True):
            assert_array_equal(window, pixels[y : y + h, x : x + w])
        for y in range(0, 700, 100):
            assert_array_equal(mosaic.read(y, y + 100, 0, 700), pixels[y : y + 100])
    assert len(released) >= 8


@pytest.mark.parametrize(
    ("cards", "frequency"),
    [
        ({}, None),
        ({"RESTFRQ": 1.42e9}, 1.42e9),
        ({"FREQ": 8.87e8, "RESTFRQ": 1.42e9}, 8.87e8),
        ({"CTYPE3": "FREQ", "CRVAL3": 943.5, "CUNIT3": "MHz", "CDELT3": 1.0, "CRPIX3": 1.0}, 943.5e6),
    ],
)
def test_frequency(make_fits, pixels, cards, frequency):
    assert inspect_mosaic(make_fits(pixels, **cards)).frequency == (frequency and pytest.approx(frequency))


# ---------------------------------------------------------------- what is wrong with a file


@pytest.mark.parametrize("keep", [100, 2880, 4000, 40 * 56 * 4 + 2880 - 1])
def test_truncated(make_fits, pixels, keep):
    path = Path(make_fits(pixels))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SkysiftError, match=r"m\.fits (is truncated|is not a complete|has no image|holds no image)"):
        inspect_mosaic(str(path))


def test_missing_padding_is_no_truncation(make_fits, pixels, expected):
    path = Path(make_fits(pixels))
    path.write_bytes(path.read_bytes()[: 2880 + 40 * 56 * 4])
    assert_array_equal(read_all(str(path)), expected)


@pytest.mark.parametrize("keep", [30, 2000, -3000])
def test_truncated_gzip_and_fz(make_fits, tmp_path, keep):
    noise = np.random.default_rng(0).normal(size=(90, 90)).astype("f4")
    packed = tmp_path / "m.fits.gz"
    packed.write_bytes(gzip.compress(Path(make_fits(noise)).read_bytes())[:keep])
    with pytest.raises(SkysiftError, match=r"m\.fits\.gz is (truncated|empty)"):
        inspect_mosaic(str(packed))
    cache = Path(os.environ["SKYSIFT_CACHE"])
    assert not list(cache.glob("*.part"))
    fits.CompImageHDU(noise).writeto(tmp_path / "m.fz")
    (tmp_path / "m.fz").write_bytes((tmp_path / "m.fz").read_bytes()[:keep])
    with pytest.raises(SkysiftError, match=r"m\.fz (is truncated|is not a complete|is damaged|holds no image)"):
        inspect_mosaic(str(tmp_path / "m.fz"))


def test_not_an_image(tmp_path):
    cases = {
        "empty.fits": (b"", "is empty"),
        "text.fits": (b"hello, this is no image", "is not an image"),
        "table.fits": (None, "holds no image"),
    }
    fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])]).writeto(tmp_path / "table.fits")
    for name, (content, message) in cases.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(RequestError, match=f"{name} {message}"):
            inspect_mosaic(str(tmp_path / name))
    with pytest.raises(RequestError, match=r"There is no file .*none\.fits"):
        inspect_mosaic(str(tmp_path / "none.fits"))
    with pytest.raises(RequestError, match="is a folder"):
        inspect_mosaic(str(tmp_path))


@pytest.mark.parametrize(
    ("shape", "types", "message"),
    [
        ((9,), ["FREQ"], "has 1 axis"),
        ((1, 1, 2, 3, 4), ["RA---TAN", "DEC--TAN", "FREQ", "STOKES", "X"], "has 5 axes"),
        ((3, 4), ["RA---TAN", "FREQ"], "without a pair"),
        ((3, 4), ["FREQ", "STOKES"], "none of the sky"),
        ((5, 3, 4), ["RA---TAN", "DEC--TAN", "COMPLEX"], "axis COMPLEX of length 5"),
    ],
)
def test_unsupported_axes(tmp_path, shape, types, message):
    header = fits.Header({f"CTYPE{i}": t for i, t in enumerate(types, 1)})
    fits.PrimaryHDU(np.zeros(shape, "f4"), header).writeto(tmp_path / "odd.fits")
    with pytest.raises(
        RequestError, match=rf"odd\.fits has .*{message.removeprefix('has ')}.*give an image of 2 to 4 axes"
    ):
        inspect_mosaic(str(tmp_path / "odd.fits"))


def test_no_such_plane(make_fits, pixels):
    with pytest.raises(RequestError, match="has no plane 3; choose one from 0 to 0"):
        inspect_mosaic(make_fits(pixels), plane=3)
    with open_mosaic(make_fits(pixels)) as mosaic, pytest.raises(RequestError, match="no plane 1"):
        mosaic.read(0, 1, 0, 1, plane=1)
    with pytest.raises(RequestError, match="positions=nowhere"):
        inspect_mosaic(make_fits(pixels), positions="nowhere")
    with pytest.raises(RequestError, match="another HDU or plane"):
        open_mosaic(inspect_mosaic(make_fits(pixels)), plane=2)


def test_no_stokes_i(tmp_path):
    fits.PrimaryHDU(np.zeros((1, 5, 5), "f4"), fits.Header(axes_header(RA, DEC, STOKES | {"CRVAL": 4.0}))).writeto(
        tmp_path / "v.fits"
    )
    with pytest.warns(SkysiftWarning, match="there is no Stokes I"):
        assert inspect_mosaic(str(tmp_path / "v.fits")).plane == 0


def test_changed_shape_is_noticed(make_fits, pixels):
    info = inspect_mosaic(make_fits(pixels))
    make_fits(pixels[:30])
    with pytest.raises(RequestError, match="has changed"):
        open_mosaic(info)


# ---------------------------------------------------------------- processes and threads


def _child(mosaic: object, windows: np.ndarray) -> np.ndarray:
    return mosaic.read_many(windows)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_mosaics_travel_to_processes(make_fits, pixels, tmp_path, method):
    windows = sliding_windows((40, 56), 16)
    fits.CompImageHDU(pixels, fits.Header(axes_header(RA, DEC))).writeto(tmp_path / "m.fz")
    context = multiprocessing.get_context(method)
    with context.Pool(1) as pool:
        for path in (make_fits(pixels), str(tmp_path / "m.fz")):
            with open_mosaic(path) as mosaic:
                assert_array_equal(pool.apply(_child, (mosaic, windows)), mosaic.read_many(windows))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_reads_tiles_beside_its_parent(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 99, (512, 64)).astype("i4")
    fits.CompImageHDU(pixels, fits.Header(axes_header(RA, DEC))).writeto(tmp_path / "m.fz")
    with open_mosaic(str(tmp_path / "m.fz")) as mosaic:
        mosaic.read(0, 64, 0, 64)
        child = os.fork()
        if child == 0:
            same = all((mosaic.read(y, y + 64, 0, 64) == pixels[y : y + 64]).all() for y in range(0, 449))
            os._exit(0 if same else 1)
        for y in range(448, -1, -1):
            assert_array_equal(mosaic.read(y, y + 64, 0, 64), pixels[y : y + 64])
        assert os.waitpid(child, 0)[1] == 0


def test_threads_share_a_mosaic(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 99, (512, 64)).astype("i4")
    fits.CompImageHDU(np.stack([pixels, pixels + 1]), fits.Header(axes_header(RA, DEC, FREQ))).writeto(
        tmp_path / "m.fz"
    )
    fits.PrimaryHDU(np.stack([pixels, pixels + 1]), fits.Header(axes_header(RA, DEC, FREQ))).writeto(
        tmp_path / "m.fits"
    )
    wrong: list[int] = []

    def work(mosaic, plane):
        for y in range(0, 449, 16):
            mosaic.release()
            if not (mosaic.read(y, y + 64, 0, 64, plane=plane) == pixels[y : y + 64] + plane).all():
                wrong.append(y)

    for name in ("m.fz", "m.fits"):
        with open_mosaic(str(tmp_path / name), plane=0) as mosaic:
            threads = [threading.Thread(target=work, args=(mosaic, k % 2)) for k in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert wrong == []


def test_reading_is_fast(tmp_path):
    """A tenth of the target of `make bench` (20,000 windows a second), so that a busy machine passes still."""
    import time

    fits.PrimaryHDU(np.zeros((1024, 1024), "f4"), fits.Header(axes_header(RA, DEC))).writeto(tmp_path / "m.fits")
    with open_mosaic(str(tmp_path / "m.fits")) as mosaic:
        windows = sliding_windows(mosaic.shape, 128)
        best = np.inf
        for _ in range(5):
            start = time.perf_counter()
            mosaic.read_many(windows)
            best = min(best, time.perf_counter() - start)
    assert len(windows) / best > 2000
