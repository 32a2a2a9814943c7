"""Filters, order, selection, ratings, and the state in a URL."""

from __future__ import annotations

import numpy as np
import pytest

from skysift.app.session import Session
from skysift.errors import RequestError


def test_everything_is_shown_in_order_of_the_catalogue(session):
    assert session.shown().tolist() == list(range(len(session.survey)))


def test_filters_sort_and_selection(session):
    survey = session.survey
    snr = survey.columns["snr"]
    low = float(np.median(snr))
    session.filters = {"snr": (low, np.inf), "labels": frozenset({"faint", "bright"})}
    session.param.update(sort="peak", descending=True)
    labels = survey.columns["labels"]
    wanted = [r for r in range(len(survey)) if snr[r] >= low and labels[r] in ("faint", "bright")]
    wanted.sort(key=lambda r: -survey.columns["peak"][r])
    assert session.shown().tolist() == wanted
    assert session.shown() is session.shown()
    session.select([*wanted[:5], -3, 10**6])
    assert sorted(session.shown().tolist()) == sorted(wanted[:5])
    session.select([])
    assert len(session.shown()) == len(wanted)


def test_cutouts_without_a_number_come_last_and_pass_no_filter(session):
    survey = session.survey
    values = np.array(survey.columns["peak"], float)
    values[3] = np.nan
    survey.columns.add("half", lambda: values)
    for descending in (True, False):
        session.param.update(sort="half", descending=descending)
        assert session.shown()[-1] == 3
    session.filters = {"half": (-np.inf, np.inf)}
    assert 3 not in session.shown()


def test_neighbours_follow_the_order_shown(session):
    session.param.update(sort="peak", descending=False)
    rows = session.shown()
    session.focus = int(rows[4])
    assert session.neighbour(1) == rows[5]
    assert session.neighbour(-1) == rows[3]
    assert session.neighbour(10**6) == rows[-1]
    session.filters = {"snr": (1e9, 2e9)}
    assert session.neighbour(1) == -1


def test_rating_reaches_other_sessions(session):
    other = Session(session.survey, user="cecilia")
    raised = []
    other.param.watch(lambda event: raised.append(event.new), "rated")
    session.rate(7, judgement="interesting", score=4, tags=("ring",), comment="<script>alert(1)</script>")
    assert not raised
    assert other.poll()
    assert raised == [1]
    columns = session.survey.columns
    assert columns["rating: judgement"][7] == "interesting"
    assert columns["rating: score"][7] == 4
    other.rate([7, 8], score=2)
    session.poll()
    assert columns["rating: score"][7] == 3
    assert columns["rating: users"].tolist()[6:9] == [0, 2, 1]
    session.filters = {"rating: users": (1, np.inf)}
    assert session.shown().tolist() == [7, 8]
    other.undo()
    session.poll()
    assert session.shown().tolist() == [7]


@pytest.mark.parametrize(
    "wrong", [{"judgement": "lovely"}, {"score": 6}, {"score": -1}, {"tags": ["x"] * 1 + [f"t{i}" for i in range(20)]}]
)
def test_wrong_ratings_are_refused(session, wrong):
    with pytest.raises(RequestError):
        session.rate(0, **wrong)
    assert session.survey.ledger.version == 0


def test_without_a_name_nothing_is_rated(survey):
    with pytest.raises(RequestError, match="name"):
        Session(survey).rate(0, score=3)


def test_the_url_restores_the_view(session):
    assert session.to_url() == ""
    session.param.update(screen="map", sort="snr", descending=False, size=96, stretch="asinh", contrast=0.4)
    session.filters = {"peak": (0.001, np.inf), "labels": frozenset({"faint", "<i>very</i> & $bright$"})}
    session.select([3, 5, 8])
    session.focus = 5
    url = session.to_url()
    other = Session(session.survey)
    other.from_url(url)
    assert other.to_url() == url
    assert other.shown().tolist() == session.shown().tolist()
    assert (other.screen, other.focus, other.size, other.contrast) == ("map", 5, 96, 0.4)
    other.from_url("")
    assert other.to_url() == ""


@pytest.mark.parametrize(
    "query",
    [
        "?filters=[",
        "?filters=" + "[" * 3000,
        "?size=99999",
        "?focus=../../etc/passwd",
        "?screen=<script>",
        "?contrast=nan",
        '?selection=["' + "z" * 16 + '"]',
        '?filters={"snr":["a",1]}',
        '?filters={"labels":{"in":[1,{}]}}',
        "?sort=nonsense&descending=maybe",
        "?" + "&".join(f"a{i}=1" for i in range(2000)),
    ],
)
def test_a_spoilt_url_shows_the_usual_view(session, query):
    session.from_url(query)
    assert len(session.shown()) in (0, len(session.survey))


def test_a_subsample_is_shown_as_what_it_kept(small_store, tmp_path):
    from skysift.app.survey import Survey

    survey = Survey(small_store.store, "balanced", ledger=str(tmp_path / "l.sqlite"))
    assert len(Session(survey).shown()) == 60
