"""Training: the loop with data and augmentation against the bare step on ready-made random tensors.

Both do the same forward, backward and optimiser step of the same network; the two alternate step by step and their
medians are compared. The time of an epoch's end (checkpoint, RankMe) is given apart, as the share of an epoch of
178,057 images that it would take.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from skysift.imaging import Augment, augment
from skysift.ssl.journal import Journal
from skysift.ssl.loop import Run
from skysift.ssl.pack import Pack
from skysift.ssl.stages import Train
from skysift.ssl.train import Job, new_encoder, open_run
from skysift.store.progress import Progress

TARGET = 0.9
HULK_IMAGES = 178_057


def main(quick: bool = False) -> dict[str, float]:
    """Measure both methods; return the ratios."""
    size, batch, pairs = (64, 16, 4) if quick else (128, 32, 20)
    ratios: dict[str, float] = {}
    print(f"ResNet18, {size} px, batch {batch}, {torch.get_num_threads()} threads")
    print(f"target of the ratio: {TARGET}")
    print(f"{'method':<8} {'bare step':>10} {'loop':>10} {'ratio':>7} {'augmentation':>13} {'epoch end':>10}")
    for method in ("simclr", "byol"):
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(folder), method, size=size, batch=batch, pairs=pairs)
        ratios |= {f"{method}_{key}": value for key, value in found.items() if "seconds" not in key}
        print(
            f"{method:<8} {1e3 * found['bare_seconds']:>7.0f} ms {1e3 * found['loop_seconds']:>7.0f} ms "
            f"{found['ratio']:>7.3f} {found['augment_share']:>13.3f} {found['epoch_end_share']:>10.4f}"
        )
    return ratios


def measure(folder: Path, method: str, *, size: int, batch: int, pairs: int) -> dict[str, float]:
    """Time the steps of the loop, the bare step, the augmentation alone and an epoch's end."""
    stage = Train.model_validate({"cutouts": "0" * 32, "method": method, "image_size": size, "batch_size": batch})
    pack = random_pack(folder / "pack", batch * (pairs + 4), size)
    job = Job(stage, pack, folder / "checkpoints", batch)
    run = open_run(job, Fabric(accelerator="cpu", devices=1), new_encoder(stage))
    run.network.train()
    views = [torch.rand(batch, 3, size, size).contiguous(memory_format=torch.channels_last) for _ in range(2)]
    batches = iter(run._batches(0, 0))
    images, valid, seeds = next(batches)
    hulk = Augment.preset("hulk")

    def one_augmentation() -> None:
        augment(images.repeat(2, 1, 1, 1), valid.repeat(2, 1, 1, 1), hulk, seeds.flatten())

    with Progress(quiet=True).bar(1, "bench") as bar:
        journal = Journal(bar, None)

        def loop_step() -> None:
            run._step(*next(batches))
            journal.count(batch)

        def bare() -> None:
            bare_step(run, views)

        for work in (loop_step, loop_step, bare, bare, one_augmentation):
            work()
        times: dict[str, list[float]] = {"loop": [], "bare": [], "augment": []}
        for _ in range(pairs):
            times["bare"].append(timed(bare))
            times["loop"].append(timed(loop_step))
            times["augment"].append(timed(one_augmentation))
        synchronisation = timed(lambda: run._synchronise(journal)) / run.recipe.sync_every
        epoch_end = timed(lambda: run._end_epoch(0, journal))
    loop = statistics.median(times["loop"]) + synchronisation
    bare_time = statistics.median(times["bare"])
    return {
        "bare_seconds": bare_time,
        "loop_seconds": loop,
        "ratio": bare_time / loop,
        "augment_share": statistics.median(times["augment"]) / loop,
        "epoch_end_share": epoch_end / (loop * HULK_IMAGES / batch),
    }


def bare_step(run: Run, views: list[torch.Tensor]) -> None:
    """Forward, backward, optimiser and teacher on the same tensors again and again."""
    run.network(views).loss.backward()
    run.raw_optimizer.step()
    run.raw_optimizer.zero_grad(set_to_none=True)
    run.network.method.after_step(run.network, 1, 1000)


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def random_pack(folder: Path, count: int, size: int) -> Pack:
    """Write a pack of noise."""
    folder.mkdir(parents=True)
    noise = np.random.Generator(np.random.PCG64(0)).random((count, 3, size, size), dtype=np.float32)
    np.save(folder / "images.npy", noise.astype(np.float16))
    np.save(folder / "valid.npy", np.ones((count, 1, size, size), bool))
    return Pack(folder)


if __name__ == "__main__":
    main()
