"""From a request to a model: pack the cutouts, train, and write what is published."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from skysift.cutouts.pixels import PixelSource
from skysift.encoders import Encoder, build_backbone, save_encoder
from skysift.errors import RequestError
from skysift.imaging import Augment, Preprocess, augment, preprocess
from skysift.ssl.checkpoint import Checkpoints
from skysift.ssl.fabric import make_fabric
from skysift.ssl.feed import Feed
from skysift.ssl.journal import Journal, write_history
from skysift.ssl.loop import Recipe, Run
from skysift.ssl.network import Network
from skysift.ssl.pack import Pack, prepare_pack
from skysift.ssl.plan import steps_per_epoch
from skysift.ssl.schedules import make_optimizer

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from skysift.ssl.stages import Train
    from skysift.store.context import Context

LEAST_CUTOUTS = 8


@dataclass(frozen=True)
class Job:
    """All that a process of the training needs to know.

    Attributes
    ----------
    stage : Train
        The request.
    pack : Pack
        The preprocessed cutouts.
    checkpoints : Path
        Folder of the checkpoints.
    batch_size : int
        Images in a step: the request's, or all cutouts where there are fewer.
    """

    stage: Train
    pack: Pack
    checkpoints: Path
    batch_size: int


def train(stage: Train, context: Context) -> dict[str, Any]:
    """Carry out a request; return its counts.

    Raises
    ------
    RequestError
        If there are too few cutouts, or backbone, preset or device do not exist.
    SkysiftError
        On collapse or a loss that is not finite.
    Stopped
        On a clean stop.
    """
    spec = Preprocess.preset(stage.preprocess, size=stage.image_size, channels=stage.channels)
    Augment.preset(stage.augment)
    fabric = make_fabric(context.device, stage.precision)
    with _threads(stage.threads):
        encoder = new_encoder(stage, spec)
        pixels = PixelSource.open(context.input(stage.cutouts), locate=context.locate)
        count = len(pixels)
        batch_size = _batch_size(stage, count, context)
        prepare = partial(preprocess, spec=spec, return_mask=True)
        pack = prepare_pack(context, pixels, count, prepare, channels=stage.channels, size=stage.image_size)
        job = Job(stage, pack, context.scratch / "checkpoints", batch_size)
        run = open_run(job, fabric, encoder, context.should_stop)
        _fit(run, context)
        return _publish(job, run, encoder, context)


def new_encoder(stage: Train, spec: Preprocess) -> Encoder:
    """Return the encoder to be trained, its weights random."""
    backbone = build_backbone(stage.backbone, channels=stage.channels, seed=stage.seed, image_size=stage.image_size)
    return Encoder.of_backbone(backbone, stage.backbone, spec)


def open_run(job: Job, fabric: Fabric, encoder: Encoder, should_stop: Callable[[], bool] = lambda: False) -> Run:
    """Put the parts of a run together, on the device, resumed where a checkpoint is."""
    stage = job.stage
    steps = steps_per_epoch(len(job.pack), job.batch_size)
    network = Network(encoder.module, encoder.dim, stage.method, seed=stage.seed + 1)
    network.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(
        network,
        stage.optimizer,
        lr=stage.lr,
        weight_decay=stage.weight_decay,
        momentum=stage.momentum,
        trust_coefficient=stage.trust_coefficient,
    )
    recipe = Recipe(
        epochs=stage.epochs,
        steps=steps,
        batch_size=job.batch_size,
        lr=stage.lr,
        warmup_steps=round(stage.warmup * steps),
        seed=stage.seed,
        sync_every=stage.sync_every,
    )
    return Run(
        fabric,
        network,
        optimizer,
        feed=Feed(job.pack, fabric.device),
        augment=_augmenter(stage.augment),
        recipe=recipe,
        checkpoints=Checkpoints(job.checkpoints),
        should_stop=should_stop,
    )


def _fit(run: Run, context: Context) -> None:
    """Train with a progress line and event files; note the throughput."""
    recipe, first = run.recipe, run.state.step
    with context.progress.bar(recipe.total_steps * recipe.batch_size, "train", done=first * recipe.batch_size) as bar:
        journal = Journal(bar, context.log_dir, first)
        try:
            run.fit(journal)
        finally:
            journal.close()
            context.runtime["train"] = {
                "device": str(run.fabric.device),
                "threads": torch.get_num_threads(),
                "images": journal.images,
                "images_per_second": round(journal.rate, 3),
                "wait_share": round(run.feed.waited / max(journal.seconds, 1e-9), 4),
                "pack_on_device": run.feed.resident,
            }


def _publish(job: Job, run: Run, encoder: Encoder, context: Context) -> dict[str, Any]:
    """Write encoder, heads, history and record; the best epoch's encoder too, where it is not the last."""
    stage, state, folder = job.stage, run.state, context.folder
    encoder.module.cpu().eval()
    save_encoder(encoder, folder)
    heads = {name: value.detach().cpu().contiguous() for name, value in run.network.published_heads().items()}
    save_file(heads, folder / "head.safetensors")
    write_history(folder / "history.csv", state.history)
    if state.best_epoch != stage.epochs:
        best = run.checkpoints.load("best")
        if best is not None:
            encoder.module.load_state_dict(best[0])
            (folder / "best").mkdir(exist_ok=True)
            save_encoder(encoder, folder / "best")
    counts = {
        "cutouts": len(job.pack),
        "batch_size": job.batch_size,
        "steps": state.step,
        "best_epoch": state.best_epoch,
        "loss": state.history[-1]["loss"],
    }
    record = {**counts, "warmup_epochs": stage.warmup, "preprocess": encoder.preprocess.model_dump(mode="json")}
    record["augment"] = Augment.preset(stage.augment).model_dump(mode="json")
    record["options"] = stage.model_dump(mode="json", exclude={"cutouts", "threads", "sync_every"})
    (folder / "training.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    return counts


def _batch_size(stage: Train, count: int, context: Context) -> int:
    """Return the batch size: the request's, or all cutouts where there are fewer."""
    least = max(LEAST_CUTOUTS, stage.method.min_batch)
    if count < least:
        raise RequestError(
            f"training needs at least {least} cutouts and {stage.cutouts[:12]} holds {count}; add mosaics"
        )
    if count < stage.batch_size:
        context.warn(f"only {count} cutouts: the batch size is {count} instead of {stage.batch_size}")
    return min(stage.batch_size, count)


def _augmenter(preset: str) -> Any:
    spec = Augment.preset(preset)

    def apply(images: Tensor, valid: Tensor, seeds: Tensor) -> Tensor:
        return augment(images, valid, spec, seeds)

    return apply


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let torch use that many CPU threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
