"""The sky: projections, graticule, outlines, the frame of Aladin Lite, and the screen's own logic."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from skysift.app.points.plot import PointPlot
from skysift.app.points.raster import View
from skysift.app.screens.sky import SkyScreen
from skysift.app.sky.aladin import MOST_MARKERS, Target, frame, page, policy
from skysift.app.sky.graticule import dec_text, graticule, ra_text
from skysift.app.sky.outlines import area_text, covered_area, mosaic_outlines
from skysift.app.sky.projection import Projection, centre_of

DEGREE = np.degrees(1)


@pytest.fixture
def sky():
    rng = np.random.default_rng(0)
    return rng.uniform(0, 360, 400), np.degrees(np.arcsin(rng.uniform(-1, 1, 400)))


def test_zenithal_map_is_lamberts(sky):
    ra, dec = sky
    x, y = Projection("ZEA", 83.6, 22.0).forward(ra, dec)
    centre = SkyCoord(83.6, 22.0, unit="deg")
    there = SkyCoord(ra, dec, unit="deg")
    radius = 2 * DEGREE * np.sin(centre.separation(there).rad / 2)
    angle = centre.position_angle(there).rad  # north through east, and east is to the left
    np.testing.assert_allclose(x, -radius * np.sin(angle), atol=1e-8)
    np.testing.assert_allclose(y, radius * np.cos(angle), atol=1e-8)


def test_mollweide_map_is_mollweides(sky):
    ra, dec = sky
    x, y = Projection("MOL", 180.0).forward(ra, dec)
    theta = np.radians(dec)
    for _ in range(60):  # 2 theta + sin 2 theta = pi sin dec
        theta -= (2 * theta + np.sin(2 * theta) - np.pi * np.sin(np.radians(dec))) / (2 + 2 * np.cos(2 * theta) + 1e-12)
    np.testing.assert_allclose(y, np.sqrt(2) * DEGREE * np.sin(theta), atol=1e-5)
    np.testing.assert_allclose(x, -2 * np.sqrt(2) / np.pi * (ra - 180) * np.cos(theta), atol=1e-4)


@pytest.mark.parametrize("projection", [Projection("ZEA", 359.0, -40.0), Projection("MOL", 0.0)])
def test_maps_lead_back_to_the_sky_and_nowhere_beyond(projection, sky):
    ra, dec = sky
    back_ra, back_dec = projection.inverse(*projection.forward(ra, dec))
    assert SkyCoord(ra, dec, unit="deg").separation(SkyCoord(back_ra, back_dec, unit="deg")).deg.max() < 1e-6
    x0, x1, _, y1 = projection.extent
    assert np.isnan(projection.inverse([x0, x1], [y1, y1])).all()
    x, y = projection.forward([np.nan, 10.0], [5.0, np.nan])
    assert np.isnan([x, y]).all()
    edge = np.array(projection.outline())
    inside = projection.inverse(*(edge * 0.999))
    assert np.isfinite(inside).all()
    assert np.isnan(projection.inverse(*(edge * 1.01))[0]).all()


def test_right_ascension_increases_to_the_left():
    for projection in (Projection("ZEA", 10.0, 0.0), Projection("MOL", 0.0)):
        x, _ = projection.forward([11.0, 10.0, 9.0], [0.0, 0.0, 0.0])
        assert x[0] < x[1] < x[2]


def test_centre_lies_amid_the_positions_also_across_zero_hours():
    ra, dec = np.array([359.0, 1.0, np.nan, 0.0, 0.0]), np.array([0.0, 0.0, 5.0, 1.0, -1.0])
    lon, lat, radius = centre_of(ra, dec)
    assert min(lon, 360 - lon) == pytest.approx(0, abs=1e-9)
    assert lat == pytest.approx(0, abs=1e-9)
    assert radius == pytest.approx(1.0, abs=1e-9)
    assert centre_of(np.array([0.0, 180.0]), np.zeros(2)) == (0.0, 0.0, 180.0)


@pytest.mark.parametrize(
    ("projection", "height"),
    [
        (Projection("ZEA", 150.3, 2.1), 0.02),
        (Projection("ZEA", 150.3, 2.1), 1.5),
        (Projection("ZEA", 0.0, -30.0), 25.0),
        (Projection("ZEA", 40.0, 89.0), 6.0),
        (Projection("MOL", 0.0), 180.0),
        (Projection("MOL", 180.0), 60.0),
    ],
)
def test_labels_stand_on_their_lines_and_apart(projection, height):
    view = View(-0.7 * height, 0.7 * height, -height / 2, height / 2, 840, 600)
    made = graticule(projection, view)
    assert 3 <= len(made.labels) <= 40
    assert 5 <= len(made.xs) <= 80
    for x, y, text, kind in made.labels:
        ra, dec = (float(v) for v in projection.inverse(x, y))
        if not np.isfinite(ra):  # at the very edge of the sky
            ra, dec = (float(v) for v in projection.inverse(x * 0.9999, y))
        parts = [float(part) for part in re.findall(r"[\d.]+", text)]
        value = sum(part / 60**i for i, part in enumerate(parts))
        tolerance = 0.004 * height + 1e-6
        if kind == "ra":
            off = (value * 15 - ra + 180) % 360 - 180
            assert abs(off) * np.cos(np.radians(dec)) < tolerance, text
        else:
            assert abs((-value if text.startswith("−") else value) - dec) < tolerance, text
    for kind, axis, apart in (("ra", 0, 76), ("dec", 1, 20)):
        places = np.sort([label[axis] for label in made.labels if label[3] == kind]) / view.pixel
        assert (np.diff(places) >= apart).all()


def test_graticule_off_the_sky_is_empty():
    made = graticule(Projection("MOL", 0.0), View(400, 500, 400, 500, 100, 100))
    assert made.xs == made.ys == made.labels == []


def test_lines_lie_on_the_sky():
    view = View(-1, 1, -1, 1, 500, 500)
    projection = Projection("ZEA", 0.0, 60.0)
    made = graticule(projection, view)
    for x, y in zip(made.xs, made.ys, strict=True):
        ra, dec = projection.inverse(x, y)
        turned = np.ptp(np.unwrap(np.radians(ra)))
        assert min(turned, np.ptp(dec)) < 1e-6  # a meridian or a parallel


@pytest.mark.parametrize(
    ("ra", "step", "text"),
    [
        (0.0, 15, "0h"),
        (345.0, 15, "23h"),
        (187.5, 7.5, "12h 30m"),
        (359.75, 0.25, "23h 59m"),
        (-3.75, 3.75, "23h 45m"),
        (15 / 3600 * 90, 15 / 3600 * 30, "0h 01m 30s"),
        (150 + 15 / 3600 * 0.2, 15 / 3600 * 0.2, "10h 00m 00.2s"),
        (359.99999999, 15 / 3600, "0h 00m 00s"),
    ],
)
def test_right_ascensions_are_written_as_finely_as_the_step(ra, step, text):
    assert ra_text(ra, step) == text


@pytest.mark.parametrize(
    ("dec", "step", "text"),
    [
        (0.0, 10, "0°"),
        (-30.0, 30, "−30°"),
        (2.5, 0.5, "+2° 30′"),
        (-0.5, 1 / 6, "−0° 30′"),
        (2 + 1 / 3600, 1 / 3600, "+2° 00′ 01″"),
        (59.9999999, 1 / 60, "+60° 00′"),
    ],
)
def test_declinations_are_written_as_finely_as_the_step(dec, step, text):
    assert dec_text(dec, step) == text


def test_outlines_go_around_the_mosaics(small_store, survey):
    outlines = mosaic_outlines(survey.catalogue)
    assert len(outlines) == 2
    headers = [fits.getheader(path) for path in small_store.mosaics]
    corners = sorted(WCS(header).calc_footprint(center=False).tolist() for header in headers)
    for (ra, dec), expected in zip(sorted(outlines, key=lambda o: o[0].min()), corners, strict=True):
        found = SkyCoord(ra[:-1:16], dec[:-1:16], unit="deg")
        there = SkyCoord(np.array(expected), unit="deg")
        assert max(there.separation(corner).arcsec.min() for corner in found) < 0.01
        assert (ra[0], dec[0]) == pytest.approx((ra[-1], dec[-1]))


def test_area_is_that_of_the_mosaics(survey):
    mosaics = 2 * (288 * 1.5 / 3600) ** 2
    blank = 2 * (40 * 1.5 / 3600) ** 2
    assert mosaics - 2 * blank < covered_area(survey.catalogue) < 1.03 * mosaics
    assert [area_text(a) for a in (0.02, 0.5, 1234.5)] == ["72 arcmin²", "0.5 deg²", "1,234 deg²"]


def test_frame_is_sandboxed_and_says_where_to_look():
    marked = np.column_stack([np.linspace(10, 11, 1000), np.full(1000, -5.0)])
    html = frame(-10.0, 5.0, 500.0, marked)
    assert 'sandbox="allow-scripts"' in html
    assert "./aladin?ra=350.000000&amp;dec=5.000000&amp;fov=180#" in html
    assert html.count(";") - html.count("&amp;") >= MOST_MARKERS - 1
    assert frame(1, 2, 3, np.zeros((0, 2))).count("#") == 3  # none but those of the style


def test_page_of_aladin_holds_its_target_and_lets_no_text_escape():
    text = page(Target(ra=10.5, dec=-3.25, fov=1.5), "NONCE")
    state = json.loads(re.search(r'id="state">(.*?)</script>', text).group(1))
    assert state["_target"] == "10.500000 -3.250000"
    assert (state["_fov"], state["_height"]) == (1.5, -1)
    assert state["_init_options"]["_target"] == state["_target"]
    widget = json.loads(re.search(r'id="widget">(.*?)</script>', text).group(1))
    assert "render" in widget
    assert "initialize" in widget
    assert text.count("<script") == text.count("</script>") == 3
    assert "sandbox allow-scripts" in policy("NONCE")
    assert "'self'" not in policy("NONCE").split("script-src")[1].split(";")[0]


@pytest.mark.parametrize("bad", [{"ra": "360"}, {"dec": "91"}, {"fov": "0"}, {"ra": "nan"}, {"ra": "<i>"}, {"x": "1"}])
def test_target_off_the_sky_is_refused(bad):
    with pytest.raises(ValueError):
        Target.model_validate({"ra": "1", "dec": "2", "fov": "3"} | bad)


@pytest.fixture
def sky_screen(session, monkeypatch):
    monkeypatch.setattr(PointPlot, "size", (600, 400))
    session.screen = "sky"
    screen = SkyScreen(session)
    screen.panel().get_root()
    return screen


def test_sky_draws_points_outlines_and_graticule(sky_screen, session):
    columns = session.survey.columns
    assert sky_screen.picture.points == len(session.survey)
    back = sky_screen.projection.inverse(sky_screen.plot.cloud.x, sky_screen.plot.cloud.y)
    apart = SkyCoord(*back, unit="deg").separation(SkyCoord(columns["ra"], columns["dec"], unit="deg"))
    assert apart.to_value(units.arcsec).max() < 0.2  # single precision
    assert len(sky_screen._mosaics.data["xs"]) == 2
    assert len(sky_screen._grid.data["xs"]) > 4
    assert all(text.endswith(("m", "s")) for text in sky_screen._labels["ra"].data["text"])
    assert "2 mosaics, " in sky_screen.legend_tail()


def test_selection_on_the_sky_is_that_of_the_session(sky_screen, session):
    columns = session.survey.columns
    west = np.flatnonzero(columns["ra"] < 151.5)
    x, y = sky_screen.plot.cloud.x[west], sky_screen.plot.cloud.y[west]
    shape = {"type": "rect", "x0": x.min() - 0.01, "x1": x.max() + 0.01, "y0": y.min() - 0.01, "y1": y.max() + 0.01}
    sky_screen.plot._selected(SimpleNamespace(final=True, geometry=shape))
    np.testing.assert_array_equal(session.selection, west)
    assert sky_screen.picture.shown == len(west)


def test_whole_sky_and_back(sky_screen):
    sky_screen._receive({"name": "view", "value": "sky"})
    assert sky_screen.projection == Projection("MOL", 180.0)
    assert len(sky_screen._edge.data["xs"]) == 1
    sky_screen.plot.fit()
    assert sky_screen._labels["ra"].data["text"] == ["2h", "6h", "10h", "14h", "18h", "22h"]
    sky_screen._receive({"name": "view", "value": "moon"})
    sky_screen._receive({"name": "view", "value": "survey"})
    assert sky_screen.projection.code == "ZEA"
    assert sky_screen._edge.data["xs"] == []


def test_position_under_the_cursor_is_read_out(sky_screen):
    x, y = sky_screen.projection.forward(150.5, 2.25)
    sky_screen.moved((float(x), float(y)))
    assert sky_screen.plot.card.readout == "10h02m00.0s +02d15m00.0s   (150.5000, +2.2500)"
    sky_screen.moved(None)
    assert sky_screen.plot.card.readout == ""


def test_aladin_comes_only_after_a_click(sky_screen, session):
    assert "iframe" not in sky_screen._aladin.object
    session.select([0, 1])
    sky_screen._receive({"name": "aladin", "value": True})
    assert sky_screen._aladin.visible
    assert sky_screen._aladin.object.count(",") >= 2
    sky_screen._receive({"name": "aladin", "value": True})
    assert sky_screen._aladin.object == ""


def test_without_positions_the_screen_says_so(session):
    session.survey.columns.drop("ra")
    screen = SkyScreen(session)
    screen.panel().get_root()
    assert "No positions" in screen.note.object
    assert not screen.body.visible
