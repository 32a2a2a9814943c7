"""What a run tells."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from skysift.ssl.journal import Journal, write_history
from skysift.store.progress import Progress

ROWS = [{"epoch": 1, "step": 5, "loss": 1 / 3}, {"epoch": 2, "step": 10, "loss": 1e-7}]


def test_history_is_csv_in_full_precision(tmp_path: Path) -> None:
    write_history(tmp_path / "history.csv", ROWS)
    text = (tmp_path / "history.csv").read_text()
    assert text.splitlines()[0] == "epoch,step,loss"
    read = list(csv.DictReader(io.StringIO(text)))
    assert [{k: float(v) for k, v in row.items()} for row in read] == ROWS
    assert read[0]["epoch"] == "1"


def test_events_hold_what_was_told(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Progress(quiet=True).bar(10, "train") as bar:
        journal = Journal(bar, tmp_path)
        journal.count(10)
        journal.tell(3, {"loss": 2.5, "embedding_std": 0.4, "rankme": 12.0}, waited=0.0)
        journal.epoch({"epoch": 1, "step": 5, "loss": 2.25})
        journal.close()
        assert bar.done == 10
        for part in ("images/s", "wait 0 %", "loss 2.5000", "std 0.400", "RankMe 12.0"):
            assert part in bar._note
    events = EventAccumulator(str(tmp_path)).Reload()
    assert events.Scalars("train/loss")[0].step == 3
    assert events.Scalars("epoch/loss")[0].value == pytest.approx(2.25)
    assert "epoch/epoch" not in events.Tags()["scalars"]
