"""Pixels preprocessed once: which trainings may use them, and that they change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from skysift.errors import RequestError, Stopped
from skysift.imaging import Preprocess, preprocess
from skysift.ssl import preparation
from skysift.ssl.pack import Pack
from skysift.ssl.stages import Preprocessed, Train
from skysift.store import Artifact, Store
from tests.ssl.cutouts import ToyPack, toy_images

QUICK: dict[str, Any] = {"backbone": "test_resnet", "channels": 1, "image_size": 32, "batch_size": 16, "epochs": 1}
PIXELS: dict[str, Any] = {"channels": 1, "image_size": 32}


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.name(store.run(ToyPack()).id, "toys")
    return store


def published(artifact: Artifact) -> dict[str, bytes]:
    files = [path for path in sorted(artifact.folder.rglob("*")) if path.is_file()]
    own = ("run.json", "manifest.json")  # clocks, and the id of the input
    return {str(path.relative_to(artifact.folder)): path.read_bytes() for path in files if path.name not in own}


@pytest.mark.parametrize("preset", ["riggi2024", "mixed", "imagenet"])
def test_the_model_is_the_one_trained_from_the_cutouts(store: Store, preset: str) -> None:
    train = {**QUICK, "preprocess": preset, "seed": 3, "threads": 1}
    plain = store.run(Train(cutouts="toys", **train))
    pixels = store.run(Preprocessed(cutouts="toys", preprocess=preset, seed=3, **PIXELS))
    model = store.run(Train(cutouts=pixels.id, **train))
    assert model.id != plain.id
    assert published(model) == published(plain)
    assert pixels.counts == {"rows": 40}


def test_pixels_are_float16_of_the_preprocessed_ones(store: Store) -> None:
    pixels = store.run(Preprocessed(cutouts="toys", **PIXELS))
    assert {path.name for path in pixels.folder.iterdir()} == {
        "images.npy", "valid.npy", "preprocess.json", "manifest.json", "run.json",
    }  # fmt: skip
    spec = Preprocess.model_validate_json((pixels.folder / "preprocess.json").read_text())
    assert spec == Preprocess.preset("riggi2024", size=32, channels=1)
    expected = preprocess(toy_images(40, 0), spec).numpy()
    np.testing.assert_allclose(Pack(pixels.folder).images().astype(np.float32), expected, atol=2.5e-4)


def test_a_training_from_the_cutouts_finds_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.run(Preprocessed(cutouts="toys", **PIXELS))
    monkeypatch.setattr(preparation, "_prepare", lambda *_: pytest.fail("preprocessed again"))
    for seed in range(2):
        assert store.run(Train(cutouts="toys", seed=seed, threads=1, **QUICK)).counts["cutouts"] == 40
    with pytest.raises(pytest.fail.Exception):
        store.run(Train(cutouts="toys", threads=1, **QUICK | {"preprocess": "minmax"}))


@pytest.mark.parametrize(
    ("held", "asked", "wanted"),
    [
        ({}, {"preprocess": "minmax"}, "--preprocess riggi2024 --image-size 32 --channels 1: give train the same"),
        ({}, {"image_size": 64}, "--image-size 32"),
        ({}, {"channels": 3}, "--channels 1"),
        ({"preprocess": "mixed", "seed": 4}, {"preprocess": "mixed"}, "--channels 1 --seed 4"),
    ],
)
def test_other_preprocessing_is_refused(store: Store, held: dict[str, Any], asked: dict[str, Any], wanted: str) -> None:
    pixels = store.run(Preprocessed(cutouts="toys", **PIXELS | held))
    with pytest.raises(RequestError, match=wanted):
        store.run(Train(cutouts=pixels.id, **QUICK | asked))


def test_other_stages_refuse_them(store: Store) -> None:
    from skysift.features.stages import Features

    pixels = store.run(Preprocessed(cutouts="toys", **PIXELS))
    with pytest.raises(RequestError, match="is a preprocessed artifact"):
        store.run(Features(cutouts=pixels.id, encoder="timm:resnet18"))


def test_a_stop_or_a_kill_at_any_time_leaves_the_same_bytes(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skysift.ssl.pack.CHUNK", 8)
    stage = Preprocessed(cutouts="toys", **PIXELS)
    calls = iter(range(100))
    with pytest.raises(Stopped):
        store.run(stage, should_stop=lambda: next(calls) == 2)
    with monkeypatch.context() as patch:  # as if killed between the two renames
        patch.setattr(preparation, "VALID", "nothing.npy")
        with pytest.raises(FileNotFoundError):
            store.run(stage)
    made = store.run(stage)
    other = Store(tmp_path / "other")
    other.run(Preprocessed(cutouts=other.run(ToyPack()).id, **PIXELS))
    twin = next(artifact for artifact in other.artifacts() if artifact.kind == "preprocessed")
    assert published(made) == published(twin)
