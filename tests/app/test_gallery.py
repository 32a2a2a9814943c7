"""Cells, marks, histograms, exports, saved views; the screen without a browser."""

from __future__ import annotations

import base64
import io

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse_single_table

from skysift.app.gallery.cells import MOST_CELLS, cells, is_marked, marks_after, written
from skysift.app.gallery.export import table_bytes, table_of
from skysift.app.gallery.histograms import Cards, bins_of
from skysift.app.gallery.names import group_of, grouped, short
from skysift.app.gallery.views import Views
from skysift.app.screens.gallery import GalleryScreen
from skysift.app.session import Session
from skysift.app.survey import Survey
from skysift.errors import RequestError
from skysift.store.store import Store

NONE = np.zeros(0, np.int64)
ROWS = np.array([9, 2, 5, 7, 1, 3])


@pytest.fixture
def screen(session: Session) -> GalleryScreen:
    made = GalleryScreen(session)
    made.panel()
    made.visited()
    return made


@pytest.fixture
def sent(screen, monkeypatch):
    """Messages to the grid."""
    found = []
    monkeypatch.setattr(screen.grid, "_send_msg", found.append)
    return found


def items_of(strip):
    return {item["name"]: item for item in strip.items}


# -- marks -------------------------------------------------------------------------------------------------------------


def test_a_click_marks_one():
    assert marks_after(ROWS, np.array([1, 9]), 2, 0).tolist() == [5]


def test_shift_marks_all_between():
    assert marks_after(ROWS, np.array([3]), 3, 1, shift=True).tolist() == [2, 5, 7]
    assert marks_after(ROWS, np.array([3]), 1, 3, shift=True).tolist() == [2, 5, 7]
    assert marks_after(ROWS, np.array([3]), 3, 1, shift=True, ctrl=True).tolist() == [2, 3, 5, 7]
    assert marks_after(ROWS, NONE, 4, -1, shift=True).tolist() == [1]


def test_ctrl_turns_one_over():
    once = marks_after(ROWS, np.array([5]), 0, -1, ctrl=True)
    assert once.tolist() == [5, 9]
    assert marks_after(ROWS, once, 2, 0, ctrl=True).tolist() == [9]


@pytest.mark.parametrize("place", [-1, 6, 10**9])
def test_a_click_beside_the_grid_changes_nothing(place):
    assert marks_after(ROWS, np.array([5]), place, 0).tolist() == [5]


def test_marked_among_others():
    assert is_marked(ROWS, np.array([2, 3, 100])).tolist() == [False, True, False, False, False, True]
    assert not is_marked(ROWS, NONE).any()


# -- cells -------------------------------------------------------------------------------------------------------------


def test_cells_say_what_is_sorted_by(session, survey):
    session.sort, session.descending, session.focus = "snr", True, 3
    session.rate([11], judgement="artefact", score=2)
    rows = session.shown()
    found = cells(session, rows, np.array([int(rows[1])]), 0, 5)
    snr = survey.columns["snr"]
    assert [cell["row"] for cell in found] == rows[:5].tolist()
    assert [cell["id"] for cell in found] == [str(i) for i in survey.ids[rows[:5]]]
    assert found[0]["text"] == written(snr.max())
    assert [cell["marked"] for cell in found] == [False, True, False, False, False]
    rated = cells(session, np.array([11, 3]), NONE, 0, 2)
    assert (rated[0]["judgement"], rated[0]["score"]) == ("artefact", "2")
    assert [cell["focus"] for cell in rated] == [False, True]


def test_cells_outside_are_left_out(session):
    rows = session.shown()
    assert cells(session, rows, NONE, len(rows) - 2, 50)[-1]["row"] == rows[-1]
    assert cells(session, rows, NONE, 10**9, 50) == []
    assert cells(session, rows, NONE, 0, -5) == []
    assert len(cells(session, np.zeros(MOST_CELLS + 10, np.int64), NONE, 0, 10**9)) == MOST_CELLS


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (12345.0, "", "12,345"),
        (0.000123456, "Jy", "0.0001235 Jy"),
        (1.5e-7, "", "1.5e-7"),
        (np.nan, "deg", "–"),
        ("", "", "–"),
        (np.float32(3.14159), "deg", "3.142 deg"),
        (np.int8(1), "", "1"),
    ],
)
def test_values_are_written_short(value, unit, expected):
    assert written(value, unit) == expected


# -- histograms --------------------------------------------------------------------------------------------------------


def test_bins_of_whole_numbers_of_few_values():
    bins = bins_of(np.array([1, 1, 3, 2, 3, 3]))
    assert bins.edges.tolist() == [0.5, 1.5, 2.5, 3.5]
    assert bins.count(np.array([1, 1, 3, 2, 3, 3])).tolist() == [2, 1, 3]


def test_bins_of_steep_distributions_are_logarithmic():
    values = np.random.default_rng(0).lognormal(0, 2, 5000)
    edges = bins_of(values).edges
    np.testing.assert_allclose(np.diff(np.log(edges)), np.diff(np.log(edges))[0], rtol=1e-6)


def test_bins_of_others_are_even_and_hold_everything():
    values = np.random.default_rng(0).normal(0, 1, 5000)
    values[0], values[1] = 90, np.nan
    bins = bins_of(values)
    steps = np.diff(bins.edges)
    np.testing.assert_allclose(steps[1:-1], steps[1], rtol=1e-6)
    assert (bins.edges[0], bins.edges[-1]) == (np.nanmin(values), 90)
    assert bins.count(values).sum() == 4999


@pytest.mark.parametrize(
    "values", [np.full(5, np.nan), np.zeros(5), np.full(3, -7.5), np.array([]), np.array([np.inf])]
)
def test_bins_of_odd_columns(values):
    bins = bins_of(values)
    assert (np.diff(bins.edges) > 0).all()
    assert bins.count(values).sum() == np.isfinite(values).sum()


def test_cards_count_what_passes_the_others(session, survey):
    session.filters = {"snr": (5.0, np.inf), "labels": frozenset({"faint"})}
    numbers, words = Cards(session).of(["snr", "labels", "gone"])
    snr, labels = survey.columns["snr"], survey.columns["labels"]
    assert (numbers["low"], numbers["high"]) == (5.0, None)
    assert sum(numbers["all"]) == np.isfinite(snr).sum()
    assert sum(numbers["kept"]) == np.isfinite(snr[labels == "faint"]).sum()
    counts = dict(words["words"])
    assert words["chosen"] == ["faint"]
    assert counts["faint"] == int(((labels == "faint") & (snr >= 5)).sum())
    assert words["words"][0][0] == "faint"


def test_lists_of_classes_are_counted_by_class(session):
    session.rate([1], tags=["ring", "arc"])
    session.rate([2], tags=["ring"])
    counts = dict(Cards(session).of(["rating: tags"])[0]["words"])
    assert (counts["ring"], counts["arc"]) == (2, 1)
    session.filters = {"rating: tags": frozenset({"arc"})}
    assert session.shown().tolist() == [1]


def test_columns_by_group(survey):
    groups = [group for _, group in grouped(survey.columns)]
    assert groups[0] == "Ratings"
    assert groups[-1] == "Catalogue"
    assert (group_of("odd: knn"), short("odd: knn"), group_of("snr"), short("snr")) == (
        "odd",
        "knn",
        "Catalogue",
        "snr",
    )


# -- export ------------------------------------------------------------------------------------------------------------


def test_table_has_all_columns_in_the_order_asked_for(session, survey):
    session.rate([8], judgement="interesting", tags=["a", "b"])
    table = table_of(survey, np.array([8, 2, 30]))
    assert table.column("cutout_id").to_pylist() == [str(survey.ids[row]) for row in (8, 2, 30)]
    assert set(survey.columns) <= set(table.column_names)
    assert table.column("rating: judgement").to_pylist() == ["interesting", "", ""]
    assert table.schema.field("ra").metadata[b"unit"] == b"deg"


def test_formats_hold_the_same(survey):
    rows = np.array([4, 1, 77])
    snr = survey.columns["snr"][rows]
    csv = pyarrow.csv.read_csv(io.BytesIO(table_bytes(survey, rows, "csv")))
    np.testing.assert_allclose(csv.column("snr").to_numpy(), snr, rtol=1e-6)
    assert csv.column("labels").to_pylist() == survey.columns["labels"][rows].tolist()
    parquet = pq.read_table(io.BytesIO(table_bytes(survey, rows, "parquet")))
    np.testing.assert_array_equal(parquet.column("snr").to_numpy(), snr)
    assert parquet.column("labels").to_pylist()[0] == [survey.columns["labels"][4]]
    votable = parse_single_table(io.BytesIO(table_bytes(survey, rows, "votable")))
    np.testing.assert_array_equal(votable.array["snr"], snr)
    assert [str(i) for i in votable.array["cutout_id"]] == [str(i) for i in survey.ids[rows]]
    assert str(votable.get_field_by_id("ra").unit) == "deg"


def test_unknown_format(survey):
    with pytest.raises(RequestError, match="no format"):
        table_bytes(survey, np.arange(2), "../xls")


# -- views -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_session(own_store, tmp_path):
    return Session(Survey(Store(own_store), ledger=str(tmp_path / "own.sqlite")), user="vera")


def test_views_are_saved_opened_and_deleted(own_session):
    views = Views(own_session)
    own_session.param.update(sort="snr", descending=False, filters={"peak": (0.01, np.inf)}, stretch="asinh")
    expected = own_session.shown().tolist()
    views.save("  bright   ones ")
    own_session.param.update(sort="", filters={}, stretch="zscale", screen="detail", focus=5)
    assert Views(own_session).names() == ["bright ones"]
    views.open("bright ones")
    assert own_session.shown().tolist() == expected
    assert (own_session.stretch, own_session.screen, own_session.focus) == ("asinh", "detail", 5)
    views.delete("bright ones")
    assert views.names() == []
    with pytest.raises(RequestError, match="no view"):
        views.open("bright ones")


def test_views_need_a_name(own_session):
    for wrong in ("", "   ", "x" * 61):
        with pytest.raises(RequestError, match="needs a name"):
            Views(own_session).save(wrong)


# -- the screen --------------------------------------------------------------------------------------------------------


def test_the_grid_asks_for_cells(screen, sent, session, survey):
    assert screen.grid.total == len(survey)
    screen.receive({"do": "cells", "first": 10, "count": 4, "generation": screen.grid.generation})
    assert [cell["row"] for cell in sent[0]["cells"]] == session.shown()[10:14].tolist()
    screen.receive({"do": "cells", "first": 10, "count": 4, "generation": -1})
    assert len(sent) == 1


def test_sorting_makes_a_new_generation(screen, session, survey):
    before = screen.grid.generation
    screen.control({"name": "sort", "value": "snr"})
    assert screen.grid.generation == before + 1
    assert session.shown()[0] == np.nanargmax(survey.columns["snr"])
    screen.control({"name": "descending", "value": True})
    assert session.shown()[0] == np.nanargmin(survey.columns["snr"])
    screen.control({"name": "sort", "value": "no such column"})
    assert session.sort == "snr"


def test_look_goes_to_the_addresses(screen):
    screen.control({"name": "stretch", "value": "asinh"})
    screen.control({"name": "contrast", "value": 0.4})
    screen.control({"name": "colour_map", "value": "viridis"})
    assert screen.grid.look == "stretch=asinh&contrast=0.4&cmap=viridis"
    screen.control({"name": "size", "value": 10**6})
    assert screen.grid.size == 320


def test_several_filters_at_once(screen, session, survey):
    snr, labels = survey.columns["snr"], survey.columns["labels"]
    screen.filter({"do": "add", "name": "snr"})
    assert [card["name"] for card in screen.filters.cards] == ["snr"]
    assert len(session.shown()) == len(survey)
    screen.filter({"do": "range", "name": "snr", "low": 6.0, "high": None})
    screen.filter({"do": "words", "name": "labels", "words": ["bright", 7]})
    assert session.shown().tolist() == np.flatnonzero((snr >= 6) & (labels == "bright")).tolist()
    assert screen.grid.total == len(session.shown())
    screen.filter({"do": "drop", "name": "snr"})
    assert session.shown().tolist() == np.flatnonzero(labels == "bright").tolist()
    session.select([1, 2, 3])
    assert screen.filters.selected == 3
    screen.filter({"do": "clear"})
    assert (len(session.shown()), screen.filters.cards, screen.filters.selected) == (len(survey), [], 0)


@pytest.mark.parametrize("name", ["nothing", None, ["snr"], "../snr"])
def test_filters_of_columns_that_are_not_there(screen, name):
    with pytest.raises(RequestError, match="no such column"):
        screen.filter({"do": "range", "name": name, "low": 1, "high": 2})


def test_filters_take_only_what_fits(screen, session):
    screen.filter({"do": "range", "name": "labels", "low": 1, "high": 2})
    screen.filter({"do": "words", "name": "snr", "words": ["x"]})
    screen.filter({"do": "range", "name": "snr", "low": "a", "high": float("nan")})
    assert session.filters == {}


def test_marking_and_opening(screen, session):
    rows = session.shown()
    screen.receive({"do": "click", "place": 2, "shift": False, "ctrl": False})
    screen.receive({"do": "click", "place": 5, "shift": True, "ctrl": False})
    assert session.marked.tolist() == sorted(rows[2:6].tolist())
    assert items_of(screen.actions)["count"]["text"] == "4 marked"
    screen.receive({"do": "move", "place": 1, "shift": False})
    assert len(session.marked) == 4
    assert session.focus == rows[1]
    screen.receive({"do": "all"})
    assert len(session.marked) == len(rows)
    screen.receive({"do": "none"})
    assert len(session.marked) == 0
    for nonsense in (
        {"do": "click", "place": "x"},
        {"do": "open", "place": 10**12},
        {},
        {"do": ["click"], "place": None},
    ):
        screen.receive(nonsense)
    assert session.screen == "gallery"
    screen.receive({"do": "open", "place": 3})
    assert (session.screen, session.focus) == ("detail", rows[3])


def test_marked_ones_are_rated_together_and_undone_together(screen, session, survey):
    session.marked = np.array([4, 5, 6])
    screen.act({"name": "tag", "value": "ring, arc"})
    screen.act({"name": "artefact", "value": True})
    assert survey.columns["rating: tags"][[4, 5, 6]].tolist() == ["ring, arc"] * 3
    assert survey.columns["rating: judgement"][[3, 4, 5, 6]].tolist() == ["", *["artefact"] * 3]
    screen.act({"name": "undo", "value": True})
    assert survey.columns["rating: judgement"][[4, 5, 6]].tolist() == [""] * 3
    assert survey.columns["rating: tags"][4] == "ring, arc"


def test_keys_rate_the_focus_where_nothing_is_marked(screen, session, survey):
    with pytest.raises(RequestError, match="Nothing is marked"):
        screen.keys()["5"]()
    session.focus = 9
    screen.keys()["5"]()
    assert survey.columns["rating: score"][9] == 5
    assert all(function.__doc__ for function in screen.keys().values())


def test_ratings_refresh_what_is_seen(screen, session):
    generation, refreshed = screen.grid.generation, screen.grid.refreshed
    session.rate([0], score=3)
    assert (screen.grid.generation, screen.grid.refreshed) == (generation, refreshed + 1)
    screen.control({"name": "sort", "value": "rating: score"})
    generation = screen.grid.generation
    session.rate([1], score=5)
    assert screen.grid.generation == generation + 1
    assert session.shown()[:2].tolist() == [1, 0]


def test_only_these_is_seen_by_the_other_screens(screen, session):
    session.marked = np.array([3, 8])
    screen.act({"name": "only", "value": True})
    assert session.selection.tolist() == [3, 8]
    assert screen.grid.total == 2


@pytest.mark.parametrize(
    ("form", "ending"), [("csv", ".csv"), ("parquet", ".parquet"), ("fits", ".zip"), ("regions", ".reg")]
)
def test_export_of_the_marked(screen, session, monkeypatch, form, ending):
    found = []
    monkeypatch.setattr(screen.actions, "_send_msg", found.append)
    session.marked = np.array([3, 8])
    screen.act({"name": "export", "value": form})
    file = found[0]["file"]
    assert file["name"].endswith(f"-2{ending}")
    assert len(base64.b64decode(file["data"])) > 100
    assert not session.busy


def test_export_of_all_that_is_shown(screen, session, monkeypatch):
    found = []
    monkeypatch.setattr(screen.actions, "_send_msg", found.append)
    session.filters = {"labels": frozenset({"bright"})}
    screen.act({"name": "export", "value": "csv"})
    table = pyarrow.csv.read_csv(io.BytesIO(base64.b64decode(found[0]["file"]["data"])))
    assert table.column("cutout_id").to_pylist() == [str(i) for i in session.survey.ids[session.shown()]]


def test_changes_wait_while_another_screen_is_shown(screen, session):
    session.screen = "map"
    total = screen.grid.total
    session.select([1, 2])
    assert screen.grid.total == total
    session.screen = "gallery"
    screen.visited()
    assert screen.grid.total == 2


def test_views_in_the_menu(own_session):
    made = GalleryScreen(own_session)
    made.panel()
    made.control({"name": "views", "value": "save"})
    assert "view-name" in items_of(made.controls)
    own_session.sort = "snr"
    made.control({"name": "view-name", "value": "by snr"})
    assert "view-name" not in items_of(made.controls)
    own_session.sort = ""
    assert ["open:by snr", "by snr", "Open"] in items_of(made.controls)["views"]["options"]
    made.control({"name": "views", "value": "open:by snr"})
    assert own_session.sort == "snr"
    made.control({"name": "views", "value": "delete:by snr"})
    assert len(items_of(made.controls)["views"]["options"]) == 2
