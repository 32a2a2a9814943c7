"""Stage modules are read for `--help`: importing them must cost nothing."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("numpy", "torch", "astropy", "dask", "pyarrow", "scipy", "sklearn", "matplotlib")


def test_stages_import_nothing_heavy() -> None:
    code = (
        "import sys, skysift.cutouts, skysift.datasets, skysift.cutouts.stages, skysift.datasets.stages\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
