"""One pinned id a stage: a changed default or output without a raised version shows here.

Where an id changes on purpose, raise `Stage.version` and put the new id in.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from skysift.pipeline.catalogue import STAGES, stage_class
from skysift.store import Store

KINDS = ("cutouts", "features", "clusters", "model", "classifier")
IDS = {kind: f"{number:032x}" for number, kind in enumerate(KINDS, start=1)}

REQUESTS: dict[str, dict[str, object]] = {
    "cutouts": {"mosaics": "FILE", "window_size": 64},
    "merge": {"catalogues": IDS["cutouts"]},
    "pack": {"cutouts": IDS["cutouts"]},
    "dataset": {"source": "FILE"},
    "features": {"cutouts": IDS["cutouts"], "encoder": "timm:resnet18", "weights": "random"},
    "cluster": {"features": IDS["features"], "levels": (50, 5)},
    "subsample": {"clusters": IDS["clusters"], "target_size": 100},
    "assign": {"clusters": IDS["clusters"], "features": IDS["features"]},
    "preprocess": {"cutouts": IDS["cutouts"], "image_size": 64},
    "train": {"cutouts": IDS["cutouts"], "method": {"name": "byol"}, "epochs": 3},
    "import-weights": {"file": "FILE", "backbone": "resnet18"},
    "evaluate": {"features": IDS["features"], "draws": 3},
    "train-classifier": {"features": IDS["features"], "freeze": True},
    "classify": {"model": IDS["classifier"], "cutouts": IDS["cutouts"]},
    "mislabels": {"features": IDS["features"], "folds": 4},
    "benchmark": {"features": IDS["features"], "encoder_of": "a", "dataset_of": "b", "draws": 3},
    "anomalies": {"features": IDS["features"], "score": ("knn", "som"), "neighbours": 9},
    "project": {"features": IDS["features"], "seed": 3},
    "search-index": {"features": IDS["features"], "probes": 32},
}

GOLDEN = {
    "cutouts": "7392c6875ed97ba328696e7dd498fa83",
    "merge": "38aadaba68552d2c6cf425a9e343a2f0",
    "pack": "6a05a971587a76ee049afd15c86a7551",
    "dataset": "ddedc1f9657e1c405eb5740b645ff605",
    "features": "36cb4f673dab52575cc503f5e69d67f9",
    "cluster": "782c3cd75be6a45762dc639e5043b0cb",
    "subsample": "4689ee8517d86455d2df90b29dad48e6",
    "assign": "4e8ae0fc63bd2ab488b0848dd1ecc365",
    "preprocess": "17a7413eb49d8b3dfa3ef3055598b363",
    "train": "65b9a887f6738c105766a83bc84f4c96",
    "import-weights": "b09ed932ccb5ae164e407031033ea039",
    "evaluate": "78668cc848530497ff3352e96ed7f40a",
    "train-classifier": "f40b1787e5756dca9c07c6b645c708f5",
    "classify": "457eba1a65e97ed4aa4d9a980ef0da44",
    "mislabels": "43ed6bef2d3fc3681e9cfaed05ce48af",
    "benchmark": "1a6f2daf59c6b3413334426cd1a6d38a",
    "anomalies": "b2d375b36728336d2628f065e35fbd70",
    "project": "a74c33a228c81f1a904da23404034603",
    "search-index": "455527f987343d60e6e1d4efabafe5a6",
}


@pytest.mark.parametrize("name", sorted(STAGES))
def test_id_is_what_it_was(name: str, tmp_path: Path) -> None:
    file = tmp_path / "file.npz"
    file.write_bytes(b"the same bytes")
    options = {k: str(file) if v == "FILE" else v for k, v in REQUESTS[name].items()}
    stage = stage_class(name).model_validate(options)
    planned = {id_: kind for kind, id_ in IDS.items()}
    assert Store(tmp_path / "store").identify(stage, planned=planned) == GOLDEN[name]
