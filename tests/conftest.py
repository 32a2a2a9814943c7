"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real observations; the test is skipped where they are absent."""
    folder = Path(os.environ.get("SKYSIFT_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"no real observations at {folder} (set SKYSIFT_DATA)")
    return folder


@pytest.fixture(autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests out of the user's caches and store."""
    monkeypatch.setenv("SKYSIFT_CACHE", str(tmp_path_factory.getbasetemp() / "skysift-cache"))
    monkeypatch.delenv("SKYSIFT_STORE", raising=False)
