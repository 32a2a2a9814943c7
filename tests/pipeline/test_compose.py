"""Chains that one command stands for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from skysift.cli.running import Session
from skysift.cli.stages import evaluate
from skysift.cutouts.catalogue import Catalogue
from skysift.datasets.stages import Dataset
from skysift.errors import RequestError
from skysift.pipeline.compose import labelled_features
from skysift.store import Store


@pytest.mark.parametrize("label_map", ["mirabest-confident", "FR-I=0+1+2,FR-II=5..6"])
def test_features_of_mapped_labels(label_map: str, tmp_path: Path) -> None:
    """From a path, and from labelled cutouts that are in the store: the classes are the same."""
    store = Store(tmp_path / "store")
    images = np.random.default_rng(0).integers(0, 256, (30, 20, 20)).astype(np.uint8)
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(30) % 10)
    plain = store.run(Dataset(source=str(tmp_path / "set.npz")))
    classes = []
    for reference in (str(tmp_path / "set.npz"), plain.id):
        features = labelled_features(
            store, "timm:test_resnet", reference, store.run, weights="random", label_map=label_map
        )
        assert {label for entry in Catalogue.open(features).labels for label in entry} == {"FR-I", "FR-II"}
        (made,) = (store.get(id_) for id_ in features.inputs)
        classes.append(json.loads(made.path("classes.json").read_text()))
    assert classes[0] == classes[1] == {"classes": ["FR-I", "FR-II"], "counts": [9, 6]}


def test_a_label_map_without_a_data_set(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="--label-map belongs to --dataset"):
        evaluate("evaluate", {"features": "ab", "label_map": "mirabest"}, Session.__new__(Session))
