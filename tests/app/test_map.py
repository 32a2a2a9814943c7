"""The map: components, contours, clusters, and the screen's own logic with a browser played by the test."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from sklearn.decomposition import PCA

from skysift.app.map.clusters import cluster_places, without_overlap
from skysift.app.map.components import principal_plane
from skysift.app.map.contours import density_contours
from skysift.app.points.choices import ColourChoice, colour_options
from skysift.app.points.cloud import Cloud
from skysift.app.points.colouring import Category, Density, Number, by_number
from skysift.app.points.legend import legend, ticks
from skysift.app.points.plot import PointPlot
from skysift.app.points.raster import View
from skysift.app.screens.map import HERE_AND_NOW, MapScreen
from skysift.tables.features import FeatureTable


def features_of(array, folder):
    return FeatureTable(np.asarray(array, np.float32), {"dim": array.shape[1]}, folder)


def test_principal_plane_is_that_of_scikit_learn(tmp_path):
    rng = np.random.default_rng(0)
    array = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)) + 5
    points = principal_plane(features_of(array, tmp_path))
    expected = PCA(2, svd_solver="full").fit_transform(array)
    signs = np.sign((points * expected).sum(axis=0))
    np.testing.assert_allclose(points, expected * signs, atol=2e-4)
    np.testing.assert_array_equal(points, principal_plane(features_of(array, tmp_path)))


def test_principal_plane_without_numbers_or_second_feature(tmp_path):
    array = np.random.default_rng(0).normal(size=(50, 3))
    array[7, 1] = np.nan
    points = principal_plane(features_of(array, tmp_path))
    assert np.isnan(points[7]).all()
    assert np.isfinite(np.delete(points, 7, axis=0)).all()
    assert np.isnan(principal_plane(features_of(np.full((4, 3), np.nan), tmp_path))).all()
    single = principal_plane(features_of(array[:, :1], tmp_path))
    assert (single[:, 1] == 0).all()


def test_contours_enclose_their_share_of_the_points():
    rng = np.random.default_rng(4)
    points = np.concatenate([rng.normal((0, 0), 1, (30_000, 2)), rng.normal((8, 3), 0.7, (10_000, 2))])
    contours = density_contours(Cloud(points), shares=(0.9, 0.5))
    for share, lines in contours:
        inside = sum(Outline(line).contains_points(points).sum() for line in lines) / len(points)
        assert inside == pytest.approx(share, abs=0.02)
    only = np.arange(len(points)) >= 30_000
    for _, lines in density_contours(Cloud(points), only, shares=(0.9,)):
        assert all(line[:, 0].min() > 5 for line in lines)
    assert density_contours(Cloud(np.full((3, 2), np.nan))) == []


def test_exemplars_are_members_in_the_middle_of_the_largest_clusters():
    rng = np.random.default_rng(5)
    centres = np.array([[0.0, 0], [10, 0], [0, 10]])
    assigned = np.repeat([4, 1, 7], [50, 200, 100])
    points = centres[np.searchsorted([1, 4, 7], assigned)] + rng.normal(0, 0.5, (350, 2))
    points[assigned == 7, 0][:5] = np.nan
    places = cluster_places(Cloud(points), assigned)
    assert places.number.tolist() == [1, 7, 4]
    assert places.size.tolist() == [200, 100, 50]
    np.testing.assert_array_equal(assigned[places.exemplar], places.number)
    for i, number in enumerate(places.number):
        middle = np.median(points[assigned == number], axis=0)
        apart = np.hypot(*(points[assigned == number] - middle).T)
        assert np.hypot(*(points[places.exemplar[i]] - middle)) == pytest.approx(apart.min(), abs=1e-5)
    assert cluster_places(Cloud(points), assigned, most=2).number.tolist() == [1, 7]


def test_labels_do_not_touch():
    rng = np.random.default_rng(6)
    cloud = Cloud(rng.uniform(0, 10, (300, 2)))
    places = cluster_places(cloud, np.arange(300))
    view = View(0, 10, 0, 10, 500, 500)
    chosen = without_overlap(places, view, width=60, height=40, most=30)
    assert 10 < len(chosen) <= 30
    x, y = places.x[chosen] * 50, places.y[chosen] * 50
    apart = np.maximum(np.abs(x[:, None] - x) / 60, np.abs(y[:, None] - y) / 40) + 2 * np.eye(len(x))
    assert apart.min() >= 1
    assert x.min() > 30
    assert x.max() < 470


@pytest.mark.parametrize(
    ("low", "high", "logarithmic", "expected"),
    [
        (0.0, 1.0, False, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-3.2, 9.1, False, [-2.5, 0, 2.5, 5, 7.5]),
        (1.0, 200.0, True, [1, 10, 100]),
        (2e-5, 9e-5, True, [2e-5, 5e-5]),
        (1e-6, 1e6, True, [1e-6, 1e-4, 1e-2, 1, 100, 1e4, 1e6]),
    ],
)
def test_ticks_are_round(low, high, logarithmic, expected):
    found = ticks(low, high, logarithmic=logarithmic)
    if expected != found:
        assert found == pytest.approx(expected)


def test_legend_escapes_words_and_names_the_unit(session):
    picture = SimpleNamespace(limits=(0.0, 1.0), points=5, shown=5)
    assert "[Jy/beam]" in legend(by_number("rms", np.linspace(0, 1, 9), unit="Jy/beam", scaling="linear"), picture)
    choice = ColourChoice(session.survey)
    choice.take("colour", "labels")
    html = legend(choice.colouring(), picture)
    assert "&lt;i&gt;very&lt;/i&gt;" in html
    assert "<i>very" not in html


def test_choice_of_colours_follows_the_kind_of_column(session):
    choice = ColourChoice(session.survey)
    assert choice.column == "odd: ensemble"
    kinds = {"": Density, "snr": Number, "labels": Category, "tree: level 1": Category, "x0": Category}
    for column, kind in kinds.items():
        choice.take("colour", column)
        assert isinstance(choice.colouring(), kind), column
    choice.take("colour", "snr")
    choice.take("scaling", "log")
    assert choice.colouring().scaling == "log"
    assert [item["name"] for item in choice.items()] == ["colour", "scaling"]
    assert choice.take("colour", "../../etc/passwd")
    assert choice.column == "snr"
    assert not choice.take("lasso", True)
    groups = {group for _, _, group in colour_options(session.survey.columns)}
    assert groups >= {"Points", "Catalogue", "Odd", "Tree", "Rating"}


@pytest.fixture
def map_screen(session, monkeypatch):
    monkeypatch.setattr(PointPlot, "size", (400, 300))
    session.screen = "map"
    screen = MapScreen(session)
    view = screen.panel()
    view.get_root()
    screen.plot.fit()
    return screen


def lasso(screen, keep):
    """Draw a box lasso around the rows to keep, in data units."""
    cloud = screen.plot.cloud
    x, y = cloud.x[keep], cloud.y[keep]
    e = 1e-4
    shape = {"type": "rect", "x0": x.min() - e, "x1": x.max() + e, "y0": y.min() - e, "y1": y.max() + e}
    screen.plot._selected(SimpleNamespace(final=True, geometry=shape))


def test_map_draws_all_points(map_screen, session):
    picture = map_screen.picture
    assert picture.points == len(session.survey) == picture.shown
    image = map_screen.plot.pixels.data["image"][0]
    assert image.shape == (300, 400)
    assert (image != 0).sum() > 100
    np.testing.assert_array_equal(map_screen.plot.cloud.x, session.survey.projections["plane"][:, 0])
    assert "ensemble" in map_screen.legend.object


def test_lasso_selects_adds_and_takes_away(map_screen, session):
    order = np.argsort(map_screen.plot.cloud.x)
    left, right = order[:40], order[-30:]
    lasso(map_screen, left)
    assert set(left) <= set(session.selection.tolist())
    first = set(session.selection.tolist())
    assert map_screen.picture.shown == len(first) < map_screen.picture.points
    map_screen._receive({"name": "combine", "value": "add"})
    lasso(map_screen, right)
    assert set(session.selection.tolist()) >= first | set(right.tolist())
    map_screen._receive({"name": "combine", "value": "remove"})
    lasso(map_screen, right)
    assert not set(session.selection.tolist()) & set(right.tolist())
    map_screen._receive({"name": "gallery", "value": True})
    assert session.screen == "gallery"


def test_a_lasso_around_nothing_keeps_the_selection(map_screen, session):
    session.select([3, 4])
    shape = {"type": "poly", "x": [1e6, 2e6, 1e6], "y": [1e6, 1e6, 2e6]}
    map_screen.plot._selected(SimpleNamespace(final=True, geometry=shape))
    assert session.selection.tolist() == [3, 4]
    assert session.message[1] == "There is no point in there."


def test_selection_of_another_screen_is_highlighted_on_return(map_screen, session):
    session.screen = "gallery"
    session.select([1, 2, 3])
    assert map_screen.picture.shown == len(session.survey)
    session.screen = "map"
    map_screen.visited()
    assert map_screen.picture.shown == 3
    session.select([])
    session.filters = {"snr": (10.0, np.inf)}
    assert map_screen.picture.shown == (session.survey.columns["snr"] >= 10).sum()


def test_cursor_shows_the_nearest_cutout_and_a_click_focuses_it(map_screen, session):
    plot = map_screen.plot
    row = 17
    at = SimpleNamespace(x=float(plot.cloud.x[row]), y=float(plot.cloud.y[row]), sx=390.0, sy=10.0)
    plot._mouse(at)
    content = plot.card.content
    assert content["url"].startswith(f"./thumbnail/{session.survey.ids[row]}.png?size=134&")
    assert content["lines"][0] == session.survey.ids[row]
    assert content["lines"][1].startswith("odd: ensemble: ")
    assert content["left"] < 390 - 152
    plot._tapped(at)
    assert session.focus == row
    assert plot.marks.data["x"] == [at.x]
    plot._opened(at)
    assert session.screen == "detail"
    plot._mouse(SimpleNamespace(x=1e9, y=0.0, sx=0.0, sy=0.0))
    assert plot.card.content == {}


def test_clusters_by_level_with_exemplars(map_screen, session):
    map_screen._receive({"name": "tree", "value": "tree"})
    assert map_screen.choice.column == "tree: level 2"
    assert len(map_screen._frames.data["x"]) == 4
    map_screen._receive({"name": "level", "value": 1})
    assert map_screen.choice.column == "tree: level 1"
    assert isinstance(map_screen.plot.colouring, Category)
    names = [item["name"] for item in map_screen.controls.items]
    assert names == ["colour", "tree", "level", "exemplars", "contours"]
    map_screen._receive({"name": "exemplars", "value": True})
    assert map_screen._frames.data["x"] == []
    map_screen._receive({"name": "colour", "value": "snr"})
    assert "level" not in [item["name"] for item in map_screen.controls.items]
    map_screen._receive({"name": "colour", "value": "tree: level 1"})
    map_screen._receive({"name": "tree", "value": ""})
    assert map_screen.choice.column == "odd: ensemble"


def test_contours_come_and_go(map_screen):
    map_screen._receive({"name": "contours", "value": True})
    assert len(map_screen._lines.data["xs"]) >= 5
    map_screen._receive({"name": "contours", "value": True})
    assert map_screen._lines.data["xs"] == []


def test_zoom_and_fit(map_screen):
    before = map_screen.plot.view
    map_screen.zoom_in()
    after = map_screen.plot.view
    assert after.x1 - after.x0 == pytest.approx(0.6 * (before.x1 - before.x0))
    map_screen._receive({"name": "fit", "value": True})
    assert map_screen.plot.view == before
    for key in map_screen.keys().values():
        assert key.__doc__


def test_without_projection_components_are_offered(session, monkeypatch):
    monkeypatch.setattr(PointPlot, "size", (400, 300))
    monkeypatch.setitem(session.survey.__dict__, "projections", {})
    session.screen = "map"
    screen = MapScreen(session)
    screen.panel().get_root()
    assert "principal components" in screen.note.object
    assert not screen.body.visible
    screen._receive({"name": "components", "value": True})
    assert screen.body.visible
    assert screen._projection == HERE_AND_NOW
    screen.plot.fit()  # as the browser asks for once the figure has a size
    assert screen.picture.points == len(session.survey)


def test_without_features_the_screen_says_what_to_do(session, monkeypatch):
    monkeypatch.setitem(session.survey.__dict__, "projections", {})
    monkeypatch.setitem(session.survey.__dict__, "features", None)
    screen = MapScreen(session)
    screen.panel().get_root()
    assert "skysift features" in screen.note.object
    assert screen._make.items == []
