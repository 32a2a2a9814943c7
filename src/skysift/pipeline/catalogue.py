"""The stages that a pipeline and the command line know by name."""

from __future__ import annotations

import importlib
from typing import cast

from skysift.errors import RequestError
from skysift.store.stage import Stage

STAGES = {
    "cutouts": "skysift.cutouts.stages:Cutouts",
    "merge": "skysift.cutouts.stages:Merge",
    "pack": "skysift.cutouts.stages:Pack",
    "dataset": "skysift.datasets.stages:Dataset",
    "features": "skysift.features.stages:Features",
    "cluster": "skysift.curation.stages:Cluster",
    "subsample": "skysift.curation.stages:Subsample",
    "assign": "skysift.curation.stages:Assign",
    "preprocess": "skysift.ssl.stages:Preprocessed",
    "train": "skysift.ssl.stages:Train",
    "import-weights": "skysift.encoders.stages:ImportWeights",
    "evaluate": "skysift.evaluation.stages:Evaluate",
    "train-classifier": "skysift.evaluation.stages:TrainClassifier",
    "classify": "skysift.evaluation.stages:Classify",
    "mislabels": "skysift.evaluation.stages:Mislabels",
    "benchmark": "skysift.evaluation.benchmark.stages:Benchmark",
    "anomalies": "skysift.discovery.stages:Anomalies",
    "project": "skysift.discovery.projection.stage:Project",
    "search-index": "skysift.discovery.similar.stage:SearchIndex",
}


def stage_class(name: str) -> type[Stage]:
    """Return the stage of that name; its module is imported now, the libraries that do the work are not.

    Raises
    ------
    RequestError
        If there is none.
    """
    if name not in STAGES:
        raise RequestError(f"There is no stage {name!r}; there are {', '.join(STAGES)}.")
    module, attribute = STAGES[name].split(":")
    return cast("type[Stage]", getattr(importlib.import_module(module), attribute))
