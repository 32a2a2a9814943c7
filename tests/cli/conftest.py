"""A small simulated survey for the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from skysift.sky.simulate import SurveyConfig, simulate


@pytest.fixture(scope="session")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two mosaics of 256 pixels squared, with truth and labelled cutouts."""
    folder = tmp_path_factory.mktemp("survey") / "tiny"
    simulate(folder, SurveyConfig.preset("tiny", seed=1))
    return folder
