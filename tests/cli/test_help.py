"""Help: quick, without the heavy libraries, complete."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from skysift.cli.program import build_app
from skysift.pipeline.catalogue import STAGES, stage_class
from tests.cli.runner import skysift

COMMANDS = sorted(name for name in build_app() if not name.startswith("-"))
HEAVY = (
    "torch",
    "astropy",
    "dask",
    "distributed",
    "pyarrow",
    "scipy",
    "sklearn",
    "matplotlib",
    "timm",
    "sqlalchemy",
    "panel",
    "bokeh",
)

PROBE = """
import json, sys
from skysift.cli.program import main
codes = [main([*words, "--help"]) for words in json.loads(sys.argv[1])]
sys.stderr.write(json.dumps([codes, [m for m in json.loads(sys.argv[2]) if m in sys.modules]]))
"""


def test_no_heavy_library_is_imported_for_help() -> None:
    words = [[], *([name] for name in COMMANDS)]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(words), json.dumps(HEAVY)], capture_output=True, text=True, check=True
    )
    codes, loaded = json.loads(done.stderr)
    assert set(codes) == {0}
    assert loaded == []
    assert len(COMMANDS) >= 23


def test_help_answers_at_once() -> None:
    """In time of the processor, so that other work on the machine does not count."""
    times = []
    for _ in range(3):
        before = os.times()
        assert skysift("--help").code == 0
        after = os.times()
        times.append(after.children_user - before.children_user + after.children_system - before.children_system)
    assert 0.05 < min(times) < 1.0


@pytest.mark.parametrize("name", sorted(STAGES))
def test_every_option_is_explained(name: str) -> None:
    for field in stage_class(name).model_fields.values():
        assert field.description
    text = skysift(name, "--help").out
    assert "Examples" in text
    assert f"skysift {name}" in text
    assert "--store" in text


def test_version_and_module() -> None:
    assert skysift("--version").out.strip() == "0.1.0"
