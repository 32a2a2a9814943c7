"""The queue's logic: what comes next, what is learnt, what is drawn."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from skysift.app.queue.cards import Opinions, card, line
from skysift.app.queue.deck import Deck
from skysift.app.queue.learning import (
    CATALOGUE_ORDER,
    Ranking,
    Request,
    Trainer,
    rank,
    score_columns,
    static_scores,
)
from skysift.app.queue.progress import Said, foresight, found_curve, top_users
from skysift.app.session import Session
from skysift.app.survey import Survey
from skysift.discovery.active import lessons
from skysift.discovery.ledger import Rating
from skysift.errors import RequestError


def deck(n: int = 8, rated: tuple[int, ...] = ()) -> Deck:
    mask = np.zeros(n, bool)
    mask[list(rated)] = True
    return Deck(np.arange(n)[::-1], mask)


def said(*entries: tuple[int, str, float | None]) -> Said:
    """Row, user, score; None is an artefact."""
    rows, users, scores = zip(*entries, strict=True)
    values = np.array([np.nan if score is None else score for score in scores], float)
    columns = {"cutout_id": [str(row) for row in rows], "user": users, "score": scores}
    table = pa.table({**columns, "judgement": ["artefact" if score is None else None for score in scores]})
    return Said(np.array(rows), np.array(users, object), values, lessons(table, {str(row): row for row in rows}))


# -- the deck --------------------------------------------------------------------------------------------------------


def test_unrated_come_first_in_order_of_rank() -> None:
    dealt = deck(rated=(7, 5))
    assert dealt.current == 6
    assert dealt.rank_of(6) == 2
    assert dealt.upcoming(20) == [4, 3, 2, 1, 0, 7, 5]
    assert [dealt.forward() for _ in range(8)] == [4, 3, 2, 1, 0, 7, 5, 5]
    assert dealt.left == 6


def test_back_and_forth_along_what_was_seen() -> None:
    dealt = deck()
    assert [dealt.current, dealt.forward(), dealt.forward()] == [7, 6, 5]
    assert [dealt.back(), dealt.back(), dealt.back()] == [6, 7, 7]
    assert dealt.upcoming(3) == [6, 5, 4]
    dealt.forward()
    assert dealt.behind(5) == [7]
    assert dealt.current == 6


def test_ratings_of_others_never_move_what_is_looked_at() -> None:
    dealt = deck()
    dealt.rated = np.ones(8, bool)
    dealt.rated[2] = False
    assert dealt.current == 7
    assert dealt.forward() == 2
    dealt.reorder(np.array([0, 1, 2, 3]))
    assert dealt.current == 2
    assert (dealt.rank_of(2), dealt.rank_of(7)) == (3, 0)
    dealt.reorder(np.array([1, 0]), restart=True)
    assert dealt.current == 1
    assert dealt.behind(3) == []


def test_going_to_a_row_that_was_not_dealt() -> None:
    dealt = deck()
    dealt.forward()
    assert dealt.go_to(3) == 3
    assert dealt.back() == 6
    assert dealt.go_to(3) == 3
    assert dealt.upcoming(2) == [5, 4]


def test_no_candidates() -> None:
    empty = Deck(np.array([], np.int64), np.zeros(5, bool))
    assert (empty.current, empty.forward(), empty.back(), empty.upcoming(3), empty.left) == (-1, -1, -1, [], 0)
    empty.reorder(np.array([4]))
    assert empty.current == 4


# -- what was said -------------------------------------------------------------------------------------------------


def test_ratings_as_the_queue_reads_them(survey: Survey) -> None:
    ids = survey.ids
    for row, user, judgement, score in [
        (3, "ada", None, 5),
        (4, "ada", "artefact", None),
        (5, "bob", "boring", None),
        (3, "bob", "interesting", None),
        (6, "bob", None, None),
    ]:
        tags = ("ring",) if judgement is None and score is None else ()
        survey.ledger.add(Rating(cutout_id=str(ids[row]), user=user, judgement=judgement, score=score, tags=tags))
    survey.ledger.add(Rating(cutout_id="f" * 16, user="bob", score=1))
    found = Said.read(survey)
    assert found.rows.tolist() == [3, 4, 5, 3]
    np.testing.assert_array_equal(found.scores, [5, np.nan, 0, 5])
    assert (found.taught.rows.tolist(), found.taught.scores.tolist()) == ([3, 5], [5.0, 0.0])
    assert found.taught.artefact_rows.tolist() == [4]
    assert np.flatnonzero(found.rated(len(survey))).tolist() == [3, 4, 5]
    assert np.flatnonzero(found.rated(len(survey), "bob")).tolist() == [3, 5]
    assert top_users(found) == ["ada", "bob"]
    mine, others = Opinions(survey, survey.ledger.current()).of(3, "ada")
    assert mine == ["5"]
    assert others == [["bob", "interesting"]]


def test_found_against_rated() -> None:
    heard = said((1, "ada", 5), (2, "ada", 1), (1, "bob", 0), (3, "bob", None), (2, "bob", 4), (4, "ada", 4))
    assert found_curve(heard, "ada") == ([0, 1, 2, 3], [0, 1, 1, 2])
    assert found_curve(heard, "bob") == ([0, 1, 2, 3], [0, 0, 0, 1])
    # together: 2 becomes a find when bob calls it one; 1 stays one
    assert found_curve(heard) == ([0, 1, 2, 3, 3, 4], [0, 1, 1, 1, 2, 3])
    assert found_curve(said((1, "ada", 3)), "nobody") == ([0], [0])


def test_foresight_is_the_error_on_the_ratings_that_follow() -> None:
    rng = np.random.default_rng(0)
    space = rng.uniform(-1, 1, (200, 2)).astype(np.float32)
    truth = np.where(space[:, 0] > 0, 5.0, 0.0)
    heard = said(*((row, "ada", truth[row]) for row in range(60)))
    rated, error, plain = foresight(space, np.zeros(200), heard, blocks=4)
    assert rated == [10, 22, 35, 47]
    assert error[-1] < 0.6  # a step in one coordinate is easy; knowing nothing errs by 2.5
    assert max(error) < 1.2
    assert min(plain) > 1.7
    assert foresight(space, np.zeros(200), said((1, "ada", 3))) == ([], [], [])


# -- ordering --------------------------------------------------------------------------------------------------------


def test_scores_of_rankings_stand_before_other_columns(survey: Survey) -> None:
    columns = score_columns(survey)
    assert columns[0] == "odd: ensemble"
    assert "odd: knn" in columns
    assert columns[-1] == CATALOGUE_ORDER
    assert not any(name.endswith(("_raw", ": rank")) for name in columns)


def test_without_learning_the_score_decides(survey: Survey) -> None:
    found = rank(survey, Request("odd: ensemble"), Said.read(survey))
    assert found.model == ""
    values = survey.columns["odd: ensemble"][found.order]
    assert (np.diff(values) <= 0).all()
    assert rank(survey, Request(CATALOGUE_ORDER), Said.read(survey)).order.tolist() == list(range(len(survey)))


@pytest.mark.parametrize("kind", ["astronomaly", "expected-improvement"])
def test_learning_brings_what_was_liked_to_the_front(survey: Survey, kind: str) -> None:
    features = np.asarray(survey.features.array)  # type: ignore[union-attr]
    liked = features[:, 5] > np.quantile(features[:, 5], 0.8)
    rng = np.random.default_rng(1)
    rows = rng.choice(len(survey), 80, replace=False)
    heard = said(*((int(row), "ada", 5.0 if liked[row] else 0.0) for row in rows))
    told: list[str] = []
    found = rank(survey, Request("odd: ensemble", kind, 0.0, learn=True), heard, told.append)
    assert sorted(found.order.tolist()) == list(range(len(survey)))
    assert found.rated == 80
    assert found.model == f"{kind} 0 after 80"
    assert "80 rated cutouts" in told[-1]
    unseen = found.order[~np.isin(found.order, rows)]
    before = rank(survey, Request("odd: ensemble"), heard).order
    before = before[~np.isin(before, rows)]
    top = len(unseen) // 5
    assert liked[unseen[:top]].mean() > max(liked[before[:top]].mean(), 3 * liked.mean())
    again = rank(survey, Request("odd: ensemble", kind, 0.0, learn=True), heard)
    np.testing.assert_array_equal(again.order, found.order)


def test_columns_with_gaps_rank_them_last(survey: Survey) -> None:
    values = np.array(survey.columns["snr"], float)
    values[3] = np.nan
    survey.columns.add("gappy", lambda: values.copy())
    scores = static_scores(survey, "gappy")
    assert scores[3] < np.nanmin(values)
    assert np.isfinite(scores).all()


def test_learning_needs_features(small_store: Any, tmp_path: Any) -> None:
    plain = Survey(small_store.store, small_store.cutouts.id, ledger=str(tmp_path / "l.sqlite"))
    plain.ledger.add(Rating(cutout_id=str(plain.ids[0]), user="ada", score=5))
    with pytest.raises(RequestError, match="skysift features"):
        rank(plain, Request("snr", learn=True), Said.read(plain))


def test_the_newest_request_is_done_next_and_failures_are_delivered(survey: Survey) -> None:
    done: list[tuple[Request, Any]] = []
    curves: list[Any] = []
    finished = threading.Event()

    def tell(text: str) -> None:
        if not text:
            finished.set()

    trainer = Trainer(survey, lambda f: f(), tell, lambda r, x: done.append((r, x)), curves.append)
    heard = said(*((row, "ada", float(row % 6)) for row in range(30)))
    trainer.start(Request("odd: ensemble", learn=True), heard)
    for explore in (0.1, 0.2, 0.9):
        trainer.start(Request("odd: ensemble", explore=explore, learn=True), heard)
    assert finished.wait(60)
    assert not trainer.busy
    assert done[-1][0].explore == 0.9
    assert len(done) <= 3
    assert all(isinstance(result, Ranking) for _, result in done)
    assert len(curves[-1][0]) > 2
    finished.clear()
    trainer.start(Request("odd: ensemble", "no such kind", learn=True), heard)
    assert finished.wait(60)
    assert isinstance(done[-1][1], RequestError)


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_cards_say_what_is_known_and_what_was_said(survey: Survey) -> None:
    survey.ledger.add(Rating(cutout_id=str(survey.ids[2]), user="<b>bob</b>", judgement="boring"))
    survey.ledger.add(Rating(cutout_id=str(survey.ids[2]), user="vera", score=4))
    shown = card(survey, 2, 7, "odd: ensemble", Opinions(survey, survey.ledger.current()), "vera")
    assert shown["id"] == survey.ids[2]
    assert (shown["rank"], shown["mine"], shown["given"]) == (7, "4", ["4"])
    assert shown["said"] == [["<b>bob</b>", "boring"]]  # as text: the browser never takes it for markup
    names = [name for name, _ in shown["facts"]]
    assert names[0] == "odd: ensemble"
    assert "snr" in names


def test_the_browser_knows_what_comes_next(survey: Survey) -> None:
    dealt = Deck(np.arange(len(survey)), np.zeros(len(survey), bool))
    for _ in range(6):
        dealt.forward()
    cards, place = line(survey, dealt, "snr", Opinions(survey, survey.ledger.current()), "vera")
    assert place == 4
    assert [c["id"] for c in cards] == [str(i) for i in survey.ids[2:17]]


class Page:
    """The screen without a browser."""

    def __init__(self, session: Session) -> None:
        from skysift.app.screens.queue import QueueScreen

        self.session, self.seq = session, 0
        session.screen = "queue"
        self.screen = QueueScreen(session)
        self.screen.panel()
        self.screen.visited()

    def send(self, **message: Any) -> None:
        self.seq += 1
        message.setdefault("id", self.shown)
        self.screen._received({**message, "seq": self.seq})

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.screen._cards.state
        return found

    @property
    def shown(self) -> str:
        return str(self.state["line"][self.state["place"]]["id"])

    @property
    def status(self) -> str:
        return next(item["text"] for item in self.screen._controls.items if item["name"] == "status")


def test_rating_goes_on_and_undo_comes_back(session: Session) -> None:
    page = Page(session)
    order = rank(session.survey, Request("odd: ensemble"), Said.read(session.survey)).order
    ids = [str(i) for i in session.survey.ids[order[:5]]]
    assert page.shown == ids[0]
    page.send(rate={"score": 5})
    page.send(rate={"judgement": "artefact"})
    assert page.shown == ids[2]
    assert page.state["seq"] == 2
    current = session.survey.ledger.current().to_pylist()
    assert sorted((r["cutout_id"], r["judgement"], r["score"]) for r in current) == sorted(
        [(ids[0], None, 5), (ids[1], "artefact", None)]
    )
    page.send(undo=True)
    assert page.shown == ids[1]
    assert session.survey.ledger.current().num_rows == 1
    page.send(step=1)
    page.send(step=-1)
    page.send(step=-1)
    assert page.shown == ids[0]
    assert page.state["line"][page.state["place"]]["mine"] == "5"
    assert "unrated" in page.status


def test_a_key_pressed_on_an_older_candidate_rates_that_one(session: Session) -> None:
    page = Page(session)
    first = page.shown
    page.send(step=1)
    page.send(rate={"score": 2}, id=first)
    assert session.survey.ledger.current().column("cutout_id").to_pylist() == [first]


@pytest.mark.parametrize(
    "message",
    [
        {"rate": {"score": 9}},
        {"rate": {"judgement": "odd"}},
        {"rate": {"score": 1}, "id": "../../etc/passwd"},
        {"rate": {"score": 1}, "id": "0" * 16},
        {"undo": True},
    ],
)
def test_bad_messages_write_nothing(session: Session, message: dict[str, Any]) -> None:
    page = Page(session)
    page.send(**message)
    assert session.survey.ledger.current().num_rows == 0
    assert session.message[0] == "error"


def test_without_a_name_nothing_is_rated(survey: Survey) -> None:
    page = Page(Session(survey))
    first = page.shown
    page.send(rate={"score": 3})
    assert survey.ledger.current().num_rows == 0
    assert page.shown == first
    assert "name" in page.session.message[1]


def test_another_browser_rates(survey: Survey) -> None:
    one, two = Page(Session(survey, user="ada")), Page(Session(survey, user="bob"))
    first, second = one.shown, one.state["line"][1]["id"]
    one.send(rate={"score": 4})
    one.send(rate={"score": 1})
    assert two.shown == first
    assert two.session.poll()
    assert two.shown == first
    assert two.state["line"][0]["said"] == [["ada", "4"]]
    assert second not in [c["id"] for c in two.state["line"]]
    two.screen._controlled({"name": "whose", "value": "me"})
    assert [c["id"] for c in two.state["line"][:2]] == [first, second]


def test_filters_and_selections_choose_the_candidates(session: Session) -> None:
    page = Page(session)
    session.selection = np.array([3, 8])
    assert sorted(c["id"] for c in page.state["line"]) == sorted(map(str, session.survey.ids[[3, 8]]))
    session.filters = {"snr": (1e9, np.inf)}
    assert page.state["line"] == []


def test_retrain_reorders_the_queue(session: Session) -> None:
    page = Page(session)
    page.screen._controlled({"name": "retrain"})
    assert "Nothing is rated" in session.message[1]
    features = np.asarray(session.survey.features.array)  # type: ignore[union-attr]
    for row in np.random.default_rng(0).choice(len(features), 40, replace=False):
        session.rate(int(row), score=5 if features[row, 5] > np.median(features[:, 5]) else 0)
    before = [c["id"] for c in page.state["line"]]
    page.screen._controlled({"name": "retrain"})
    thread = page.screen._trainer._thread
    assert thread is None or thread.join(60) is None
    assert [c["id"] for c in page.state["line"]] != before
    assert "Reordered after 40 rated cutouts" in session.message[1]
    assert "learnt" in page.status
    page.send(rate={"score": 1})
    table = session.survey.ledger.current()
    assert "astronomaly 0.5 after 40" in table.column("model").to_pylist()
    page.screen._controlled({"name": "forget"})
    thread = page.screen._trainer._thread
    assert thread is None or thread.join(60) is None
    assert "static" in page.status


def test_keys_have_a_line_of_help(session: Session) -> None:
    keys = Page(session).screen.keys()
    assert set("012345aibu") | {"ArrowLeft", "ArrowRight"} == set(keys)
    assert all(function.__doc__ for function in keys.values())
