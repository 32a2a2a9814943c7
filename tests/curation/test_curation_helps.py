from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bench_curation import SMALL, run_trial


@pytest.mark.slow
def test_rare_classes_are_found_without_labels(tmp_path: Path) -> None:
    """A small version of `benchmarks/bench_curation.py`, on one seed."""
    found = run_trial(SMALL, 1, tmp_path)
    assert found["rare_share"] < 0.02
    assert found["hierarchical"] >= 1.5
    assert found["hierarchical"] > 1.5 * found["uniform"]
    assert found["flat"] >= 1.5
    assert found["facility"] >= 1.5
