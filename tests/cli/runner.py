"""Running the command line as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
ENVIRONMENT.pop("SKYSIFT_STORE", None)


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, standard output and error."""

    code: int
    out: str
    err: str

    @property
    def id(self) -> str:
        """The id that a stage prints, the only line on stdout."""
        assert self.code == 0, self.err
        [line] = self.out.splitlines()
        assert len(line) == 32, self.out
        return line


def start(*words: str | Path, store: Path | None = None, cwd: Path | None = None) -> subprocess.Popen[str]:
    """Start `skysift WORDS`."""
    environment = ENVIRONMENT | ({"SKYSIFT_STORE": str(store)} if store is not None else {})
    return subprocess.Popen(
        [sys.executable, "-m", "skysift", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=cwd,
        start_new_session=True,
    )


def skysift(*words: str | Path, store: Path | None = None, cwd: Path | None = None) -> Outcome:
    """Run `skysift WORDS` to its end."""
    process = start(*words, store=store, cwd=cwd)
    out, err = process.communicate(timeout=300)
    return Outcome(process.returncode, out, err)
