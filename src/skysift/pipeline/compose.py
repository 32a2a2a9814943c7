"""Chains that one command stands for."""

from __future__ import annotations

from collections.abc import Callable

from skysift.errors import RequestError
from skysift.pipeline.catalogue import stage_class
from skysift.store.artifact import Artifact
from skysift.store.fields import Input, markers
from skysift.store.stage import Stage
from skysift.store.store import Store


def labelled_features(store: Store, encoder: str, dataset: str, run: Callable[[Stage], Artifact]) -> Artifact:
    """Return the features of a labelled set by an encoder, making what is missing.

    Parameters
    ----------
    store : Store
        Where artifacts are.
    encoder : str
        An artifact (id, prefix, name) or a specification (`timm:NAME`, `hf:NAME`, a folder).
    dataset : str
        Id of labelled cutouts, a path, or a name below `SKYSIFT_DATASETS`.
    run : callable
        Makes one stage's artifact.
    """
    from skysift.encoders import split_encoder_spec

    features = stage_class("features")
    labelled = _artifact(store, dataset, features) or run(stage_class("dataset")(source=dataset))
    name, model = split_encoder_spec(encoder)
    options = {"cutouts": labelled.id} | ({"model": model} if model is not None else {"encoder": name})
    return run(features.model_validate(options))


def _artifact(store: Store, reference: str, consumer: type[Stage]) -> Artifact | None:
    """Return the artifact that `reference` names, if it names one that the consumer takes."""
    try:
        found = store.get(reference)
    except RequestError:
        return None
    mark = markers(consumer)["cutouts"]
    return found if isinstance(mark, Input) and found.kind in mark.kinds else None
