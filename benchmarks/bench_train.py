"""Training on the CPU: the loop against the bare step, and against peers' pipelines of augmentation.

The loop with data and augmentation, and the bare step on ready-made random tensors, do the same forward, backward and
optimiser step of the same network; the two alternate step by step and their medians are compared. The time of an
epoch's end (checkpoint, RankMe) is given apart, as the share of an epoch of 178,057 images that it would take.

The peers feed the same network, optimiser and threads from a PyTorch DataLoader, once in the training process and once
with a worker a core, the better of which counts: lightly's views for SimCLR of PIL images, and torchvision's transforms
of tensors, image by image, both doing what `hulk` does as far as they know it.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from skysift.encoders._torchvision import ensure
from skysift.imaging import Augment, augment
from skysift.ssl.journal import Journal
from skysift.ssl.loop import Run
from skysift.ssl.pack import Pack
from skysift.ssl.stages import Train
from skysift.ssl.start import new_encoder
from skysift.ssl.train import Job, open_run
from skysift.store.progress import Progress

TARGET, PEER_TARGET = 0.9, 1.0
HULK_IMAGES = 178_057


def main(quick: bool = False) -> dict[str, float]:
    """Measure both methods, then the peers; return the ratios."""
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
    print(f"\ntarget of skysift over peer: {PEER_TARGET}")
    print(f"{'pipeline':<14} {'images/s':>9} {'with workers':>13} {'skysift over it':>16}")
    with tempfile.TemporaryDirectory() as folder:
        ratios |= against_peers(Path(folder), size=size, batch=batch, steps=2 if quick else 8)
    return ratios


def measure(folder: Path, method: str, *, size: int, batch: int, pairs: int) -> dict[str, float]:
    """Time the steps of the loop, the bare step, the augmentation alone and an epoch's end."""
    run = open_random_run(folder, method, size=size, batch=batch, count=batch * (pairs + 4))
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
        run.checkpoints.finish()
    loop = statistics.median(times["loop"]) + synchronisation
    bare_time = statistics.median(times["bare"])
    return {
        "bare_seconds": bare_time,
        "loop_seconds": loop,
        "ratio": bare_time / loop,
        "augment_share": statistics.median(times["augment"]) / loop,
        "epoch_end_share": epoch_end / (loop * HULK_IMAGES / batch),
    }


def against_peers(folder: Path, *, size: int, batch: int, steps: int) -> dict[str, float]:
    """Train SimCLR for some steps from each pipeline in turn, three rounds; return our rate over each peer's."""
    run = open_random_run(folder, "simclr", size=size, batch=batch, count=batch * steps)
    images = Pack(folder / "pack").images().astype(np.float32)
    peers: dict[str, Dataset[list[Tensor]]] = {
        "lightly": Lightly((255 * images).astype(np.uint8)),
        "torchvision": Torchvision(torch.from_numpy(images)),
    }
    cores = len(os.sched_getaffinity(0))
    loaders = {
        (name, workers): DataLoader(
            views, batch, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0
        )
        for name, views in peers.items()
        for workers in (0, cores)
    }

    def ours() -> None:
        for images, valid, seeds in run._batches(0, 0):
            run._step(images, valid, seeds)

    def theirs(loader: DataLoader[list[Tensor]]) -> None:
        for views in loader:
            bare_step(run, [view.contiguous(memory_format=torch.channels_last) for view in views])

    for loader in loaders.values():
        theirs(loader)  # workers start
    ours()
    rounds: list[dict[Any, float]] = []
    for _ in range(3):
        seconds: dict[Any, float] = {"skysift": timed(ours)}
        seconds |= {key: timed(lambda loader=loader: theirs(loader)) for key, loader in loaders.items()}
        rounds.append(seconds)
    rate = {key: batch * steps / statistics.median(found[key] for found in rounds) for key in rounds[0]}
    print(f"{'skysift':<14} {rate['skysift']:>9.1f} {'':>13} {1:>16.3f}")
    ratios = {}
    for name in peers:
        alone, helped = rate[name, 0], rate[name, cores]
        ratios[f"over_{name}"] = rate["skysift"] / max(alone, helped)
        print(f"{name:<14} {alone:>9.1f} {helped:>13.1f} {ratios[f'over_{name}']:>16.3f}")
    return ratios


class Lightly(Dataset[list[Tensor]]):
    """lightly's views for SimCLR of PIL images, uint8 (N, 3, S, S), with `hulk`'s numbers; it knows no thresholding."""

    def __init__(self, images: np.ndarray[Any, Any]) -> None:
        ensure()
        from lightly.transforms import SimCLRTransform

        self.images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        spec = Augment.preset("hulk")
        assert spec.crop is not None
        self.transform = SimCLRTransform(
            input_size=images.shape[-1],
            min_scale=spec.crop[0] ** 2,
            cj_prob=spec.jitter_probability,
            cj_strength=spec.jitter_strength,  # its own numbers at strength 1 are hulk's: 0.8, 0.8, 0.8, 0.2
            random_gray_scale=0.0,
            gaussian_blur=spec.blur_probability,
            sigmas=spec.blur_sigma,
            hf_prob=spec.flip_horizontal,
            vf_prob=spec.flip_vertical,
            rr_prob=spec.rotate_probability,
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> list[Tensor]:
        from PIL import Image

        return list(self.transform(Image.fromarray(self.images[index])))


class Torchvision(Dataset[list[Tensor]]):
    """What `hulk` does, by torchvision's transforms, of tensors float32 (N, 3, S, S)."""

    def __init__(self, images: Tensor) -> None:
        ensure()
        from torchvision.transforms import v2

        size, spec = images.shape[-1], Augment.preset("hulk")
        assert spec.crop is not None
        low, high = spec.crop
        strength = spec.jitter_strength
        jitter = v2.ColorJitter(
            strength * spec.brightness, strength * spec.contrast, strength * spec.saturation, strength * spec.hue
        )
        flips = v2.RandomChoice(
            [v2.RandomHorizontalFlip(1), v2.RandomVerticalFlip(1), v2.Identity()],
            p=[spec.flip_horizontal, spec.flip_vertical, 1 - spec.flip_horizontal - spec.flip_vertical],
        )
        width = 2 * int(3 * spec.blur_sigma[1]) + 1
        self.images = images
        self.transform = v2.Compose(
            [
                v2.RandomResizedCrop(size, scale=(low**2, high**2), ratio=(1, 1), antialias=False),
                v2.RandomApply([jitter], spec.jitter_probability),
                flips,
                v2.RandomApply([v2.Lambda(quarter_turns)], spec.rotate_probability),
                v2.RandomApply([v2.GaussianBlur(width, spec.blur_sigma)], spec.blur_probability),
                v2.RandomApply([v2.Lambda(without_faint)], spec.threshold_probability),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> list[Tensor]:
        return [self.transform(self.images[index]) for _ in range(2)]


def quarter_turns(image: Tensor) -> Tensor:
    """Turn by 90, 180 or 270 degrees."""
    return image.rot90(int(torch.randint(1, 4, ())), (1, 2))


def without_faint(image: Tensor) -> Tensor:
    """Set pixels below a random percentile of their channel to zero."""
    shares = 0.4 + 0.2 * torch.rand(len(image))
    levels = [torch.quantile(channel, share) for channel, share in zip(image.flatten(1), shares, strict=True)]
    return torch.where(image < torch.stack(levels)[:, None, None], 0.0, image)


def bare_step(run: Run, views: list[Tensor]) -> None:
    """Forward, backward, optimiser and teacher on given tensors."""
    run.network(views).loss.backward()
    run.raw_optimizer.step()
    run.raw_optimizer.zero_grad(set_to_none=True)
    run.network.method.after_step(run.network, 1, 1000)


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def open_random_run(folder: Path, method: str, *, size: int, batch: int, count: int) -> Run:
    """Put a run together on a pack of noise."""
    stage = Train.model_validate({"cutouts": "0" * 32, "method": method, "image_size": size, "batch_size": batch})
    job = Job(stage, random_pack(folder / "pack", count, size), folder / "checkpoints", batch)
    run = open_run(job, Fabric(accelerator="cpu", devices=1), new_encoder(stage))
    run.network.train()
    return run


def random_pack(folder: Path, count: int, size: int) -> Pack:
    """Write a pack of noise."""
    folder.mkdir(parents=True)
    noise = np.random.Generator(np.random.PCG64(0)).random((count, 3, size, size), dtype=np.float32)
    np.save(folder / "images.npy", noise.astype(np.float16))
    np.save(folder / "valid.npy", np.ones((count, 1, size, size), bool))
    return Pack(folder)


if __name__ == "__main__":
    main()
