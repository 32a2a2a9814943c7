"""From a request to a model: pack the cutouts, train, and write what is published."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from skysift.cutouts.catalogue import Catalogue
from skysift.encoders import Encoder, save_encoder
from skysift.encoders.domain import Domain, domain_notes, measure_domain, write_domain
from skysift.errors import RequestError, SkysiftError
from skysift.imaging import Augment, Preprocess, augment
from skysift.ssl.checkpoint import Checkpoints
from skysift.ssl.compiling import compiles
from skysift.ssl.fabric import make_fabric, together
from skysift.ssl.feed import Feed
from skysift.ssl.journal import Journal, write_history
from skysift.ssl.launch import GRACE_SECONDS, Channel, World
from skysift.ssl.loop import Augmenter, Recipe, Run
from skysift.ssl.network import Network
from skysift.ssl.pack import Pack
from skysift.ssl.plan import steps_per_epoch
from skysift.ssl.preparation import count_cutouts, origin, training_pack
from skysift.ssl.schedules import make_optimizer
from skysift.ssl.start import licence, new_encoder, other_preprocessing
from skysift.store.progress import Progress

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from skysift.ssl.stages import Train
    from skysift.store.context import Context

LEAST_CUTOUTS = 8
WHY_BEST = (
    "the epoch of lowest training loss. A low loss is no sign of better features where the loss has a moving target "
    "(BYOL, DINO, MoCo v3, SimSiam ...): prefer the model of the last epoch there, or evaluate both"
)


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
    start : Path, optional
        Folder of the model that training starts from.
    compile : bool
        Compile backbones and augmentation.
    """

    stage: Train
    pack: Pack
    checkpoints: Path
    batch_size: int
    start: Path | None = None
    compile: bool = False


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
    fabric = make_fabric(context.device, stage.precision)
    with _threads(stage.threads):
        start = None if stage.init_from is None else context.input(stage.init_from).folder
        encoder = new_encoder(stage, start)
        if start is not None and (before := other_preprocessing(encoder, start)) is not None:
            context.warn(
                f"--init-from {start.name[:12]} was trained with preprocessing {before}, not {stage.preprocess}"
            )
        Augment.preset(stage.augment)
        batch_size = _batch_size(stage, count_cutouts(stage, context), fabric.world_size, context)
        compile_it, warning = compiles(stage.compile, fabric.device)
        if warning is not None:
            context.warn(warning)
        pack = training_pack(stage, context)
        job = Job(stage, pack, context.scratch / "checkpoints", batch_size, start, compile_it)
        if fabric.world_size > 1:
            return _lead(job, fabric, encoder, context)
        run = open_run(job, fabric, encoder, context.should_stop)
        _fit(run, context)
        return _publish(job, run, encoder, context)


def _lead(job: Job, fabric: Fabric, encoder: Encoder, context: Context) -> dict[str, Any]:
    """Train together with the processes of other ranks."""
    channel = Channel(World.of())
    channel.call(context.device, job.stage.precision)
    with _named_failures(channel), together(fabric):
        fabric.broadcast(job)
        run = open_run(job, fabric, encoder, context.should_stop)
        _fit(run, context)
    return _publish(job, run, encoder, context)


def follow(device: str = "auto", precision: str = "32-true", should_stop: Callable[[], bool] = lambda: False) -> None:
    """Train in a process of rank 1 or more: learn from rank 0 what to do, and help until it is done.

    Parameters
    ----------
    device, precision : str
        As rank 0 was given them.
    should_stop : callable
        Whether this process was asked to stop; all do, then.
    """
    fabric = make_fabric(device, precision)
    with together(fabric):
        job: Job = fabric.broadcast(None)
        with _threads(job.stage.threads), Progress(quiet=True).bar(1, "train") as bar:
            run = open_run(job, fabric, new_encoder(job.stage, job.start), should_stop)
            run.fit(Journal(bar, None))


@contextmanager
def _named_failures(channel: Channel) -> Iterator[None]:
    """Say which process failed and why, where this one has only lost touch with it."""
    try:
        yield
    except SkysiftError:
        raise
    except Exception as error:
        text = channel.failure(patience=GRACE_SECONDS)
        if text is None:
            raise
        raise SkysiftError(text) from error


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
        augment=_augmenter(stage.augment, encoder.preprocess, fabric.device, compiled=job.compile),
        recipe=recipe,
        checkpoints=Checkpoints(job.checkpoints, background=True),
        should_stop=should_stop,
        compile_backbones=job.compile,
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
                "compiled": run.compile_backbones,
            }


def _publish(job: Job, run: Run, encoder: Encoder, context: Context) -> dict[str, Any]:
    """Write encoder, heads, history and record; the best epoch's encoder too, where it is not the last."""
    stage, state, folder = job.stage, run.state, context.folder
    encoder.module.cpu().eval()
    domain = measure_domain(Catalogue.open(origin(context, stage.cutouts)), encoder.image_size)
    save_encoder(encoder, folder, notes=_notes(job, context, stage.epochs, domain))
    write_domain(domain, folder)
    heads = {name: value.detach().cpu().contiguous() for name, value in run.network.published_heads().items()}
    save_file(heads, folder / "head.safetensors")
    write_history(folder / "history.csv", state.history)
    if state.best_epoch != stage.epochs:
        best = run.checkpoints.load("best")
        if best is not None:
            encoder.module.load_state_dict(best[0])
            (folder / "best").mkdir(exist_ok=True)
            notes = _notes(job, context, state.best_epoch, domain)
            save_encoder(encoder, folder / "best", notes=notes | {"Chosen": WHY_BEST})
            write_domain(domain, folder / "best")
    counts = {
        "cutouts": len(job.pack),
        "batch_size": job.batch_size,
        "steps": state.step,
        "best_epoch": state.best_epoch,
        "loss": state.history[-1]["loss"],
    }
    record = {**counts, "warmup_epochs": stage.warmup, "preprocess": encoder.preprocess.model_dump(mode="json")}
    record["augment"] = Augment.preset(stage.augment).model_dump(mode="json")
    record["options"] = stage.model_dump(
        mode="json", exclude={"cutouts", "init_from", "threads", "sync_every", "compile"}
    )
    (folder / "training.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    return counts


def _notes(job: Job, context: Context, epoch: int, domain: Domain) -> dict[str, str]:
    """Return what the model card says about the training."""
    stage = job.stage
    source = origin(context, stage.cutouts)
    start = {}
    if job.start is not None:
        own = licence(job.start)
        start["Starts from"] = f"model {job.start.name}, its backbone; the heads were new" + (f"; {own}" if own else "")
    return {
        "Training set": f"{len(job.pack)} cutouts of {source.kind} {source.id}",
        **start,
        "Method": f"{stage.method.name}, {json.dumps(stage.method.model_dump(exclude={'name'}))}",
        "Augmentation": stage.augment,
        "Schedule": (
            f"epoch {epoch} of {stage.epochs}, batch {job.batch_size}, {stage.optimizer}, peak rate {stage.lr:g}, "
            f"{stage.warmup:g} epochs of warm-up, weight decay {stage.weight_decay:g}, {stage.precision}, "
            f"seed {stage.seed}"
        ),
        **domain_notes(domain),
    }


def _batch_size(stage: Train, count: int, processes: int, context: Context) -> int:
    """Return the batch size: the request's, or all cutouts where there are fewer.

    Each process needs two images, as batch normalisation has no scatter of one.
    """
    name, least = stage.method.name, max(stage.method.min_batch, 2 * processes)
    if stage.batch_size < least:
        where = f" over {processes} processes" if processes > 1 else ""
        raise RequestError(
            f"{name} needs at least {least} images in a batch{where}, not --batch-size {stage.batch_size}; raise it"
        )
    if stage.batch_size % processes:
        raise RequestError(
            f"--batch-size {stage.batch_size} can't be shared by {processes} processes; choose a multiple of that"
        )
    if count < max(LEAST_CUTOUTS, least):
        raise RequestError(
            f"training with {name} needs at least {max(LEAST_CUTOUTS, least)} cutouts and {stage.cutouts[:12]} holds "
            f"{count}; add mosaics"
        )
    if count >= stage.batch_size:
        return stage.batch_size
    size = count - count % processes
    if size < least:
        raise RequestError(
            f"{name} needs at least {least} images in a batch and {count} cutouts give {processes} processes {size}; "
            "add mosaics or take fewer processes"
        )
    context.warn(f"only {count} cutouts: the batch size is {size} instead of {stage.batch_size}")
    return size


def _augmenter(preset: str, preprocessing: Preprocess, device: torch.device, *, compiled: bool) -> Augmenter:
    """Return what makes a view: the augmentation in [0, 1], then the preset's mean and scatter if it has them."""
    spec = Augment.preset(preset)
    mean, std = (
        None if values is None else torch.tensor(values, device=device)[:, None, None]
        for values in (preprocessing.mean, preprocessing.std)
    )

    def apply(images: Tensor, valid: Tensor, seeds: Tensor) -> Tensor:
        views = augment(images, valid, spec, seeds, compiled=compiled)
        if mean is not None:
            views = views - mean
        return views if std is None else views / std

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
