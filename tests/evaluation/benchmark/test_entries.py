"""What a YAML's encoders and data sets mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from skysift.evaluation.benchmark.entries import benchmark_entries
from skysift.pipeline.definition import Pipeline

ENCODERS = {
    "web": "timm:resnet18",
    "mine": ["first", "second"],
    "raw": {"encoder": "timm:resnet18", "weights": "random"},
}


def test_features_of_every_encoder_on_every_set():
    made = benchmark_entries(
        "b",
        {"encoders": ENCODERS, "datasets": {"x": "x.npz", "y": "3f2ab1"}, "draws": 3},
        where="here",
        others=(),
    )
    assert list(made) == [
        "b/x", "b/x/web", "b/x/mine/0", "b/x/mine/1", "b/x/raw",
        "b/y/web", "b/y/mine/0", "b/y/mine/1", "b/y/raw", "b",
    ]  # fmt: skip
    assert made["b/x"] == {"stage": "dataset", "source": "x.npz"}
    assert made["b/x/mine/1"] == {"stage": "features", "cutouts": "b/x", "encoder": "second"}
    assert made["b/y/raw"] == {
        "stage": "features",
        "cutouts": "3f2ab1",
        "encoder": "timm:resnet18",
        "weights": "random",
    }
    assert made["b"] == {
        "draws": 3,
        "features": [name for name in made if name.count("/") > 1],
        "encoder_of": ["web", "mine", "mine", "raw"] * 2,
        "dataset_of": ["x"] * 4 + ["y"] * 4,
    }


@pytest.mark.parametrize(
    ("spec", "labelled", "task"),
    [
        ("labelled", {"cutouts": "labelled"}, None),  # an entry
        ("0123abcd", {"cutouts": "0123abcd"}, None),  # an id
        ("my-set", {"cutouts": "my-set"}, None),  # an artifact's name
        ("held", {"source": "held"}, None),  # a set below $SKYSIFT_DATASETS
        ("MiraBest", {"source": "MiraBest"}, None),  # a published set, also where it is missing
        ("maps/table.csv", {"source": "maps/table.csv"}, None),
        ({"source": "labelled", "hdu": 1}, {"source": "labelled", "hdu": 1}, None),
        ({"cutouts": "labelled", "split": "image"}, {"cutouts": "labelled"}, {"dataset": "d", "split": "image"}),
        (
            {"source": "a.npz", "label_map": {"A": ["1"]}, "classes": ["A", "B"], "train_per_class": 5},
            {"source": "a.npz", "label_map": {"A": ["1"]}},
            {"dataset": "d", "classes": ["A", "B"], "train_per_class": 5},
        ),
    ],
)
def test_data_sets(spec, labelled, task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "held").mkdir()
    monkeypatch.setenv("SKYSIFT_DATASETS", str(tmp_path))
    options = {"encoders": {"e": "timm:resnet18"}, "datasets": {"d": spec}}
    made = benchmark_entries("b", options, where="here", others=("labelled",))
    if "cutouts" in labelled:
        assert made["b/d/e"]["cutouts"] == labelled["cutouts"]
        assert "b/d" not in made
    else:
        assert made["b/d"] == {"stage": "dataset", **labelled}
    assert made["b"].get("tasks") == (None if task is None else [task])


def test_encoders_of_other_entries(tmp_path: Path):
    """A benchmark in a pipeline waits for the trainings that it names."""
    content = {
        "benchmark": {"encoders": {"mine": ["t0", "t1"]}, "datasets": {"d": "labelled"}},
        "t1": {"stage": "train", "cutouts": "labelled", "seed": 1},
        "t0": {"stage": "train", "cutouts": "labelled"},
        "labelled": {"stage": "dataset", "source": "set.npz"},
    }
    (tmp_path / "set.npz").write_bytes(b"")
    pipeline = Pipeline.parse({"stages": content}, folder=tmp_path)
    assert pipeline.needs("benchmark/d/mine/1") == ["labelled", "t1"]
    assert pipeline.needs("benchmark") == ["benchmark/d/mine/0", "benchmark/d/mine/1"]
    order = list(pipeline.stages)
    assert order[0] == "labelled"
    assert order[-1] == "benchmark"
