"""Chains that one command stands for."""

from __future__ import annotations

from collections.abc import Callable

from skysift.errors import RequestError
from skysift.pipeline.catalogue import stage_class
from skysift.pipeline.definition import validated
from skysift.store.artifact import Artifact
from skysift.store.fields import Input, markers
from skysift.store.stage import Stage
from skysift.store.store import Store


def labelled_features(
    store: Store,
    encoder: str,
    dataset: str,
    run: Callable[[Stage], Artifact],
    *,
    weights: str | None = None,
    label_map: str | None = None,
) -> Artifact:
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
    weights : str, optional
        `pretrained` or `random`, for encoders that are no artifacts.
    label_map : str, optional
        Classes to make of the labels: a known map, a file, or entries `CLASS=LABEL+LABEL` with commas between.
    """
    features = stage_class("features")
    labelled = _artifact(store, dataset, features)
    if labelled is None or label_map is not None:
        source = {"source": dataset} if labelled is None else {"catalogue": labelled.id}
        if label_map is not None:
            source["label_map"] = label_map
        labelled = run(validated(stage_class("dataset"), source, where="dataset"))
    options = {"cutouts": labelled.id, "encoder": encoder} | ({} if weights is None else {"weights": weights})
    return run(validated(features, options, where="features"))


def _artifact(store: Store, reference: str, consumer: type[Stage]) -> Artifact | None:
    """Return the artifact that `reference` names, if it names one that the consumer takes."""
    try:
        found = store.get(reference)
    except RequestError:
        return None
    mark = markers(consumer)["cutouts"]
    return found if isinstance(mark, Input) and found.kind in mark.kinds else None
