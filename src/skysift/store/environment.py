"""What may differ between two equal runs: when, where and with which versions."""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skysift.store.context import Context

PACKAGES = ("skysift", "numpy", "torch", "astropy", "pyarrow", "timm", "lightly", "scikit-learn", "dask")


def describe_run(start: float, context: Context, paths: dict[str, str]) -> dict[str, Any]:
    """Return the content of `run.json`.

    Parameters
    ----------
    start : float
        When the work began [s since 1970].
    context : Context
        Of the stage that ran.
    paths : dict of str to str
        Fingerprint -> path of each source file.
    """
    return {
        "created": time.time(),
        "seconds": time.time() - start,
        "command": sys.argv,
        "host": platform.node(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "workers": context.engine.workers,
        "device": context.device,
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "sources": paths,
        "companions": {
            name: [[owner, file.path] for owner, file in pairs] for name, pairs in context._companions.items() if pairs
        },
        "warnings": context.warnings,
        "progress": context.bars,
        "runtime": context.runtime,
    }


def processor() -> str:
    """Return the processor's model name."""
    try:
        with Path("/proc/cpuinfo").open() as stream:
            names = [line.split(":", 1)[1].strip() for line in stream if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
