"""A survey of 200,000 cutouts: opening, filters and order take little of the processor."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from app_store import synthetic

from skysift.app.session import Session
from skysift.app.survey import Survey

pytestmark = pytest.mark.slow
ROWS = 200_000


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Check the processor's time, which other work on the machine does not lengthen much."""
    start = time.process_time()
    yield
    assert time.process_time() - start < seconds


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    root = tmp_path_factory.mktemp("large")
    return synthetic(root / "store", ROWS), root


def test_open_filter_and_sort(large):
    store, root = large
    with within(2):
        survey = Survey(store, ledger=str(root / "ledger.sqlite"))
        session = Session(survey, user="vera")
        assert len(session.shown()) == ROWS
    with within(1):
        session.filters = {"snr": (1.0, np.inf), "peak": (0.1, 3.0)}
        session.param.update(sort="rms", descending=True)
        first = session.shown()
    rms = survey.columns["rms"][first]
    assert (np.diff(rms) <= 0).all()
    with within(1):
        score = next(name for name in survey.columns if name.endswith(": knn"))
        session.param.update(sort=score)
        assert survey.columns[score][session.shown()[0]] == survey.columns[score][first].max()
    with within(1):
        session.rate(range(500), judgement="boring")
        session.filters = {"rating: judgement": frozenset({"boring"})}
        assert len(session.shown()) == 500
    with within(1):
        rows = [survey.row_of(str(i)) for i in survey.ids[:2000]]
    assert rows == list(range(2000))
    with within(1):
        assert len(session.survey.projections) == 1
    with within(0.05):
        for _ in range(100):
            session.shown()
