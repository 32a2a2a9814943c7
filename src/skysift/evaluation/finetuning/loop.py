"""The training loop of fine-tuning: every random choice from (seed, epoch, image), resumable at each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skysift.errors import SkysiftError
from skysift.evaluation.finetuning.bodies import Body
from skysift.evaluation.finetuning.head import Head
from skysift.evaluation.finetuning.options import FineTuning
from skysift.evaluation.finetuning.symmetry import positions
from skysift.ssl.checkpoint import (
    Checkpoints,
    network_tensors,
    optimizer_tensors,
    restore_network,
    restore_optimizer,
)
from skysift.ssl.plan import epoch_order
from skysift.ssl.schedules import make_optimizer, warmup_cosine

CHECKPOINT = "last"
CHECKPOINT_SECONDS = 20.0
Row = dict[str, float]


@dataclass
class Loop:
    """A layer, and the encoder below it unless that is frozen, on their way through the training samples.

    Attributes
    ----------
    body : Body
        Gives features.
    head : Head
        The layer, on the device.
    rows, classes : ndarray of int64, shape (n,)
        The training images and their classes.
    options : FineTuning
        The numbers.
    seed : int
        Of order, positions and dropout.
    device : torch.device
        Where it runs.
    checkpoints : Checkpoints or None
        Where to save and carry on from.
    measure : callable
        Is given the row of an epoch and may add to it.
    tell : callable
        Is given the row of each finished epoch, those of an earlier, killed run among them.
    """

    body: Body
    head: Head
    rows: NDArray[np.int64]
    classes: NDArray[np.int64]
    options: FineTuning
    seed: int
    device: torch.device
    checkpoints: Checkpoints | None = None
    measure: Callable[[Row], None] = field(default=lambda _: None)
    tell: Callable[[Row], None] = field(default=lambda _: None)

    def run(self) -> list[Row]:
        """Train to the end.

        Returns
        -------
        list of dict
            One row an epoch: `epoch`, `learning_rate` at its end, and over its steps `loss` and `accuracy`; further
            what `measure` adds.

        Raises
        ------
        SkysiftError
            If the loss is not finite.
        """
        parts = {"head": self.head} if self.body.network is None else {"head": self.head, "encoder": self.body.network}
        trained = nn.ModuleDict(parts)
        optimizer = make_optimizer(
            trained, "adamw", lr=self.options.learning_rate, weight_decay=self.options.weight_decay
        )
        history = self._resume(trained, optimizer)
        for row in history:
            self.tell(row)
        saved = time.monotonic()
        forked = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=forked):
            for epoch in range(len(history), self.options.passes):
                row = self._epoch(epoch, optimizer)
                self.measure(row)
                history.append(row)
                self.tell(row)
                if self.checkpoints is not None and time.monotonic() - saved > CHECKPOINT_SECONDS:
                    tensors = {**network_tensors(trained), **optimizer_tensors(optimizer)}
                    self.checkpoints.save(CHECKPOINT, tensors, {"history": history})
                    saved = time.monotonic()
        return history

    def _epoch(self, epoch: int, optimizer: torch.optim.Optimizer) -> Row:
        """Go once through the images, in an order and in positions of this epoch's own."""
        steps = math.ceil(len(self.rows) / self.options.batch_size)
        total = steps * self.options.passes
        # parts of nearly one size: a last batch of one image could not be normalised
        parts = np.array_split(epoch_order(len(self.rows), seed=self.seed, epoch=epoch), steps)
        places = self.places(epoch)
        weights = self._class_weights()
        loss_sum, right = (torch.zeros((), dtype=torch.float64, device=self.device) for _ in range(2))
        torch.manual_seed(int(np.random.SeedSequence([self.seed, epoch]).generate_state(1)[0]))
        features = iter(self.body.features([(self.rows[part], places[part]) for part in parts]))
        for number, part in enumerate(parts):
            factor = warmup_cosine(epoch * steps + number, total, round(self.options.warmup * total))
            for group in optimizer.param_groups:
                group["lr"] = self.options.learning_rate * factor
            truth = torch.from_numpy(self.classes[part]).to(self.device)
            logits = self.head(next(features))
            loss = cross_entropy(logits, truth, weight=weights)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            loss_sum += loss.detach() * len(part)
            right += (logits.detach().argmax(dim=1) == truth).sum()
        mean = loss_sum.item() / len(self.rows)
        if not math.isfinite(mean):
            raise SkysiftError(f"The loss is not finite in epoch {epoch + 1}: lower learning_rate.")
        rate = self.options.learning_rate * factor
        return {
            "epoch": epoch + 1,
            "learning_rate": rate,
            "loss": mean,
            "accuracy": right.item() / len(self.rows),
        }

    def places(self, epoch: int) -> NDArray[np.int64]:
        """Return the position of each training image in an epoch, shape (n,)."""
        if not self.options.turn:
            return np.zeros_like(self.rows)
        return positions(self.rows, seed=self.seed, epoch=epoch)

    def _class_weights(self) -> Tensor | None:
        if not self.options.balanced:
            return None
        counts = np.bincount(self.classes, minlength=self.head.out_features)
        weights = len(self.classes) / (self.head.out_features * np.maximum(counts, 1))
        return torch.from_numpy(weights).float().to(self.device)

    def _resume(self, trained: nn.Module, optimizer: torch.optim.Optimizer) -> list[Row]:
        """Take up the checkpoint if there is one; return the history up to there."""
        found = None if self.checkpoints is None else self.checkpoints.load(CHECKPOINT)
        if found is None:
            return []
        tensors, state = found
        restore_network(trained, tensors)
        restore_optimizer(optimizer, tensors)
        history: list[Any] = state["history"]
        return history
