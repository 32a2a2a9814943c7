"""The images behind features, packed when they are first asked for, and the encoder that made the features."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skysift.cutouts.pixels import Images, PixelSource
from skysift.encoders.encoder import Encoder
from skysift.errors import RequestError, SkysiftError
from skysift.features.extract import request_of
from skysift.features.passes import Precision
from skysift.imaging import Preprocess, preprocess
from skysift.ssl.feed import Feed
from skysift.ssl.pack import prepare_pack
from skysift.tables.features import DESCRIPTION

if TYPE_CHECKING:
    from skysift.evaluation.finetuning.bodies import FrozenFeatures
    from skysift.store.artifact import Artifact
    from skysift.store.context import Context


class ImageSource:
    """Images of some of the cutouts that an encoder made features of, as that encoder takes them.

    Nothing is opened before it is asked for; then the images are preprocessed once, on the engine, into a pack in the
    scratch folder of the running stage.

    Parameters
    ----------
    features : Artifact
        Of kind features.
    context : Context
        Of the running stage.
    rows : ndarray of int, shape (n,)
        Rows of the catalogue; row i of the source is cutout `rows[i]`.
    """

    def __init__(self, features: Artifact, context: Context, rows: NDArray[np.int64]) -> None:
        self._features, self._context, self._rows = features, context, rows
        self._encoder: Encoder | None = None
        self._feeds: dict[str, Feed] = {}
        self._frozen: dict[tuple[str, str], FrozenFeatures] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def encoder(self) -> Encoder:
        """Return a copy of the encoder on the CPU, which the caller may train.

        Raises
        ------
        RequestError
            If the features don't say what made them.
        SkysiftError
            If what made them has other weights now.
        """
        if self._encoder is None:
            self._encoder = encoder_of(self._features, self._context)
        return replace(self._encoder, module=copy.deepcopy(self._encoder.module))

    def feed(self, device: torch.device) -> Feed:
        """Return what hands out batches of images by their rows in this source."""
        if str(device) not in self._feeds:
            encoder = self.encoder()
            cutouts = self._context.input(self._features.config["cutouts"])
            pixels = _Chosen(PixelSource.open(cutouts, self._context.locate), self._rows)
            work = partial(_prepare, spec=encoder.preprocess)
            channels, size = encoder.channels, encoder.image_size
            pack = prepare_pack(self._context, pixels, len(self), work, channels=channels, size=size)
            self._feeds[str(device)] = Feed(pack, device)
        return self._feeds[str(device)]

    def frozen(self, device: torch.device, precision: Precision) -> FrozenFeatures:
        """Return the features that the untrained encoder makes of the images, one table for all who ask."""
        from skysift.evaluation.finetuning.bodies import FrozenFeatures

        key = (str(device), precision)
        if key not in self._frozen:
            self._frozen[key] = FrozenFeatures(self.encoder(), self.feed(device), device, precision)
        return self._frozen[key]


def encoder_of(features: Artifact, context: Context) -> Encoder:
    """Load the encoder that made features; errors as in `ImageSource.encoder`."""
    config = features.config
    if not {"cutouts", "encoder", "weights"} <= set(config) or not (features.folder / DESCRIPTION).is_file():
        raise RequestError(
            f"features {features.id[:12]} do not say which encoder made them of which cutouts: make them with "
            "`skysift features`."
        )
    model = None if config["model"] is None else str(context.input(config["model"]).folder)
    prints = features.manifest["sources"].get("weights_from") or [None]
    encoder = request_of(config, model, None if prints[0] is None else context.locate(prints[0])).load()
    known = json.loads(features.path(DESCRIPTION).read_text())["encoder"]["weights"]
    if encoder.digest() != known:
        raise SkysiftError(
            f"The encoder of features {features.id[:12]} has other weights now ({encoder.digest()}, not {known}): put "
            "the old ones back, or extract the features again."
        )
    return encoder


@dataclass(frozen=True)
class _Chosen:
    """Some rows of a source of pixels, under numbers of their own."""

    pixels: PixelSource
    rows: NDArray[np.int64]

    def read(self, indices: NDArray[np.int64]) -> Images:
        """Return the pixels of some of the chosen rows."""
        return self.pixels.read(self.rows[indices])


def _prepare(images: Any, _rows: NDArray[np.int64], *, spec: Preprocess) -> tuple[Tensor, Tensor]:
    """Preprocess as for the features."""
    return preprocess(images, spec, return_mask=True)
