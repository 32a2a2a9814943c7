"""Outcomes of finished draws on disk, so that a killed evaluation carries on with the next one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from skysift.evaluation.protocols.base import Outcome

PROBABILITIES = "probabilities"


def save_outcome(outcome: Outcome, path: Path) -> None:
    """Write what a protocol made of a draw, in one step: arrays as arrays, the rest as JSON."""
    arrays = {PROBABILITIES: outcome.probabilities}
    sweep: list[dict[str, Any]] = []
    for number, tried in enumerate(outcome.sweep):
        if PROBABILITIES in tried:
            arrays[f"{PROBABILITIES}_{number}"] = tried[PROBABILITIES]
        sweep.append({name: value for name, value in tried.items() if name != PROBABILITIES})
    rest = json.dumps({"chosen": outcome.chosen, "sweep": sweep, "notes": outcome.notes})
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, rest=np.array(rest), **arrays)
    temporary.replace(path)


def load_outcome(path: Path) -> Outcome:
    """Read what `save_outcome` wrote."""
    with np.load(path, allow_pickle=False) as found:
        rest = json.loads(str(found["rest"]))
        for number, tried in enumerate(rest["sweep"]):
            if f"{PROBABILITIES}_{number}" in found:
                tried[PROBABILITIES] = found[f"{PROBABILITIES}_{number}"]
        return Outcome(found[PROBABILITIES], rest["chosen"], rest["sweep"], rest["notes"])
