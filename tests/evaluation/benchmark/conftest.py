"""Features of made-up encoders on made-up labelled sets: how much an encoder knows is a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest

from skysift.store.artifact import Artifact
from skysift.store.stage import Stage
from skysift.store.store import Store

N_FEATURES = 8


class MadeFeatures(Stage):
    """Features of a stack of images; classes depend on `dataset` alone.

    With `twins`, all images have the same statistics: `none` have the same features too, the first `two`, or `all`.
    """

    kind: ClassVar[str] = "features"
    signal: float = 1.0
    seed: int = 0
    dataset: int = 5
    sizes: tuple[int, ...] = (60, 50, 40)
    test_images: int = 0
    twins: str | None = None

    def run(self, context: Any) -> dict[str, Any]:
        from tests.evaluation.conftest import tables

        classes = np.random.default_rng(self.dataset).permutation(np.repeat(range(len(self.sizes)), self.sizes))
        n = len(classes)
        split = ["test" if i < self.test_images else "train" for i in range(n)] if self.test_images else None
        table, mosaics = tables(
            mosaic=self.dataset,
            x0=np.zeros(n),
            y0=np.zeros(n),
            plane=np.arange(n),
            labels=[[f"c{c}"] for c in classes],
            format_="npz",
            split=split,
        )
        rng = np.random.default_rng([self.dataset, self.seed])
        features = rng.normal(size=(n, N_FEATURES)).astype(np.float32)
        features += self.signal * np.eye(N_FEATURES, dtype=np.float32)[classes]
        if self.twins is not None:
            for name in ("rms", "peak"):
                column = table.schema.get_field_index(name)
                table = table.set_column(column, name, [np.ones(n, np.float32)])
            features[: {"none": 1, "two": 2, "all": n}[self.twins]] = features[0]
        np.save(context.folder / "features.npy", features)
        pq.write_table(table, context.folder / "catalogue.parquet")
        pq.write_table(mosaics, context.folder / "mosaics.parquet")
        return {"rows": n}


Inputs = dict[str, Sequence[str]]


@pytest.fixture(scope="session")
def inputs() -> Callable[..., dict[str, Any]]:
    """Return what makes features and the fields that name them: `inputs(store, {"a": [(signal, seed)]}, {"d": 5})`."""

    def make(
        store: Store, encoders: dict[str, list[tuple[float, int]]], datasets: dict[str, int], **options: Any
    ) -> dict[str, Any]:
        found: dict[str, list[str]] = {"features": [], "encoder_of": [], "dataset_of": []}
        for dataset, number in datasets.items():
            for encoder, trained in encoders.items():
                for signal, seed in trained:
                    stage = MadeFeatures(signal=signal, seed=seed, dataset=number, **options)
                    found["features"].append(store.run(stage).id)
                    found["encoder_of"].append(encoder)
                    found["dataset_of"].append(dataset)
        return found

    return make


def contents(artifact: Artifact) -> dict[str, bytes]:
    """Return all files but those that may differ between equal runs."""
    return {p.name: p.read_bytes() for p in artifact.folder.iterdir() if p.name not in ("run.json",)}
