"""Many points in a plane: pixels, colours, the nearest, and what a lasso holds."""

from __future__ import annotations

import time

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from skysift.app.points.cloud import Cloud
from skysift.app.points.colouring import GREY, Density, as_rgb, by_category, by_number, number_palette
from skysift.app.points.inside import inside_box, inside_polygon
from skysift.app.points.picture import over, paint
from skysift.app.points.raster import View, radius_for, rasterise, spread


@pytest.fixture
def points():
    rng = np.random.default_rng(1)
    return rng.normal(size=(50_000, 2)).astype(np.float32)


def test_counts_and_sums_are_those_of_a_histogram(points):
    view = View(-3.0, 2.0, -2.5, 2.5, 60, 40)
    values = np.stack([points[:, 0] + 5, np.ones(len(points), np.float32)])
    counts, sums = rasterise(points[:, 0], points[:, 1], view, values)
    edges = np.linspace(-2.5, 2.5, 41), np.linspace(-3.0, 2.0, 61)
    expected, _, _ = np.histogram2d(points[:, 1], points[:, 0], bins=edges)
    weighted, _, _ = np.histogram2d(points[:, 1], points[:, 0], bins=edges, weights=values[0])
    # a point within rounding of an edge may fall on either side
    assert np.abs(counts - expected).sum() <= 4
    same = counts == expected
    np.testing.assert_allclose(sums[0][same], weighted[same], rtol=2e-3, atol=1e-2)
    np.testing.assert_allclose(sums[1], counts, rtol=1e-6)


def test_points_without_a_place_are_nowhere_and_none_is_fine():
    view = View(0, 1, 0, 1, 4, 3)
    nan = np.array([np.nan, 0.5], np.float32)
    counts, sums = rasterise(nan, np.array([0.5, np.nan], np.float32), view, np.ones((1, 2), np.float32))
    assert counts.sum() == 0
    assert sums.sum() == 0
    none = np.zeros(0, np.float32)
    assert rasterise(none, none, view)[0].shape == (3, 4)


def test_view_has_square_pixels_and_holds_its_box():
    view = View.around(0, 10, 0, 2, 100, 50)
    assert view.pixel == pytest.approx((view.y1 - view.y0) / 50)
    assert (view.x0, view.x1) == (0, 10)
    assert (view.y0, view.y1) == (-1.5, 3.5)


def test_spread_puts_a_disc_in_place_of_a_point_and_keeps_sums():
    plane = np.zeros((21, 31), np.float32)
    plane[10, 15] = 2
    y, x = np.mgrid[:21, :31]
    for radius in (1, 2, 4):
        disc = np.hypot(y - 10, x - 15) <= radius + 0.35
        np.testing.assert_array_equal(spread(plane, radius), 2 * disc)
    corner = np.zeros((6, 7), np.float32)
    corner[0, 6] = 1
    assert spread(corner, 1).sum() == 3  # itself, one below, one to the left
    assert spread(plane, 0) is plane


def test_few_points_are_spread_further():
    view = View(0, 1, 0, 1, 800, 600)
    radii = [radius_for(n, view) for n in (1, 1_000, 5_000, 20_000, 2_000_000)]
    assert radii == [4, 3, 2, 1, 0]
    assert radius_for(0, view) == 0


@pytest.mark.parametrize("count", [500, 200_000])  # each point tested, and by cells
def test_lasso_holds_what_matplotlib_says(count):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, count))
    x[:7] = np.nan
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    radius = 1 + 0.5 * np.sin(5 * angle) + 0.1 * rng.normal(size=90)  # a star with a ragged rim
    for turns in (1, 2):  # the second crosses itself
        px, py = radius * np.cos(turns * angle) + 0.2, radius * np.sin(turns * angle)
        outline = Outline(np.column_stack([np.append(px, px[0]), np.append(py, py[0])]), closed=True)
        with np.errstate(invalid="ignore"):
            expected = outline.contains_points(np.column_stack([x, y]))
        expected[:7] = False
        np.testing.assert_array_equal(inside_polygon(x, y, px, py), expected)
        assert 0.1 < expected.mean() < 0.9


def test_lasso_without_area_holds_nothing():
    x = y = np.linspace(0, 1, 30_000)
    assert not inside_polygon(x, y, np.array([0.0, 1.0]), np.array([0.0, 1.0])).any()
    assert not inside_polygon(x, y, np.array([]), np.array([])).any()
    assert not inside_polygon(x, y, np.array([np.nan, 1, 2, 0]), np.array([0.0, np.nan, 0, 0])).any()
    flat = inside_polygon(x, np.zeros(30_000), np.array([0.0, 1, 0.5]), np.zeros(3))
    assert not flat.any()


def test_lasso_over_two_million_points_is_faster_than_testing_each():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 2_000_000)).astype(np.float32)
    angle = np.linspace(0, 2 * np.pi, 150, endpoint=False)
    px, py = 1.5 * np.cos(angle), 1.2 * np.sin(angle)
    start = time.process_time()
    inside = inside_polygon(x, y, px, py)
    assert time.process_time() - start < 2.0  # a third of a second where nothing else runs
    assert inside.mean() == pytest.approx(((x / 1.5) ** 2 + (y / 1.2) ** 2 < 1).mean(), abs=2e-3)


def test_box_may_be_drawn_from_any_corner():
    x, y = np.array([0.0, 1, 2, np.nan]), np.array([0.0, 1, 2, 1])
    np.testing.assert_array_equal(inside_box(x, y, 1.5, 0.5, 3, 0), [False, True, False, False])


def test_nearest_point_within_reach(points):
    points[5] = np.nan
    cloud = Cloud(points)
    place = points[123] + np.float32(1e-4)
    apart = np.hypot(*(np.nan_to_num(points, nan=99) - place).T)
    assert cloud.nearest(*place, within=0.5) == int(apart.argmin())
    assert cloud.nearest(50, 50, within=1.0) == -1
    assert cloud.nearest(float("nan"), 0, within=1.0) == -1
    among = np.zeros(len(points), bool)
    among[np.argsort(apart)[3]] = True
    assert cloud.nearest(*place, within=0.5, among=among) == int(np.argsort(apart)[3])
    assert Cloud(np.full((3, 2), np.nan)).nearest(0, 0, within=1) == -1


def test_extent_holds_all_points_and_survives_none():
    x0, x1, y0, y1 = Cloud(np.array([[0.0, 0], [10, 5], [np.nan, 99]])).extent
    assert (x0, x1, y0, y1) == pytest.approx((-0.4, 10.4, -0.4, 5.4))
    assert Cloud(np.full((2, 2), np.nan)).extent == (-1, 1, -1, 1)
    x0, x1, _, _ = Cloud(np.array([[3.0, 3]])).extent
    assert x0 < 3 < x1


def test_shapes_of_the_browser_become_rows():
    cloud = Cloud(np.array([[0.0, 0], [1, 1], [2, 2]]))
    assert cloud.inside({"type": "rect", "x0": 0.5, "x1": 3, "y0": 0, "y1": 3}).tolist() == [1, 2]
    assert cloud.inside({"type": "poly", "x": [-1, 1.5, 1.5, -1], "y": [-1, -1, 1.5, 1.5]}).tolist() == [0, 1]
    assert cloud.inside({"type": "point", "x": 0, "y": 0}).tolist() == []


def test_numbers_are_coloured_by_their_mean_between_percentiles():
    values = np.append(np.arange(1000.0), [1e9, np.nan])
    colouring = by_number("rms", values, unit="Jy/beam")
    assert colouring.scaling == "log"  # over more than a factor of 30
    assert (colouring.low, colouring.high) == pytest.approx(np.percentile(values[1:-1], (1, 99)), rel=1e-6)
    linear = by_number("rms", values, scaling="linear")
    assert linear.low < linear.high < 1000
    assert not colouring.valued(np.array([1001]))[0]
    counts = np.array([[2.0, 0.0, 1.0]], np.float32)
    middle = (linear.low + linear.high) / 2
    sums = np.array([[[2 * middle, 0, 5e9]]], np.float32)
    rgba, limits = linear.shade(counts, sums)
    table = as_rgb(number_palette())
    np.testing.assert_array_equal(rgba[0, 0], [*table[128], 255])
    np.testing.assert_array_equal(rgba[0, 1], [0, 0, 0, 0])
    np.testing.assert_array_equal(rgba[0, 2], [*table[255], 255])
    assert limits == (linear.low, linear.high)


def test_a_constant_or_empty_column_has_colours_too():
    constant = by_number("a", np.full(5, 2.0))
    assert constant.low < 2 < constant.high
    empty = by_number("a", np.full(5, np.nan))
    assert empty.low < empty.high
    assert by_number("a", np.array([-1.0, -2.0]), scaling="log").scaling == "linear"
    logarithmic = by_number("a", np.array([0.0, 1.0, 1.0, 100.0]), scaling="log")
    assert 0 < logarithmic.low < logarithmic.high


def test_category_pixels_are_mixed_by_counts_and_small_ones_grey():
    codes = np.repeat(np.arange(15), np.arange(30, 15, -1))
    colouring = by_category("labels", codes, [f"class {i}" for i in range(15)])
    assert [name for name, _, _ in colouring.legend[:2]] == ["class 0", "class 1"]
    assert colouring.legend[-1] == ("3 more", "#9aa5b1", 18 + 17 + 16)
    np.testing.assert_array_equal(colouring.colours[12:], np.tile(GREY, (3, 1)))
    cloud = Cloud(np.zeros((len(codes), 2)))
    shown = np.isin(np.arange(len(codes)), [0, 1, 2, 30])  # three of class 0 and one of class 1, all at one place
    rgba = paint(cloud, View(-1, 1, -1, 1, 3, 3), colouring, shown).rgba
    first, second = (colouring.colours[i].astype(float) for i in (0, 1))
    np.testing.assert_allclose(rgba[1, 1, :3], (3 * first + second) / 4, atol=1)


def test_clusters_all_have_strong_colours():
    colouring = by_category("level 1", np.arange(400), [str(i) for i in range(400)], cyclic=True)
    assert not (colouring.colours == GREY).all(axis=1).any()
    assert len(np.unique(colouring.colours[:100], axis=0)) == 100
    assert len(colouring.legend) == 13


def test_what_is_not_shown_lies_grey_beneath(points):
    cloud = Cloud(points)
    view = View(-4, 4, -4, 4, 200, 200)
    shown = points[:, 0] > 0
    picture = paint(cloud, view, Density(), shown)
    everything = paint(cloud, view, Density())
    np.testing.assert_array_equal(picture.rgba[:, 110:], everything.rgba[:, 110:])
    left = picture.rgba[:, :90]
    np.testing.assert_array_equal(left[left[..., 3] > 0][:, :3], np.tile(GREY, ((left[..., 3] > 0).sum(), 1)))
    assert picture.points == view.covers(cloud.x, cloud.y).sum() == everything.shown
    assert picture.shown == (view.covers(cloud.x, cloud.y) & shown).sum()
    assert picture.limits == everything.limits or picture.limits[1] <= everything.limits[1]


def test_rows_without_a_value_are_grey():
    cloud = Cloud(np.array([[0.0, 0], [1, 0]]))
    colouring = by_number("score", np.array([np.nan, 0.5]))
    picture = paint(cloud, View(-0.5, 1.5, -1, 1, 2, 2), colouring)
    assert (picture.points, picture.shown) == (2, 1)
    view = View(-10, 11, -10, 10, 21, 20)
    rgba = paint(cloud, view, colouring).rgba
    lowest = rgba[10, 6]  # only the faint point reaches this far to the left
    assert lowest[3] == 0 or (lowest[:3] == GREY).all()


def test_laying_over_is_the_usual_formula():
    front = np.array([[[200, 100, 0, 255], [0, 0, 0, 0], [255, 255, 255, 51]]], np.uint8)
    back = np.array([[[1, 2, 3, 255], [10, 20, 30, 102], [0, 0, 0, 255]]], np.uint8)
    expected = [[[200, 100, 0, 255], [10, 20, 30, 102], [51, 51, 51, 255]]]
    np.testing.assert_array_equal(over(front, back), expected)
    assert not over(np.zeros((1, 1, 4), np.uint8), np.zeros((1, 1, 4), np.uint8)).any()
