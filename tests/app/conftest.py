"""A small store, a survey of it, and the app as a process of its own."""

from __future__ import annotations

import shutil
import sys
import tracemalloc  # noqa: F401 - pytest imports it when a warning is raised late, which Ctrl-C may interrupt
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from app_store import SmallStore, build
from live import LiveApp, start_on

from skysift.app.session import Session
from skysift.app.survey import Survey


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> SmallStore:
    """A store with cutouts, features, scores, a map, clusters and a subsample; not to be written to."""
    return build(tmp_path_factory.mktemp("app"))


@pytest.fixture
def survey(small_store: SmallStore, tmp_path: Path) -> Survey:
    """A survey of the small store with an empty ledger of its own."""
    return Survey(small_store.store, ledger=str(tmp_path / "ledger.sqlite"))


@pytest.fixture
def session(survey: Survey) -> Session:
    """A session of a user of that name on the survey."""
    return Session(survey, user="vera")


@pytest.fixture
def own_store(small_store: SmallStore, tmp_path: Path) -> Path:
    """A copy of the small store that a test may write to."""
    return Path(shutil.copytree(small_store.store.root, tmp_path / "store"))


@pytest.fixture(scope="session")
def live_app(small_store: SmallStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApp]:
    """The app on a copy of the small store, as a process behind a prefix; shared, so leave no mess that others see."""
    store = tmp_path_factory.mktemp("live") / "store"
    shutil.copytree(small_store.store.root, store)
    app = start_on(store, "--prefix", "/sky")
    yield app
    app.stop()
