"""Evaluation of labelled sets as `Dataset` reads them: order of classes, the set's own split, real radio galaxies."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.datasets.stages import Dataset
from skysift.evaluation.stages import Evaluate
from skysift.store.fields import Input
from skysift.store.stage import Stage
from skysift.store.store import Store


def axis_profile(image: np.ndarray) -> np.ndarray:
    """Light along the principal axis of an image, folded at its centre: FR-II shine at the ends, FR-I in the middle."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    light = image.ravel() / max(image.sum(), 1e-9)
    places = np.stack([x.ravel() - light @ x.ravel(), y.ravel() - light @ y.ravel()])
    spread, axes = np.linalg.eigh((places * light) @ places.T)
    along = np.abs(axes[:, 1] @ places) / max(np.sqrt(spread[1]), 1e-9)
    across = np.abs(axes[:, 0] @ places) / max(np.sqrt(spread[1]), 1e-9)
    profile = np.histogram(along, bins=16, range=(0, 2.5), weights=light)[0]
    return np.concatenate([profile, np.histogram(across, bins=8, range=(0, 2), weights=light)[0], np.sqrt(spread)])


class Profiles(Stage):
    """Profiles along the principal axis as features."""

    kind: ClassVar[str] = "features"
    cutouts: Annotated[str, Input()]

    def run(self, context: Any) -> dict[str, Any]:
        artifact = context.input(self.cutouts)
        source: Any = PixelSource.open(artifact, context.locate)
        features = np.stack([axis_profile(image.astype(float)) for image in source.read(np.arange(len(source)))])
        Catalogue.open(artifact).write(context.folder)
        np.save(context.folder / "features.npy", features.astype(np.float32))
        return {"rows": len(features)}


def test_own_order_and_split(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.repeat(["zebra", "ant", "10", "9"], 12)
    images = rng.integers(0, 60, (48, 20, 20)) + 40 * np.arange(48)[:, None, None] // 12
    split = np.where(np.arange(48) % 3 == 0, "test", "train")
    np.savez(tmp_path / "set.npz", images=images.astype(np.uint8), labels=labels, split=split)
    store = Store(tmp_path / "store")
    data = store.run(Dataset(source=str(tmp_path / "set.npz"), label_map=("later=zebra", "first=9+ant")))
    order = json.loads(data.path("classes.json").read_text())["classes"]
    assert order == ["later", "first"]
    features = store.run(Profiles(cutouts=data.id))
    found = store.run(Evaluate(features=features.id))
    metrics = json.loads(found.path("metrics.json").read_text())
    assert metrics["classes"] == order
    assert metrics["split"]["by"] == "fixed"
    assert len(metrics["draws"]) == 1
    assert metrics["draws"][0]["test"] == {"later": 4, "first": 8}
    assert metrics["draws"][0]["train"] == {"later": 8, "first": 16}
    overall = metrics["protocols"]["linear"]["overall"]["accuracy"]
    assert overall["error"] is None
    assert overall["bootstrap_error"] is not None
    asked = store.run(Evaluate(features=features.id, classes=("first", "later"), split="image", draws=1))
    assert json.loads(asked.path("metrics.json").read_text())["classes"] == ["first", "later"]


@pytest.mark.realdata
def test_fr1_against_fr2(data_dir, tmp_path):
    """The probe on a few numbers of each real image scores as scikit-learn's own cross-validation does."""
    store = Store(tmp_path)
    data = store.run(Dataset(source=str(data_dir / "mirabest" / "mirabest_train.npz")))
    features = store.run(Profiles(cutouts=data.id))
    classes = ("FR-I=0+1+2+3+4", "FR-II=5+6+7")
    found = store.run(Evaluate(features=features.id, classes=classes))
    metrics = json.loads(found.path("metrics.json").read_text())
    assert metrics["samples"]["labelled"] > 900
    assert metrics["samples"]["without_class"] > 10
    assert metrics["split"]["groups"] == metrics["samples"]["labelled"] - metrics["samples"]["equal_content"]
    accuracy = metrics["protocols"]["linear"]["overall"]["accuracy"]
    label = np.array([int(entry[0]) for entry in Catalogue.open(data).labels])
    rows = np.load(features.path("features.npy"))[label < 8]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    expected = cross_val_score(model, rows, (label[label < 8] >= 5).astype(int), cv=folds).mean()
    assert accuracy["mean"] == pytest.approx(expected, abs=0.04)
    assert accuracy["mean"] > 0.56
    assert accuracy["error"] < 0.03
    assert {sum(draw["test"].values()) for draw in metrics["draws"]} <= set(range(270, 330))
