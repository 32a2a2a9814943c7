"""From features back to the encoder that made them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from skysift.encoders.encoder import Encoder
from skysift.encoders.load import Request
from skysift.errors import RequestError, SkysiftError
from skysift.features.extract import request_of
from skysift.tables.features import DESCRIPTION

if TYPE_CHECKING:
    from skysift.store.artifact import Artifact


def same_encoder(
    features: Artifact, get: Callable[[str], Artifact], locate: Callable[[str], str]
) -> tuple[Request, Encoder]:
    """Return the encoder that made features, and what loads it.

    Parameters
    ----------
    features : Artifact
        Made by `skysift features`.
    get : callable
        Id -> artifact; `context.input` or `store.get`.
    locate : callable
        Fingerprint -> path; `context.locate` or `store.sources.locate`.

    Raises
    ------
    RequestError
        If the features don't say, or it is no longer there.
    SkysiftError
        If it has other weights now.
    """
    request = encoder_behind(features, get, locate)
    encoder = request.load()
    known = json.loads(features.path(DESCRIPTION).read_text())["encoder"]["weights"]
    if encoder.digest() != known:
        raise SkysiftError(
            f"The encoder of features {features.id[:12]} has other weights now ({encoder.digest()}, not {known}): put "
            "the old ones back, or extract the features again."
        )
    return request, encoder


def encoder_behind(features: Artifact, get: Callable[[str], Artifact], locate: Callable[[str], str]) -> Request:
    """Return what loads the encoder that made features; parameters and errors as in `same_encoder`."""
    config = features.config
    if not {"cutouts", "encoder", "weights"} <= set(config) or not (features.folder / DESCRIPTION).is_file():
        raise RequestError(
            f"features {features.id[:12]} do not say which encoder made them of which cutouts: make them with "
            "`skysift features`."
        )
    model = None if config["model"] is None else str(get(config["model"]).folder)
    prints = features.manifest["sources"].get("weights_from")
    return request_of(config, model, locate(prints[0]) if prints else None)
