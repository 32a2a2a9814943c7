"""What fine-tuning needs of the cutouts behind features: their images or frozen features, and the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skysift.cutouts.pixels import Images, PixelSource
from skysift.encoders.encoder import Encoder
from skysift.encoders.load import Request
from skysift.evaluation.finetuning.symmetry import POSITIONS, turn
from skysift.evaluation.protocols.zeroshot import Texts
from skysift.features.behind import same_encoder
from skysift.features.extract import Options, encode_all
from skysift.imaging import Preprocess, preprocess
from skysift.ssl.feed import Feed
from skysift.ssl.pack import Pack, prepare_pack
from skysift.tables.writer import RowWriter

if TYPE_CHECKING:
    from skysift.evaluation.finetuning.options import FineTuning
    from skysift.store.artifact import Artifact
    from skysift.store.context import Context

PACK = "pack"
BLOCK_ROWS = 256


@dataclass(frozen=True)
class ImageSource:
    """Prepared images of n cutouts and the encoder that made features of them; small, so that workers can be sent it.

    Attributes
    ----------
    request : Request
        Loads the encoder.
    folder : Path
        Where `prepare_images` left the arrays.
    """

    request: Request
    folder: Path

    def encoder(self) -> Encoder:
        """Load the encoder onto the CPU; the caller may train it."""
        return self.request.load()

    def feed(self, device: torch.device) -> Feed:
        """Return what hands out batches of preprocessed images."""
        return Feed(Pack(self.folder / PACK), device)

    def frozen(self, options: FineTuning) -> NDArray[np.float32]:
        """Return the features of the images in their positions, (n, positions, D), memory-mapped."""
        positions = _positions(options)
        array: NDArray[np.float32] = np.load(self.folder / _file(positions, options.precision), mmap_mode="r")
        return array.reshape(len(array), positions, -1)


def prepare_images(
    features: Artifact,
    context: Context,
    rows: NDArray[np.int64],
    wanted: Sequence[FineTuning],
    *,
    name: str = "images",
) -> ImageSource:
    """Prepare what fine-tuning in these ways will read, on the engine; finished parts survive a kill.

    Parameters
    ----------
    features : Artifact
        Of kind features; says which encoder and which cutouts.
    context : Context
        Of the running stage; its scratch folder holds the arrays.
    rows : ndarray of int64, shape (n,)
        Rows of the catalogue; row i of the source is cutout `rows[i]`.
    wanted : sequence of FineTuning
        Where the encoder is frozen, its features in all positions are worked out; else images are preprocessed.
    name : str
        Of the folder; distinct within a stage.

    Returns
    -------
    ImageSource

    Raises
    ------
    RequestError
        If the features don't say what made them, or cutouts or weights have moved.
    SkysiftError
        If the encoder has other weights than the one that made the features.
    """
    request, encoder = same_encoder(features, context.input, context.locate)
    source = ImageSource(request, context.scratch / name)
    source.folder.mkdir(exist_ok=True)
    cutouts = context.input(features.config["cutouts"])
    pixels = ChosenPixels(PixelSource.open(cutouts, context.locate), rows)
    for positions, precision in dict.fromkeys((_positions(o), o.precision) for o in wanted if o.freeze):
        turned = TurnedRequest(request, positions)
        path = source.folder / _file(positions, precision)
        writer = RowWriter(path, (len(rows), positions * encoder.dim), "float32", BLOCK_ROWS)
        options = Options(context.device, None, precision, "float32")
        encode_all(writer, turned, turned.load(), pixels, context, options, label=f"{name} {positions} {precision}")
    if not all(options.freeze for options in wanted):
        prepare_pack(
            context,
            pixels,
            len(rows),
            partial(_prepare, spec=encoder.preprocess),
            channels=encoder.channels,
            size=encoder.image_size,
            folder=source.folder / PACK,
        )
    return source


def prepare_texts(features: Artifact, context: Context, classes: tuple[str, ...]) -> Texts:
    """Load the text tower of the encoder that made features, for the classes of a task.

    Raises
    ------
    RequestError
        If the encoder has none, or the features don't say what made them.
    SkysiftError
        If the encoder has other weights than the one that made the features.
    """
    from skysift.encoders.text import load_text_tower

    request, _ = same_encoder(features, context.input, context.locate)
    return Texts(classes, load_text_tower(request))


class ChosenPixels(PixelSource):
    """Some rows of another source of pixels, under numbers of their own."""

    def __init__(self, pixels: PixelSource, rows: NDArray[np.int64]) -> None:
        self.pixels, self.rows, self.windows = pixels, rows, pixels.windows[rows]

    def _read(self, rows: NDArray[np.int64], images: Images) -> None:
        self.pixels._read(self.rows[rows], images)

    def _read_masks(self, rows: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
        return self.pixels._read_masks(self.rows[rows])


@dataclass(frozen=True)
class Turned(Encoder):
    """An encoder that is shown each image in its first positions, the features one after the other."""

    positions: int

    @property
    def dim(self) -> int:
        """Length of the features of all positions."""
        return self.positions * self.description.dim

    def encode(self, images: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, positions * D)."""
        places = images.new_zeros(len(images), dtype=torch.int64)
        return torch.cat([super(Turned, self).encode(turn(images, places + p)) for p in range(self.positions)], 1)


@dataclass(frozen=True)
class TurnedRequest:
    """What loads a `Turned` encoder."""

    request: Request
    positions: int

    def load(self) -> Turned:
        """Load it onto the CPU."""
        encoder = self.request.load()
        return Turned(encoder.module, encoder.description, self.positions)


def _positions(options: FineTuning) -> int:
    return POSITIONS if options.turn else 1


def _file(positions: int, precision: str) -> str:
    return f"features-{positions}-{precision}.npy"


def _prepare(images: Any, _rows: NDArray[np.int64], *, spec: Preprocess) -> tuple[Tensor, Tensor]:
    """Preprocess as for the features."""
    return preprocess(images, spec, return_mask=True)
