"""Geometry, files, surroundings, contours and texts of one cutout; the screen without a browser."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS

from skysift.app.detail import files, tables
from skysift.app.detail.context import frame, surroundings
from skysift.app.detail.contours import contours, levels_of
from skysift.app.detail.figure import CutoutFigure, ticks
from skysift.app.detail.links import links
from skysift.app.detail.place import Place, sexagesimal
from skysift.app.detail.units import shown_unit
from skysift.app.pictures import Scale, scale_of
from skysift.app.screens.detail import DetailScreen, around_html, nearest
from skysift.app.session import Session
from skysift.app.survey import Survey
from skysift.datasets.stages import Dataset
from skysift.errors import RequestError
from skysift.sky.info import MosaicInfo
from skysift.store.store import Store


@pytest.fixture
def plain(tmp_path) -> Survey:
    """A labelled set: images without WCS, unit and beam."""
    images = np.random.default_rng(3).integers(0, 255, (12, 40, 40)).astype(np.uint8)
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(12) % 2)
    store = Store(tmp_path / "store")
    made = store.run(Dataset(source=str(tmp_path / "set.npz")))
    return Survey(store, made.id, ledger=str(tmp_path / "ledger.sqlite"))


@pytest.fixture
def screen(session: Session) -> DetailScreen:
    session.screen, session.focus = "detail", 40
    made = DetailScreen(session)
    made.panel()
    made.visited()
    return made


def place_with(survey: Survey, row: int, **changes) -> Place:
    place = Place.of(survey, row)
    return replace(place, info=replace(place.info, **changes))


# -- geometry ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [0, 57, 130])
def test_fits_cutout_is_astropys(small_store, survey, row):
    place = Place.of(survey, row)
    path = next(p for p in small_store.mosaics if p.name == place.info.path)
    with fits.open(path) as hdus:
        whole = WCS(hdus[0].header)
        centre = (place.x0 + (place.width - 1) / 2, place.y0 + (place.height - 1) / 2)
        oracle = Cutout2D(hdus[0].data, centre, (place.height, place.width), wcs=whole, mode="partial")
        original = hdus[0].header
    with fits.open(io.BytesIO(files.fits_bytes(survey, row))) as hdus:
        made = hdus[0]
        np.testing.assert_array_equal(made.data, oracle.data)
        assert made.data.dtype == np.dtype(">f4")
        wcs = WCS(made.header)
        np.testing.assert_allclose(wcs.wcs.crpix, oracle.wcs.wcs.crpix, atol=1e-9)
        corners = np.array([[0, 0], [31, 0], [31, 31], [0, 31], [15.5, 3.25]])
        np.testing.assert_allclose(wcs.all_pix2world(corners, 0), oracle.wcs.all_pix2world(corners, 0), atol=1e-9)
        for card in ("BUNIT", "BMAJ", "BMIN", "BPA"):
            assert made.header[card] == pytest.approx(original[card]) if card != "BUNIT" else original[card]
        assert made.header["OBJECT"] == place.cutout_id
        assert (made.header["XCORNER"], made.header["YCORNER"]) == (place.x0, place.y0)


def test_centre_and_corners_by_astropy(small_store, survey):
    place = Place.of(survey, 33)
    with fits.open(next(p for p in small_store.mosaics if p.name == place.info.path)) as hdus:
        wcs = WCS(hdus[0].header)
    middle = wcs.pixel_to_world(place.x0 + 15.5, place.y0 + 15.5)
    assert SkyCoord(*place.centre, unit="deg").separation(middle).arcsec < 1e-6
    ra, dec = place.corners
    lower_left = wcs.pixel_to_world(place.x0 - 0.5, place.y0 - 0.5)
    assert SkyCoord(ra[0], dec[0], unit="deg").separation(lower_left).arcsec < 1e-6
    assert ra[0] > ra[1]  # east is left


def test_north_is_up_and_east_left(survey):
    north, east = Place.of(survey, 33).directions
    np.testing.assert_allclose(north, [0, 1], atol=2e-3)
    np.testing.assert_allclose(east, [-1, 0], atol=2e-3)


def test_directions_of_a_rotated_map(survey):
    turn = np.radians(30)
    header = WCS(naxis=2)
    header.wcs.ctype, header.wcs.crval, header.wcs.crpix = ["RA---TAN", "DEC--TAN"], [10, 20], [50, 50]
    header.wcs.cdelt = [-1e-3, 1e-3]
    header.wcs.pc = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    text = header.to_header().tostring(sep="\n")
    place = replace(place_with(survey, 33, wcs_header=text, shape=(100, 100)), x0=34, y0=34)
    north, east = place.directions
    # world = cdelt * pc @ pixel: north is where -cdelt1 x' = 0, y' = 1
    expected = np.linalg.solve(np.diag([-1e-3, 1e-3]) @ header.wcs.pc, [0, 1])
    np.testing.assert_allclose(north, expected / np.linalg.norm(expected), atol=1e-3)
    assert north[0] * east[1] - north[1] * east[0] > 0.99  # east is counter-clockwise of north, as on the sky


def test_beam_turns_from_north_to_east(survey):
    place = Place.of(survey, 33)  # BMAJ 6", BMIN 5", BPA 30 deg, 1.5" a pixel
    major, minor, angle = place.beam
    assert (major, minor) == pytest.approx((4.0, 10 / 3))
    assert np.degrees(angle) == pytest.approx(120.0, abs=0.2)  # from +x, east being left
    assert place_with(survey, 33, bmaj=None).beam is None


def test_row_that_is_not_there(survey):
    with pytest.raises(RequestError, match="no such cutout"):
        Place.of(survey, len(survey))


def test_sexagesimal():
    assert sexagesimal(187.70593, 12.39112) == "12h30m49.42s +12d23m28.03s"


# -- files -------------------------------------------------------------------------------------------------------------


def test_zip_holds_each_cutout_and_is_the_same_again(survey):
    rows = [3, 9, 4]
    data = files.fits_zip(survey, rows)
    assert data == files.fits_zip(survey, rows)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == [f"{survey.ids[row]}.fits" for row in rows]
        assert archive.read(f"{survey.ids[9]}.fits") == files.fits_bytes(survey, 9)


def test_zip_has_a_limit(survey, monkeypatch):
    monkeypatch.setattr(files, "MOST_FITS", 2)
    with pytest.raises(RequestError, match="more than one zip holds"):
        files.fits_zip(survey, [1, 2, 3])
    with pytest.raises(RequestError, match="No cutout"):
        files.fits_zip(survey, [])


def test_region_is_the_outline(survey):
    lines = files.regions(survey, [5]).splitlines()
    assert lines[:3] == ["# Region file format: DS9 version 4.1", "global color=cyan width=1", "icrs"]
    points = np.array(lines[3].split("(")[1].split(")")[0].split(","), float).reshape(4, 2)
    np.testing.assert_allclose(points, np.stack(Place.of(survey, 5).corners, axis=1), atol=1e-7)
    assert survey.ids[5] in lines[3]


def test_labelled_sets_have_no_position(plain):
    place = Place.of(plain, 4)
    assert (place.centre, place.corners, place.directions, place.beam) == (None, None, None, None)
    assert place.whole
    with fits.open(io.BytesIO(files.fits_bytes(plain, 4))) as hdus:
        np.testing.assert_array_equal(hdus[0].data, plain.pixels.read([4])[0])
        assert not {"CTYPE1", "CRPIX1", "BUNIT", "BMAJ"} & set(hdus[0].header)
    with pytest.raises(RequestError, match="no sky position"):
        files.regions(plain, [4])
    with pytest.raises(RequestError, match="whole image"):
        surroundings(plain, place, 2)


# -- surroundings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_surroundings_hold_the_cutout_in_their_frame(survey, factor):
    place = Place.of(survey, 60)
    wide = surroundings(survey, place, factor)
    assert wide.shape == (32 * factor, 32 * factor)
    left, top, width, height = frame(place, factor)
    x, y = round(left * wide.shape[1]), round((1 - top - height) * wide.shape[0])
    assert (round(width * wide.shape[1]), round(height * wide.shape[0])) == (32, 32)
    np.testing.assert_array_equal(wide[y : y + 32, x : x + 32], survey.pixels.read([60])[0])


def test_surroundings_are_the_mosaics(small_store, survey):
    place = Place.of(survey, 60)
    with fits.open(next(p for p in small_store.mosaics if p.name == place.info.path)) as hdus:
        data = np.pad(hdus[0].data.astype(np.float32), 300, constant_values=np.nan)
    y, x = place.y0 + 300 - 48, place.x0 + 300 - 48
    np.testing.assert_array_equal(surroundings(survey, place, 4), data[y : y + 128, x : x + 128])


def test_around_as_html(survey, plain):
    text = around_html(Place.of(survey, 60), "stretch=asinh&contrast=0.3")
    assert text.count("<img") == 3
    assert f"./context/{survey.ids[60]}.png?zoom=8&amp;size=256&amp;stretch=asinh&amp;contrast=0.3" in text
    assert "8 × as wide, 6.4′" in text  # 32 pixels of 1.5" times 8
    assert "nothing around it" in around_html(Place.of(plain, 0), "")


# -- figure ------------------------------------------------------------------------------------------------------------


def test_contours_lie_at_their_level():
    y, x = np.mgrid[:41, :41]
    noise = np.random.default_rng(0).normal(0, 1, (41, 41))
    image = (100 * np.exp(-((x - 20) ** 2 + (y - 20) ** 2) / 50) + noise).astype(np.float32)
    median = np.median(image)
    rms = 1.4826 * np.median(np.abs(image - median))
    found = dict(contours(image, [20.0, 5.0]))
    assert list(found) == [5.0, 20.0]
    radius = np.sqrt(50 * np.log(100 / (median + 20 * rms)))
    longest = max(found[20.0], key=len)
    assert np.hypot(*(longest - 20).T).mean() == pytest.approx(radius, rel=0.05)


def test_contours_stop_at_no_data_and_at_the_limit(monkeypatch):
    image = np.random.default_rng(0).normal(0, 1, (64, 64)).astype(np.float32)
    image[:, 32:] = np.nan
    assert all(line[:, 0].max() < 32 for _, lines in contours(image, [1.0]) for line in lines)
    assert contours(np.full((8, 8), np.nan, np.float32), [3.0]) == []
    assert contours(np.ones((8, 8), np.float32), [3.0]) == []
    monkeypatch.setattr("skysift.app.detail.contours.MOST_POINTS", 500)
    assert [level for level, _ in contours(image, [0.0, 0.5, 3.0])] == [3.0]


def test_levels_are_read():
    assert levels_of("10, 3;5 5") == [3.0, 5.0, 10.0]
    for wrong in ("", "three", "3 nan", " ".join(map(str, range(20)))):
        with pytest.raises(RequestError):
            levels_of(wrong)


@pytest.mark.parametrize(
    ("bunit", "largest", "expected"),
    [
        ("JY/BEAM", 0.02, (1e-3, "mJy/beam")),
        ("Jy/beam", 3.0, (1.0, "Jy/beam")),
        ("Jy", 4e-5, (1e-6, "µJy")),
        ("K", 0.5, (1e-3, "mK")),
        ("counts", 1e-9, (1.0, "counts")),
        (None, 1.0, (1.0, "")),
        ("Jy/beam", 0.0, (1.0, "Jy/beam")),
    ],
)
def test_units(bunit, largest, expected):
    assert shown_unit(bunit, largest) == expected


@pytest.mark.parametrize("stretch", ["zscale", "asinh", "linear", "log"])
def test_ticks_stand_where_their_value_is(stretch):
    image = np.random.default_rng(1).normal(0, 1e-4, (64, 64)).astype(np.float32)
    image[30:34, 30:34] = 0.02
    scale = scale_of(image, stretch=stretch)
    places, labels = ticks(scale, 1e-3)
    assert len(places) >= 3
    assert places == sorted(places)
    np.testing.assert_allclose(
        scale.inverse(np.array(places)), [float(label) * 1e-3 for label in labels], rtol=1e-3, atol=1e-7
    )


def test_ticks_of_a_flat_image():
    assert ticks(Scale(2.0, 2.0), 1.0) == ([0.0], ["2"])


def test_figure_of_a_cutout(survey):
    drawn, place = CutoutFigure(), Place.of(survey, 60)
    image = np.asarray(survey.pixels.read([60])[0])
    drawn.show(place, image, stretch="asinh", contrast=0.25, colour_map="magma", levels=[3.0, 5.0])
    data = drawn.pixels.data
    np.testing.assert_allclose(data["value"][0], image * 1e6, rtol=1e-5)  # microjansky
    assert (data["x"][0], data["dw"][0]) == pytest.approx((-24.0, 48.0))  # 32 pixels of 1.5"
    assert drawn.bar.title == "µJy/beam"
    assert drawn.figure.xaxis[0].axis_label == "offset from the centre [arcsec]"
    assert drawn.beam.data["width"] == pytest.approx([6.0])
    assert drawn.letters.data["text"] == ["N", "E"]
    assert len(drawn.lines.data["xs"]) > 0
    assert drawn.figure.frame_width == drawn.figure.frame_height
    # the browser interpolates positions on this grid: compare its middle with the WCS
    middle = np.array([drawn.sky.data[name][17 * 8 + 8] for name in "xyz"])
    ra, dec = np.radians(place.centre)
    expected = [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)]
    np.testing.assert_allclose(middle, expected, atol=1e-9)


def test_figure_without_position(plain):
    drawn, place = CutoutFigure(), Place.of(plain, 2)
    image = np.asarray(plain.pixels.read([2])[0])
    drawn.show(place, image, stretch="zscale", contrast=0.25, colour_map="gray", levels=[])
    assert drawn.about.data["sky"] == [False]
    assert drawn.figure.xaxis[0].axis_label == "offset from the centre [pixel]"
    assert drawn.bar.title is None
    assert not drawn.beam.data["x"]
    assert not drawn.letters.data["x"]


# -- texts -------------------------------------------------------------------------------------------------------------


def test_links_go_to_the_position():
    found = {title: urlsplit(href) for title, href, _ in links(187.5, -12.25, 1.5)}
    assert found["SIMBAD"].hostname == "simbad.cds.unistra.fr"
    assert parse_qs(found["SIMBAD"].query)["Coord"] == ["187.500000 -12.250000"]
    assert parse_qs(found["NED"].query)["dec"] == ["-12.250000d"]
    assert parse_qs(found["Aladin"].query)["target"] == ["187.500000 -12.250000"]
    assert {parts.scheme for parts in found.values()} == {"https"}


def test_metadata_has_units_and_is_escaped(survey):
    groups = dict(tables.about(survey, Place.of(survey, 60)))
    measured = {name: value for name, value, _ in groups["Measured"]}
    assert measured["rms"].endswith("JY/BEAM")
    assert ("beam", "6 × 5 arcsec, 30°") in [line[:2] for line in groups["Mosaic"]]
    assert "ensemble" in {name for name, *_ in groups["odd"]}
    text = tables.about_html([("a<b", [("x", "<script>1</script>", "'\"><img>")])])
    assert "<script" not in text
    assert "<img" not in text


def test_metadata_without_position(plain):
    lines = dict(line[:2] for line in dict(tables.about(plain, Place.of(plain, 3)))["Place"])
    assert lines["position"] == "no sky position"


def entry(**said):
    about = {"user": "vera", "judgement": None, "score": None, "tags": [], "comment": "", "time": None}
    return {**about, "undone": False, "undoes": None, **said}


def test_standing_opinion():
    history = [
        entry(score=2, tags=["ring"]),
        entry(judgement="boring"),
        entry(score=5, undone=True),
        entry(undoes="x"),
        entry(user="ada", score=0),
        entry(tags=["-ring", "arc"]),
    ]
    assert tables.standing(history, "vera") == {"judgement": "boring", "score": 2, "tags": ["arc"]}


def test_history_is_escaped_and_newest_first():
    text = tables.history_html([entry(comment="<b>old</b>"), entry(tags=["<i>"], undone=True), entry(undoes="x")])
    assert "<b>" not in text
    assert "<i>" not in text
    assert text.index("&lt;i&gt;") < text.index("&lt;b&gt;")
    assert text.count("undone") == 1
    assert "Nobody" in tables.history_html([])


# -- the screen --------------------------------------------------------------------------------------------------------


def items_of(strip):
    return {item["name"]: item for item in strip.items}


def test_screen_shows_the_focus(screen, session, survey):
    assert survey.ids[40] in screen.head.object
    assert f"./cutout/{survey.ids[40]}.fits" == items_of(screen.actions)["fits"]["href"]
    assert "simbad" in items_of(screen.actions)
    screen.go(1)
    assert session.focus == 41
    assert survey.ids[41] in screen.head.object
    assert items_of(screen.controls)["count"]["text"] == f"42 of {len(survey)}"


def test_screen_begins_with_the_first_of_the_gallery(session):
    session.sort, session.descending, session.screen = "snr", True, "detail"
    made = DetailScreen(session)
    made.panel()
    made.visited()
    assert session.focus == session.shown()[0] == int(np.nanargmax(session.survey.columns["snr"]))


def test_screen_rates_and_takes_back(screen, session, survey):
    screen.act({"name": "score-4", "value": True})
    assert survey.ledger.current().to_pylist()[0]["score"] == 4
    screen.act({"name": "artefact", "value": True})
    screen.act({"name": "tag", "value": "ring, <b>"})
    assert items_of(screen.rating)["score-4"]["on"]
    assert items_of(screen.rating)["artefact"]["on"]
    assert "&lt;b&gt;" in screen.said.object
    current = survey.ledger.current().to_pylist()[0]
    assert (current["judgement"], current["tags"]) == ("artefact", ["ring", "<b>"])
    screen.keys()["u"]()
    screen.keys()["u"]()
    assert not items_of(screen.rating)["artefact"]["on"]
    assert items_of(screen.rating)["score-4"]["on"]


def test_screen_refuses_nonsense(screen, session):
    for message in ({"name": "score-9"}, {"name": "tag", "value": 3}, {}, {"name": ["x"]}):
        screen.act(message)
    assert session.survey.ledger.version == 0
    screen.control({"name": "stretch", "value": "../x"})
    screen.control({"name": "contrast", "value": "high"})
    assert (session.stretch, session.contrast) == ("zscale", 0.25)


def test_contours_are_switched_and_chosen(screen):
    assert not screen.figure.lines.data["xs"]
    screen.keys()["c"]()
    many = len(screen.figure.lines.data["xs"])
    assert many > 0
    screen.control({"name": "levels", "value": "50"})
    assert len(screen.figure.lines.data["xs"]) < many
    with pytest.raises(RequestError, match="no contour levels"):
        screen.control({"name": "levels", "value": "a lot"})
    screen.control({"name": "contours", "value": True})
    assert not screen.figure.lines.data["xs"]


def test_the_figure_fits_the_page(screen):
    screen.control({"name": "width", "value": 900})
    narrow = screen.figure.figure.frame_width
    screen.control({"name": "width", "value": 1240})
    assert screen.figure.figure.frame_width > narrow


def test_neighbours_are_the_nearest(screen, session, survey):
    rows, similarity = nearest(survey, 40)
    features = np.load(survey.base.path("features.npy"))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    expected = np.argsort(-(unit @ unit[40]), kind="stable")
    assert rows.tolist() == [row for row in expected.tolist() if row != 40][:12]
    np.testing.assert_allclose(similarity, (unit @ unit[40])[rows], atol=1e-5)
    screen.neighbour({"do": "click", "place": 2})
    assert session.focus == rows[2]


def test_screen_of_a_labelled_set(plain):
    session = Session(plain, user="vera")
    session.screen = "detail"
    made = DetailScreen(session)
    made.panel()
    made.visited()
    assert "no sky position" in made.head.object
    assert "simbad" not in items_of(made.actions)
    assert "region" not in items_of(made.actions)
    assert "nothing around" in made.around.object
    assert made.near.total == 0


def test_changes_wait_while_another_screen_is_shown(screen, session, survey):
    session.screen = "gallery"
    session.focus = 77
    assert survey.ids[40] in screen.head.object
    session.screen = "detail"
    screen.visited()
    assert survey.ids[77] in screen.head.object


def test_mosaic_info_is_reused():
    assert MosaicInfo(path="", format="fits", hdu=0, plane=0, shape=(4, 4)).wcs is None
