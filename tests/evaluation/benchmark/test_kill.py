"""A benchmark that is killed carries on, and ends as if nothing had happened; with any number of workers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from skysift.evaluation.benchmark.stages import Benchmark
from skysift.store.store import Store
from tests.cli.runner import start
from tests.evaluation.benchmark.conftest import contents

pytestmark = pytest.mark.slow
ENCODERS = {"a": [(0.5, 0)], "b": [(1.0, 1)]}


def test_sigkill_and_two_workers_change_nothing(tmp_path: Path, inputs) -> None:
    whole = Store(tmp_path / "whole")
    made = inputs(whole, ENCODERS, {"d": 5})
    stage = Benchmark(**made, draws=6)
    expected = whole.run(stage)
    store = Store(tmp_path / "killed")
    inputs(store, ENCODERS, {"d": 5})
    words = ["benchmark", "--features", *made["features"], "--encoder-of", "a,b", "--dataset-of", "d,d", "--draws", "6"]
    process = start(*words, "--workers", "2", store=store.root)
    deadline = time.monotonic() + 120
    pattern = ".partial/*/.scratch/benchmark/*.json"
    while len(list(store.root.glob(pattern))) < 10:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    finished = {path.name: path.stat().st_mtime_ns for path in store.root.glob(pattern)}
    assert 10 <= len(finished) < 144
    assert not list(store.root.glob("benchmark/*"))
    again = start(*words, "--workers", "2", store=store.root)
    kept: dict[str, int] = {}
    while again.poll() is None:
        kept |= {p.name: p.stat().st_mtime_ns for p in store.root.glob(pattern) if p.exists()}
        time.sleep(0.2)
    out, err = again.communicate()
    assert again.returncode == 0, err
    assert out.strip() == expected.id
    assert {name: kept[name] for name in finished} == finished
    assert contents(store.get(expected.id)) == contents(expected)
