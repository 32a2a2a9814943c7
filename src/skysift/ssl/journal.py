"""What a run tells: TensorBoard events and the progress line while it runs, a CSV without clock in the artifact."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skysift.store.progress import Bar

Row = dict[str, float]
"""One epoch of the history: `epoch`, `step`, `lr`, `loss`, and the four collapse numbers, by name."""


class Journal:
    """Follows a run for people; nothing here changes what is trained.

    Parameters
    ----------
    bar : Bar
        Progress line, counted in images.
    log_dir : Path, optional
        For TensorBoard events; none are written without.
    step : int
        Step that the run starts (or resumes) from.
    """

    def __init__(self, bar: Bar, log_dir: Path | None, step: int = 0) -> None:
        self._bar, self._writer = bar, None
        if log_dir is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(log_dir), purge_step=step or None)
        self.images, self._start = 0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Time since this process began training."""
        return time.perf_counter() - self._start

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / max(self.seconds, 1e-9)

    def count(self, images: int) -> None:
        """Count images that went through the network."""
        self.images += images
        self._bar.advance(images)

    def tell(self, step: int, live: dict[str, float], *, waited: float) -> None:
        """Show the latest numbers: `loss`, `embedding_std`, and `rankme` where known."""
        wait = 100 * waited / max(self.seconds, 1e-9)
        parts = [f"{self.rate:.0f} images/s", f"wait {wait:.0f} %", f"loss {live['loss']:.4f}"]
        parts += [f"std {live['embedding_std']:.3f}"] if "embedding_std" in live else []
        parts += [f"RankMe {live['rankme']:.1f}"] if "rankme" in live else []
        self._bar.note(", ".join(parts))
        self._write("train", step, {**live, "images_per_second": self.rate, "wait_percent": wait})

    def epoch(self, row: Row) -> None:
        """Log the numbers of a finished epoch."""
        self._write("epoch", int(row["step"]), {k: v for k, v in row.items() if k not in ("epoch", "step")})

    def close(self) -> None:
        """End the event file."""
        if self._writer is not None:
            self._writer.close()

    def _write(self, group: str, step: int, values: dict[str, float]) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)


def write_history(path: Path, rows: list[Row]) -> None:
    """Write the history of the epochs as CSV, numbers in full precision."""
    with path.open("w", newline="") as handle:
        writer: Any = csv.DictWriter(handle, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: int(v) if k in ("epoch", "step") else repr(float(v)) for k, v in row.items()} for row in rows
        )
