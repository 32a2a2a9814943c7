"""The training loop: one step after the other, one host synchronisation every N of them, resumable at each."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from skysift.errors import Stopped
from skysift.ssl import collapse, plan
from skysift.ssl.checkpoint import (
    Checkpoints,
    network_tensors,
    optimizer_tensors,
    restore_network,
    restore_optimizer,
)
from skysift.ssl.compiling import compiled, fast_kernels
from skysift.ssl.distributed import any_process, gather_rows, mean_over_processes, share_of_batch
from skysift.ssl.feed import Feed
from skysift.ssl.journal import Journal, Row
from skysift.ssl.network import Network
from skysift.ssl.schedules import warmup_cosine

MONITOR_ROWS = 1024
"""Images, the last of an epoch, on which RankMe, alignment and uniformity are computed."""
STEP_STREAM = 0x57
RANKME_SECONDS = 20.0

Augmenter = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Images (B, C, S, S), masks (B, 1, S, S), seeds (B,) int64 -> augmented images (B, C, S, S)."""


@dataclass(frozen=True)
class Recipe:
    """The numbers of a run.

    Attributes
    ----------
    epochs, steps : int
        Epochs, and steps in each.
    batch_size : int
        Images in a step, over all processes.
    lr : float
        Peak learning rate.
    warmup_steps : int
        Steps of linear warm-up.
    seed : int
        Of order, augmentation and dropout.
    sync_every : int
        Steps between two readings of loss and spread; not part of the result.
    checkpoint_seconds : float
        Longest time without a checkpoint; not part of the result.
    """

    epochs: int
    steps: int
    batch_size: int
    lr: float
    warmup_steps: int
    seed: int
    sync_every: int = 20
    checkpoint_seconds: float = 900.0

    @property
    def total_steps(self) -> int:
        """Steps in the run."""
        return self.epochs * self.steps


@dataclass
class State:
    """Where a run stands; with weights and optimiser all that a resumed run needs.

    Randomness has no state: order, augmentation and dropout are functions of (seed, step).
    """

    step: int = 0
    loss_sum: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    recent: deque[tuple[Tensor, Tensor, Tensor]] = field(default_factory=deque)
    history: list[Row] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int = 0
    watch: collapse.CollapseWatch = field(default_factory=collapse.CollapseWatch)


class Run:
    """A network on its way through a recipe.

    Parameters
    ----------
    fabric : Fabric
        Launched; says which device and how many processes.
    network : Network
        On the device.
    optimizer : torch.optim.Optimizer
        Over the network's weights.
    feed : Feed
        The images.
    augment : callable
        Makes a view.
    recipe : Recipe
        The numbers.
    checkpoints : Checkpoints
        Where to save and resume from.
    should_stop : callable
        Whether a clean stop was asked for.
    compile_backbones : bool
        Run them through `torch.compile`.
    """

    def __init__(
        self,
        fabric: Fabric,
        network: Network,
        optimizer: torch.optim.Optimizer,
        *,
        feed: Feed,
        augment: Augmenter,
        recipe: Recipe,
        checkpoints: Checkpoints,
        should_stop: Callable[[], bool] = lambda: False,
        compile_backbones: bool = False,
    ) -> None:
        self.fabric, self.network, self.raw_optimizer = fabric, network, optimizer
        self.feed, self.augment, self.recipe = feed, augment, recipe
        self.checkpoints, self.should_stop = checkpoints, should_stop
        self.compile_backbones = compile_backbones
        self.state = State(loss_sum=torch.zeros((), dtype=torch.float64, device=fabric.device))
        self.state.recent = deque(maxlen=math.ceil(MONITOR_ROWS / recipe.batch_size))
        if network.method.least_spread is not None:
            self.state.watch.least = network.method.least_spread
        self._resume()
        self.model, self.optimizer = fabric.setup(network, optimizer)
        self._pending: list[tuple[int, Tensor, Tensor, Tensor]] = []
        self._live: dict[str, float] = {}
        self._saved = self._ranked = time.monotonic()

    def fit(self, journal: Journal) -> list[Row]:
        """Train to the end of the recipe.

        Returns
        -------
        list of Row
            The history, one row an epoch.

        Raises
        ------
        Stopped
            On a clean stop, after a checkpoint.
        SkysiftError
            On collapse or a loss that is not finite.
        """
        self.network.train()
        device = self.fabric.device
        with (
            torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
            fast_kernels(device),
            compiled(self.network) if self.compile_backbones else nullcontext(),
        ):
            while self.state.step < self.recipe.total_steps:
                epoch, first = divmod(self.state.step, self.recipe.steps)
                for images, valid, seeds in self._batches(epoch, first):
                    self._step(images, valid, seeds)
                    journal.count(self.recipe.batch_size)
                    if self.state.step % self.recipe.steps == 0:
                        self._end_epoch(epoch, journal)
                    elif self.state.step % self.recipe.sync_every == 0:
                        self._synchronise(journal)
                    self._heed_stop()
        self.checkpoints.finish()
        return self.state.history

    def _step(self, images: Tensor, valid: Tensor, seeds: Tensor) -> None:
        """Augment, go forward, back, and one step down; `seeds` is (views, B). Nothing here waits for the device."""
        recipe, state = self.recipe, self.state
        torch.manual_seed(self._step_seed(state.step))
        with torch.no_grad():
            views = self._views(images, valid, seeds)
        rate = recipe.lr * warmup_cosine(state.step, recipe.total_steps, recipe.warmup_steps)
        for group in self.raw_optimizer.param_groups:
            group["lr"] = rate
        result = self.model(views)
        self.fabric.backward(result.loss)
        self.network.method.after_backward(self.network, state.step + 1, recipe.total_steps)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        state.step += 1
        self.network.method.after_step(self.network, state.step, recipe.total_steps)

        loss, embeddings = result.loss.detach(), result.embeddings.detach()
        first, second = (projection.detach() for projection in result.projections)
        state.loss_sum += loss
        state.recent.append((embeddings, first, second))
        if state.step % collapse.CHECK_EVERY == 0:
            spread = collapse.embedding_std(embeddings), collapse.embedding_std(first)
            self._pending.append((state.step, loss, *spread))

    def _views(self, images: Tensor, valid: Tensor, seeds: Tensor) -> list[Tensor]:
        """Augment all views of the batch at once, on the device: (B, C, S, S) each."""
        views = len(seeds)
        batch = self.augment(images.repeat(views, 1, 1, 1), valid.repeat(views, 1, 1, 1), seeds.flatten())
        return [view.contiguous(memory_format=torch.channels_last) for view in batch.chunk(views)]

    def _batches(self, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield this process's share of the batches of an epoch from step `first`, with seeds (views, B)."""
        recipe, share = self.recipe, share_of_batch(self.recipe.batch_size)
        order = plan.epoch_order(len(self.feed), seed=recipe.seed, epoch=epoch)
        rows = [batch[share] for batch in order[: recipe.steps * recipe.batch_size].reshape(recipe.steps, -1)][first:]
        seeds = torch.from_numpy(self._seeds(np.stack(rows), epoch)).to(self.fabric.device)
        for number, (images, valid) in enumerate(self.feed.batches(rows)):
            yield images, valid, seeds[:, number]

    def _seeds(self, rows: NDArray[np.int64], epoch: int) -> NDArray[np.int64]:
        """Return the augmentation seeds (views, steps, B) of the images at `rows` (steps, B)."""
        views = range(self.network.method.views)
        flat = [plan.augment_seeds(rows.ravel(), seed=self.recipe.seed, epoch=epoch, view=view) for view in views]
        return np.stack(flat).reshape(len(views), *rows.shape)

    def _step_seed(self, step: int) -> int:
        word = np.asarray([step], dtype=np.int64)
        return int(plan.augment_seeds(word, seed=self.recipe.seed, epoch=STEP_STREAM, view=self.fabric.global_rank)[0])

    def _synchronise(self, journal: Journal) -> None:
        """Read what the device has gathered and show it; save if that was long ago."""
        state = self.state
        self._read_device()
        if "embedding_std" not in self._live:
            self._live["embedding_std"] = collapse.embedding_std(state.recent[-1][0]).item()
        now = time.monotonic()
        if now - self._ranked > RANKME_SECONDS or "rankme" not in self._live:
            self._ranked = now
            self._live["rankme"] = collapse.rankme(torch.cat([item[0] for item in state.recent])).item()
        journal.tell(state.step, self._live, waited=self.feed.waited)
        if any_process(now - self._saved > self.recipe.checkpoint_seconds, self.fabric.device):
            self._save()

    def _read_device(self) -> None:
        """Wait for the device, take over loss and spread, and end the run if they have gone wrong."""
        state = self.state
        done = (state.step - 1) % self.recipe.steps + 1
        numbers = [state.loss_sum / done, *(value.double() for item in self._pending for value in item[1:])]
        loss, *looks = mean_over_processes(torch.stack(numbers)).tolist()
        remedy = self.network.method.remedy
        collapse.check_loss(loss, state.step, remedy)
        for number, item in enumerate(self._pending):
            step_loss, embedding_std, projection_std = looks[3 * number : 3 * number + 3]
            collapse.check_loss(step_loss, item[0], remedy)
            state.watch.look(embedding_std, projection_std, item[0])
            self._live["embedding_std"] = embedding_std
        self._pending.clear()
        self._live["loss"] = loss

    def _heed_stop(self) -> None:
        """Save and leave if asked to; several processes agree on it at synchronisation steps."""
        step, recipe = self.state.step, self.recipe
        between = step % recipe.sync_every and step % recipe.steps
        if step == recipe.total_steps or (between and self.fabric.world_size > 1):
            return
        if any_process(self.should_stop(), self.fabric.device):
            self._read_device()
            self._save()
            self.checkpoints.finish()
            raise Stopped(
                f"stopped after step {step} of {recipe.total_steps}, checkpoint written; "
                "the same command carries on from there"
            )

    def _end_epoch(self, epoch: int, journal: Journal) -> None:
        """Add a row to the history, keep the weights if they are the best so far, and save."""
        self._synchronise(journal)
        state, recipe = self.state, self.recipe
        loss = mean_over_processes(state.loss_sum).item() / recipe.steps
        embeddings, first, second = (gather_rows(torch.cat(parts)) for parts in zip(*state.recent, strict=True))
        row = {
            "epoch": epoch + 1,
            "step": state.step,
            "lr": recipe.lr * warmup_cosine(state.step - 1, recipe.total_steps, recipe.warmup_steps),
            "loss": loss,
            "embedding_std": collapse.embedding_std(embeddings).item(),
            "projection_std": collapse.embedding_std(first).item(),
            "rankme": collapse.rankme(embeddings).item(),
            "alignment": collapse.alignment(first, second).item(),
            "uniformity": collapse.uniformity(first).item(),
        }
        state.history.append(row)
        self._live.update(embedding_std=row["embedding_std"], rankme=row["rankme"])
        journal.epoch(row)
        if loss < state.best_loss:
            state.best_loss, state.best_epoch = loss, epoch + 1
            if self.fabric.is_global_zero:
                self.checkpoints.save("best", dict(self.network.backbone.state_dict()), {"epoch": epoch + 1})
        state.loss_sum.zero_()
        self._save()

    def _save(self) -> None:
        """Write the checkpoint `last`."""
        self._saved = time.monotonic()
        if not self.fabric.is_global_zero:
            return
        state = self.state
        tensors = {**network_tensors(self.network), **optimizer_tensors(self.raw_optimizer), "loss_sum": state.loss_sum}
        for number, item in enumerate(state.recent):
            tensors |= {f"recent.{number}.{part}": value for part, value in enumerate(item)}
        scalars: dict[str, Any] = {
            "step": state.step,
            "history": state.history,
            "best_loss": state.best_loss if math.isfinite(state.best_loss) else None,
            "best_epoch": state.best_epoch,
            "below": state.watch.below,
            "recent": len(state.recent),
        }
        self.checkpoints.save("last", tensors, scalars)

    def _resume(self) -> None:
        """Take up the checkpoint `last` if there is one."""
        found = self.checkpoints.load("last")
        if found is None:
            return
        tensors, scalars = found
        restore_network(self.network, tensors)
        restore_optimizer(self.raw_optimizer, tensors)
        state, device = self.state, self.fabric.device
        state.step, state.history = scalars["step"], scalars["history"]
        state.loss_sum.copy_(tensors["loss_sum"])
        state.best_loss = math.inf if scalars["best_loss"] is None else scalars["best_loss"]
        state.best_epoch, state.watch.below = scalars["best_epoch"], scalars["below"]
        for number in range(scalars["recent"]):
            first, second, third = (tensors[f"recent.{number}.{part}"].to(device) for part in range(3))
            state.recent.append((first, second, third))
