"""Stretches against astropy and the report's; colours, no data, size, what is kept."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from astropy.visualization import ZScaleInterval
from PIL import Image

from skysift.app.pictures import (
    COLOUR_MAPS,
    STRETCHES,
    Scale,
    Thumbnails,
    palette,
    png_bytes,
    render,
    scale_of,
    shrink,
)
from skysift.errors import RequestError
from skysift.report.figures.contact_sheet import stretch as report_stretch

RNG = np.random.default_rng(8)


def noisy(side: int = 96, peak: float = 40.0) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    source = peak * np.exp(-((x - 30) ** 2 + (y - 60) ** 2) / 18)
    return (RNG.normal(2.0, 1.0, (side, side)) + source).astype(np.float32)


@pytest.mark.parametrize("contrast", [0.1, 0.25, 0.6, 1.0])
@pytest.mark.parametrize("blank", [False, True])
def test_zscale_is_astropys(contrast, blank):
    image = noisy()
    if blank:
        image[:20] = np.nan
    low, high = ZScaleInterval(contrast=contrast).get_limits(image)
    scale = scale_of(image, stretch="zscale", contrast=contrast)
    assert (scale.low, scale.high) == pytest.approx((low, high), rel=1e-5)


def test_asinh_at_neutral_contrast_is_the_reports():
    image = noisy()
    image[5:9, 5:9] = np.nan
    expected = report_stretch(image)
    np.testing.assert_allclose(scale_of(image, stretch="asinh").forward(image), expected, atol=1e-6)


def test_linear_and_log_by_hand():
    image = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 8.0]], np.float32)  # median 2.5
    linear = scale_of(image, stretch="linear")
    np.testing.assert_allclose(linear.forward(image), image / 8)
    assert scale_of(image, stretch="linear", contrast=0.5).high == pytest.approx(2.5 + 5.5 / 2)
    log = scale_of(image, stretch="log")
    np.testing.assert_allclose(log.forward(image), np.log1p(1000 * image / 8) / np.log(1001), rtol=1e-6)


@pytest.mark.parametrize("stretch", STRETCHES)
def test_more_contrast_never_darkens_a_pixel_above_the_median(stretch):
    image = noisy()
    above = image > np.median(image)
    soft = scale_of(image, stretch=stretch, contrast=0.25).forward(image)[above]
    hard = scale_of(image, stretch=stretch, contrast=0.75).forward(image)[above]
    assert (hard >= soft - 1e-9).all()
    assert hard.mean() > soft.mean() + 0.02


@pytest.mark.parametrize("stretch", STRETCHES)
def test_inverse_undoes_forward(stretch):
    scale = scale_of(noisy(), stretch=stretch)
    values = np.linspace(scale.low, scale.high, 50)
    np.testing.assert_allclose(scale.inverse(scale.forward(values)), values, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("stretch", STRETCHES)
@pytest.mark.parametrize("image", [np.full((8, 8), 3.0), np.full((8, 8), np.nan), np.zeros((8, 8))])
def test_images_without_range(stretch, image):
    picture = render(image.astype(np.float32), stretch=stretch, size=16)
    assert picture.shape == (16, 16, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1


def test_nan_in_scale_stays_and_outside_is_clamped():
    shown = Scale(0.0, 2.0).forward(np.array([-1.0, 1.0, 5.0, np.nan]))
    np.testing.assert_array_equal(shown, [0.0, 0.5, 1.0, np.nan])


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_no_data_has_a_colour_of_its_own(name):
    table = palette(name).astype(int)
    assert table.shape == (256, 3)
    apart = np.abs(table[:255] - table[255]).sum(axis=1).min()
    assert apart >= 12
    image = np.arange(64, dtype=np.float32).reshape(8, 8)
    image[7, 0] = np.inf
    picture = render(image, colour_map=name, stretch="linear", size=8)
    assert picture[0, 0].tolist() == palette(name)[255].tolist()  # the last row of the array is on top


def test_render_has_the_first_row_at_the_bottom():
    image = np.zeros((32, 32), np.float32)
    image[0, 31] = 1.0
    picture = render(image, stretch="linear", colour_map="gray", size=32)
    assert picture[31, 31].tolist() == [255, 255, 255]
    assert picture.sum() == 3 * 255


def test_shrink_averages_and_ignores_no_data():
    image = np.array([[1, 3, 10, np.nan], [5, 7, 20, np.nan], [np.nan] * 4, [np.nan, 1, np.nan, np.nan]], np.float32)
    np.testing.assert_allclose(shrink(image, 2), [[4.0, 15.0], [np.nan, np.nan]])


@pytest.mark.parametrize(("shape", "expected"), [((100, 50), (64, 32)), ((30, 60), (32, 64)), ((64, 64), (64, 64))])
def test_shape_is_kept(shape, expected):
    assert shrink(np.ones(shape, np.float32), 64).shape == expected
    assert render(np.ones(shape, np.float32), size=64).shape == (*expected, 3)


def test_enlarged_pixels_stay_pixels():
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    np.testing.assert_array_equal(shrink(image, 16), np.repeat(np.repeat(image, 4, 0), 4, 1))


def test_png_is_the_picture():
    image = noisy()
    image[:10, :10] = np.nan
    options = {"stretch": "asinh", "contrast": 0.4, "colour_map": "viridis", "size": 72}
    data = png_bytes(image, **options)
    read = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(read, render(image, **options))
    assert data == png_bytes(image, **options)


@pytest.mark.parametrize(
    "wrong",
    [
        {"stretch": "cube"},
        {"contrast": 0},
        {"contrast": 1.2},
        {"contrast": float("nan")},
        {"colour_map": "jet/../x"},
        {"size": 4000},
        {"size": 0},
    ],
)
def test_wrong_requests(wrong):
    with pytest.raises(RequestError):
        render(noisy(), **wrong)


def test_thumbnails_are_kept_by_all_that_they_depend_on():
    asked = []

    def read(row):
        asked.append(row)
        return noisy()

    kept = Thumbnails(read, entries=8)
    look = {"stretch": "zscale", "contrast": 0.25, "colour_map": "magma", "size": 64}
    first = kept.png(3, **look)
    assert kept.png(3, **look) is first
    assert asked == [3]
    for change in ({"size": 65}, {"contrast": 0.3}, {"stretch": "log"}, {"colour_map": "gray"}):
        kept.png(3, **{**look, **change})
    kept.png(4, **look)
    assert asked == [3] * 5 + [4]


@pytest.mark.parametrize("stretch", STRETCHES)
def test_a_screen_of_thumbnails_is_made_at_once(stretch):
    images = [noisy(160) for _ in range(60)]
    spent = []
    for _ in range(3):
        begin = time.process_time()
        for image in images:
            png_bytes(image, stretch=stretch, size=128)
        spent.append(time.process_time() - begin)
    assert min(spent) < 0.5
