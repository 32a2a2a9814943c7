"""The commands of `docs/first-run.md`, as they stand there, on the real fields."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from skysift.store import Store
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "first-run.md"


@pytest.mark.slow
@pytest.mark.realdata
def test_first_run_as_written(data_dir: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) == 3
    script = "set -eu\n" + "".join(blocks) + "echo ids $score $baseline\n"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "SKYSIFT_DATA": str(data_dir), "PATH": path}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    score, baseline = done.stdout.splitlines()[-1].split()[1:]
    store = Store(tmp_path / "first-store")
    rows = {a.kind: a.counts["rows"] for a in store.artifacts() if a.kind in ("merge", "subsample", "dataset")}
    assert rows == {"merge": 1883, "subsample": 500, "dataset": 1069}
    trained, untrained = (store.get(i).counts["linear_accuracy"] for i in (score, baseline))
    assert trained > 0.58
    assert untrained > 0.5
    assert (tmp_path / "first-run.html").stat().st_size > 100_000
    assert json.loads((store.get(score).folder / "manifest.json").read_text())["counts"]["rows"] == 1069
