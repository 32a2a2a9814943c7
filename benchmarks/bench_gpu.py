"""Training on one GPU: two whole epochs of SimCLR, ResNet18, 224 px, bf16, batch 512, the pack on the device.

python -m benchmarks.bench_gpu            measure; write results/train-gpu.json
python -m benchmarks.bench_gpu --quick    a tiny run on any device, nothing written

An epoch has the 178,057 images of Riggi et al. 2024; those in the pack are fewer, of noise with holes, and are taken
again and again. A first epoch, in which kernels are compiled and chosen, is not counted; the two that follow are taken
from end to end, with the reading of loss and spread, the numbers of an epoch's end and the checkpoint. The bare step
is the same network's forward, backward and optimiser step on ready-made views, as compiled, in the same arithmetic.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.record import write_result
from skysift.ssl.compiling import compiled, compiles, fast_kernels
from skysift.ssl.fabric import make_fabric
from skysift.ssl.feed import Feed
from skysift.ssl.journal import Journal, Row
from skysift.ssl.loop import Run
from skysift.ssl.pack import Pack
from skysift.ssl.stages import Train
from skysift.ssl.start import new_encoder
from skysift.ssl.train import Job, open_run
from skysift.store.progress import Progress

TARGET_SECONDS, TARGET_RATIO = 60.0, 0.85
R24_RATE = 7.4
"""Images a second of Riggi et al. 2024 on a Quadro RTX 6000."""


@dataclass(frozen=True)
class Setting:
    """What is measured."""

    images: int = 178_057
    distinct: int = 16_384
    size: int = 224
    batch: int = 512
    bare_steps: int = 50


QUICK = Setting(images=40, distinct=12, size=32, batch=8, bare_steps=3)


def main(quick: bool = False, compile: str = "auto") -> dict[str, Any]:
    """Measure and return the figures; none without CUDA, unless it is to be quick."""
    if not quick and not torch.cuda.is_available():
        print("There is no CUDA device here: not measured, nothing written.")
        return {}
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), QUICK if quick else Setting(), compile)
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:<{width}}  {value:.4g}" if isinstance(value, float) else f"{name:<{width}}  {value}")
    seconds, ratio = found["seconds_per_epoch"], found["ratio_to_bare_step"]
    print(f"targets: an epoch in {TARGET_SECONDS:g} s or less, {TARGET_RATIO} of the bare step or more")
    if not quick:
        met = "met" if seconds <= TARGET_SECONDS and ratio >= TARGET_RATIO else "missed"
        print(f"{met}: {seconds:.1f} s, {ratio:.3f}")
    return found


def measure(folder: Path, setting: Setting, compile: str) -> dict[str, Any]:
    """Train three epochs; time the bare step before them."""
    stage = Train.model_validate(
        {
            "cutouts": "0" * 32,
            "image_size": setting.size,
            "batch_size": setting.batch,
            "precision": "bf16-mixed",
            "epochs": 3,
            "compile": compile,
        }
    )
    fabric = make_fabric("auto", stage.precision)
    device = fabric.device
    compile_it, warning = compiles(stage.compile, device)
    if warning is not None:
        print(warning)
    pack = write_noise(folder / "pack", setting)
    job = Job(stage, pack, folder / "checkpoints", setting.batch, compile=compile_it)
    run = open_run(job, fabric, new_encoder(stage))
    run.recipe = replace(run.recipe, steps=setting.images // setting.batch)
    run.feed = RepeatedFeed(pack, device, setting.images)
    run.network.train()
    bare = bare_seconds(run, setting)
    augmentation = augment_seconds(run, setting)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with Progress().bar(run.recipe.total_steps * setting.batch, "three epochs") as bar:
        journal = Timed(bar, device)
        run.fit(journal)
    epochs = np.diff(journal.ends)
    steps, seconds = run.recipe.steps, float(np.mean(epochs))
    per_image = seconds / (steps * setting.batch)  # the last partial batch of an epoch is left out
    return {
        "images_per_second": 1 / per_image,
        "seconds_per_epoch": per_image * setting.images,
        "seconds_of_both_epochs": [round(float(value), 3) for value in epochs],
        "ratio_to_bare_step": bare * steps / seconds,
        "times_r24": 1 / per_image / R24_RATE,
        "bare_step_milliseconds": 1e3 * bare,
        "augmentation_milliseconds": 1e3 * augmentation,
        "peak_memory_gigabytes": torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else 0.0,
        "pack_on_device": run.feed.resident,
        "pack_gigabytes": pack.nbytes / 1e9,
        "distinct_images": setting.distinct,
        "images": setting.images,
        "image_size": setting.size,
        "batch_size": setting.batch,
        "precision": stage.precision,
        "compiled": compile_it,
    }


class RepeatedFeed(Feed):
    """Hands out the images of a pack over and over."""

    def __init__(self, pack: Pack, device: torch.device, images: int) -> None:
        super().__init__(pack, device)
        self._distinct, self._said = len(pack), images

    def __len__(self) -> int:
        return self._said

    def batches(self, rows: Sequence[NDArray[np.int64]]) -> Iterator[tuple[Tensor, Tensor]]:
        return super().batches([numbers % self._distinct for numbers in rows])


class Timed(Journal):
    """Notes when each epoch ends, the device's work included."""

    def __init__(self, bar: Any, device: torch.device) -> None:
        super().__init__(bar, None)
        self.device, self.ends = device, list[float]()

    def epoch(self, row: Row) -> None:
        wait_for(self.device)
        self.ends.append(time.perf_counter())
        super().epoch(row)


def bare_seconds(run: Run, setting: Setting) -> float:
    """Return the time of a step on views that are there already."""
    shape = (setting.batch, run.feed._images.shape[1], setting.size, setting.size)
    device, method, total = run.fabric.device, run.network.method, run.recipe.total_steps
    views = torch.rand(method.views, *shape, device=device).unbind()
    views = [view.contiguous(memory_format=torch.channels_last) for view in views]

    def step() -> None:
        run.fabric.backward(run.model(views).loss)
        run.optimizer.step()
        run.optimizer.zero_grad(set_to_none=True)
        method.after_step(run.network, 1, total)

    with fast_kernels(device), compiled(run.network) if run.compile_backbones else nullcontext():
        return repeated(step, device, setting.bare_steps)


def augment_seconds(run: Run, setting: Setting) -> float:
    """Return the time that all views of a batch take."""
    images, valid, seeds = next(run._batches(0, 0))
    return repeated(torch.no_grad()(lambda: run._views(images, valid, seeds)), run.fabric.device, setting.bare_steps)


def repeated(work: Callable[[], Any], device: torch.device, times: int) -> float:
    """Return the seconds that a call takes within a row of them: the median of five rows, after a first one."""
    rows = []
    for _ in range(6):
        wait_for(device)
        start = time.perf_counter()
        for _ in range(max(1, times // 5)):
            work()
        wait_for(device)
        rows.append((time.perf_counter() - start) / max(1, times // 5))
    return statistics.median(rows[1:])


def wait_for(device: torch.device) -> None:
    """Wait until the device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def write_noise(folder: Path, setting: Setting) -> Pack:
    """Write a pack of noise, a few images at a time; every eighth image has no data in a corner."""
    folder.mkdir(parents=True)
    shape = (setting.distinct, 3, setting.size, setting.size)
    images = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.float16, shape=shape)
    valid = np.lib.format.open_memmap(
        folder / "valid.npy", mode="w+", dtype=np.bool_, shape=(len(images), 1, *shape[2:])
    )
    random = np.random.Generator(np.random.PCG64(0))
    valid[:] = True
    valid[::8, :, : setting.size // 4, : setting.size // 3] = False
    for start in range(0, len(images), 64):
        part = slice(start, start + 64)
        images[part] = random.random(images[part].shape, dtype=np.float32) * valid[part]
    images.flush()
    valid.flush()
    return Pack(folder)


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line; keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tiny run on any device; nothing is written")
    parser.add_argument("--compile", choices=("auto", "always", "never"), default="auto", help="torch.compile")
    options = parser.parse_args(arguments)
    figures = main(quick=options.quick, compile=options.compile)
    if figures and not options.quick:
        print(f"written: {write_result('train-gpu', figures)}")
    return 0


if __name__ == "__main__":
    sys.exit(run())
