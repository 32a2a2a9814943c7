"""A small store, a survey of it, and the app as a process of its own."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from app_store import SmallStore, build

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
