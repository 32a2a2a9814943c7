from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skysift.curation.stages import Cluster
from skysift.store.artifact import Artifact
from skysift.store.store import Store
from tests.curation.conftest import MadeFeatures

OPTIONS = {"levels": (150, 30, 5), "resample_rounds": 4}
RUN = """
import sys
import torch
from skysift.curation.stages import Cluster
from skysift.store.store import Store
torch.set_num_threads(1)
Store(sys.argv[1]).run(Cluster(features=sys.argv[2], levels=(150, 30, 5), resample_rounds=4))
"""


def files(artifact: Artifact) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in artifact.folder.iterdir() if p.is_file() and p.name != "run.json"}


@pytest.mark.slow
def test_sigkill_between_rounds_changes_nothing(tmp_path: Path) -> None:
    made = MadeFeatures(n=6000, dim=64)
    whole = Store(tmp_path / "whole")
    expected = whole.run(Cluster(features=whole.run(made).id, **OPTIONS))  # type: ignore[arg-type]
    store = Store(tmp_path / "killed")
    features = store.run(made)
    process = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path / "killed"), features.id])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("killed/**/level_1_round_001.npy")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(tmp_path.glob("killed/clusters/*"))
    assert list(tmp_path.glob("killed/**/level_1_round_*.npy"))
    again = store.run(Cluster(features=features.id, **OPTIONS))  # type: ignore[arg-type]
    assert again.id == expected.id
    assert files(again) == files(expected)
