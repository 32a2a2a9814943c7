"""What a rating may hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from skysift.discovery.ledger import Rating
from skysift.discovery.ledger.rating import check_user, checked
from skysift.errors import RequestError

GOOD = {"cutout_id": "00c0ffee00c0ffee", "user": "vera", "score": 3}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cutout_id": "00C0FFEE00C0FFEE"}, "cutout_id: must be 16 hex digits"),
        ({"cutout_id": "../../etc/passwd"}, "cutout_id: must be 16 hex digits"),
        ({"cutout_id": "00c0ffee00c0ffee\n"}, "cutout_id"),
        ({"score": 6}, "score: .*less than or equal to 5"),
        ({"score": -1}, "score: .*greater than or equal to 0"),
        ({"score": True}, "score: .*integer"),
        ({"score": 2.5}, "score: .*integer"),
        ({"score": "3"}, "score: .*integer"),
        ({"judgement": "weird"}, "judgement: .*'interesting', 'artefact' or 'boring'"),
        ({"user": ""}, "user: .*at least 1"),
        ({"user": "   "}, "user: .*at least 1"),
        ({"user": "v" * 65}, "user: .*at most 64"),
        ({"user": "ve\x00ra"}, r"user: holds the character U\+0000"),
        ({"user": "ve\u202era"}, r"user: holds the character U\+202E"),
        ({"comment": "two\nlines"}, r"comment: holds the character U\+000A"),
        ({"comment": "\ud800"}, r"comment: holds the character U\+D800"),
        ({"comment": "c" * 2001}, "comment: .*at most 2000"),
        ({"tags": "ring"}, "tags: give a list"),
        ({"tags": ["a,b"]}, "tags.0: must hold no comma"),
        ({"tags": ["--a"]}, "tags.0: must hold no comma"),
        ({"tags": [""]}, "tags.0: .*at least 1"),
        ({"tags": ["t" * 65]}, "tags.0: .*at most 64"),
        ({"tags": [f"t{i}" for i in range(33)]}, "tags: .*at most 32"),
        ({"tags": [3]}, "tags.0: .*string"),
        ({"time": datetime(2026, 1, 1)}, "time: .*timezone"),
        ({"time": datetime(1969, 1, 1, tzinfo=UTC)}, "before 1970"),
        ({"model": "m" * 201}, "model: .*at most 200"),
        ({"undoes": "0" * 32}, "takes another rating back and says something itself"),
        ({"score": None}, "says nothing"),
        ({"colour": "red"}, "colour: Extra inputs"),
    ],
)
def test_bad_input_is_refused_in_one_sentence_that_does_not_repeat_it(values: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        checked({**GOOD, **values})
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert "passwd" not in text


def test_texts_are_composed_and_trimmed_and_tags_do_not_repeat() -> None:
    rating = checked({**GOOD, "user": " Ame\u0301lie ", "tags": ["ring", " ring", "jet"], "comment": " x "})
    assert (rating.user, rating.tags, rating.comment) == ("Am\u00e9lie", ("ring", "jet"), "x")
    assert check_user(" vera ") == "vera"


def test_the_id_depends_on_all_that_is_said_and_not_on_the_time_zone() -> None:
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    first = checked({**GOOD, "time": moment})
    assert checked({**GOOD, "time": moment.astimezone(timezone(timedelta(hours=5)))}).rating_id == first.rating_id
    assert first.rating_id == "551065ae512b44f503cd16b6adf1aedf"
    others = [
        {"score": 4},
        {"user": "otto"},
        {"tags": ["x"]},
        {"comment": "x"},
        {"model": "x"},
        {"judgement": "boring"},
    ]
    ids = {checked({**GOOD, "time": moment, **other}).rating_id for other in others}
    assert len(ids | {first.rating_id}) == len(others) + 1


def test_a_rating_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Rating(**GOOD).score = 5
