"""Results with date and hardware, one JSON file a benchmark."""

from __future__ import annotations

import datetime
import json
import os
from importlib import metadata
from pathlib import Path
from typing import Any

from skysift.store.environment import processor

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("numpy", "torch", "astropy", "scikit-learn", "faiss-cpu", "timm", "lightly")


def hardware() -> dict[str, Any]:
    """Describe the machine and the versions that a figure depends on."""
    import torch

    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: metadata.version(name) for name in PACKAGES},
    }


def write_result(name: str, figures: dict[str, Any]) -> Path:
    """Write `benchmarks/results/NAME.json`: the newest figures, with date and hardware."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    record = {"date": datetime.date.today().isoformat(), "hardware": hardware(), "figures": figures}
    path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    return path
