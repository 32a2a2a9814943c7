"""Fine-tune: from images, their classes and an encoder to an encoder with a linear layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skysift.encoders.encoder import Encoder
from skysift.evaluation.finetuning.bodies import Body, FrozenBody, LiveBody
from skysift.evaluation.finetuning.head import Head
from skysift.evaluation.finetuning.loop import Loop, Row
from skysift.evaluation.finetuning.options import FineTuning
from skysift.evaluation.images import ImageSource
from skysift.features.passes import pick_device
from skysift.ssl.checkpoint import Checkpoints

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class FineTuned:
    """What fine-tuning leaves.

    Attributes
    ----------
    encoder : Encoder
        As it was where it was frozen.
    layer : nn.Linear
        (D) features -> (k) logits, on the CPU.
    history : list of dict
        One row an epoch.
    body : Body
        Gives the features of the images that it was trained on.
    """

    encoder: Encoder
    layer: nn.Linear
    history: list[Row]
    body: Body

    @torch.no_grad()
    def logits(self, rows: Rows) -> NDArray[np.float64]:
        """Return the logits (n, k) of images of the source that it was trained on."""
        features = self.body.still(rows).cpu().double()
        return np.asarray((features @ self.layer.weight.double().T + self.layer.bias.double()).numpy())


def fine_tune(
    source: ImageSource,
    rows: Rows,
    classes: Rows,
    n_classes: int,
    options: FineTuning,
    *,
    seed: int,
    device: str,
    advance: Callable[[str], None] = lambda _: None,
    checkpoints: Path | None = None,
    held: tuple[Rows, Rows] | None = None,
) -> FineTuned:
    """Train one linear layer on an encoder, and the encoder too unless it is frozen.

    Parameters
    ----------
    source : ImageSource
        Images and encoder, prepared for `options`.
    rows, classes : ndarray of int64, shape (n,)
        The training images, as rows of the source, and their classes.
    n_classes : int
        Number of classes, whether or not each is among them.
    options : FineTuning
        How.
    seed : int
        Of order, positions and dropout.
    device : str
        Torch device.
    advance : callable
        Is called after each epoch, with a note for the progress line.
    checkpoints : Path, optional
        Folder to save in while training, and to carry on from.
    held : tuple of ndarray, optional
        Further rows and classes on which each epoch's loss and accuracy are written down; nothing is chosen by them.

    Returns
    -------
    FineTuned

    Raises
    ------
    SkysiftError
        If the loss is not finite.
    """
    where = pick_device(device)
    encoder = source.encoder()
    body: Body
    if options.freeze:
        body = FrozenBody(source.frozen(options), where)
    else:
        encoder = encoder.to(where)
        body = LiveBody(encoder, source.feed(where), options.precision)
    scaled_by = body.still(rows) if options.freeze and options.standardise else None
    head = Head(encoder.dim, n_classes, scaled_by).to(where)

    def measure(row: Row) -> None:
        if held is not None:
            row |= _held(body, head, *held)

    def tell(row: Row) -> None:
        advance(f"epoch {row['epoch']:.0f}, loss {row['loss']:.3f}")

    saved = None if checkpoints is None else Checkpoints(checkpoints)
    history = Loop(body, head, rows, classes, options, seed, where, saved, measure, tell).run()
    encoder.module.eval()
    return FineTuned(encoder, head.folded(), history, body)


@torch.no_grad()
def _held(body: Body, head: Head, rows: Rows, classes: Rows) -> Row:
    logits = head(body.still(rows)).double().cpu()
    truth = torch.from_numpy(classes)
    return {
        "validation_loss": float(torch.nn.functional.cross_entropy(logits, truth)),
        "validation_accuracy": float((logits.argmax(dim=1) == truth).double().mean()),
    }
