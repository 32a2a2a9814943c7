"""The Train stage: from a pack of cutouts to a published model."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from skysift.errors import RequestError, Stopped
from skysift.ssl.methods import BYOL, SimCLR
from skysift.ssl.stages import Train
from skysift.store import Artifact, Store
from skysift.store.stage import identity
from tests.ssl.cutouts import ToyPack, toy_images

QUICK: dict[str, Any] = {"backbone": "test_resnet", "channels": 1, "image_size": 32, "batch_size": 16, "epochs": 2}
ZERO = "0" * 32


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Artifact]:
    store = Store(tmp_path_factory.mktemp("store"))
    pack = store.run(ToyPack())
    return store, store.run(Train(cutouts=pack.id, threads=1, **QUICK))


def published(artifact: Artifact) -> dict[str, bytes]:
    files = [path for path in sorted(artifact.folder.rglob("*")) if path.is_file() and path.name != "run.json"]
    return {str(path.relative_to(artifact.folder)): path.read_bytes() for path in files}


def test_golden_id() -> None:
    assert identity(Train(cutouts=ZERO), {}, {}) == identity(Train(cutouts=ZERO, threads=3, sync_every=1), {}, {})
    assert identity(Train(cutouts=ZERO, method="byol", epochs=5), {}, {}) == "13f547ffef51b5f8bb11c02c44421ba3"


def test_method_is_chosen_by_name_or_by_options() -> None:
    assert Train(cutouts=ZERO, method="byol").method == BYOL()
    assert Train(cutouts=ZERO, method={"temperature": 0.2}).method == SimCLR(temperature=0.2)
    assert Train(cutouts=ZERO, method={"name": "byol", "momentum": 0.9}).method == BYOL(momentum=0.9)
    with pytest.raises(ValidationError, match="simclr"):
        Train(cutouts=ZERO, method="jigsaw")


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"batch_size": 4}, {"channels": 2}, {"warmup_epochs": 101}, {"lr": 0}])
def test_bad_options_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Train(cutouts=ZERO, **bad)


def test_options_load_without_torch() -> None:
    code = "import sys, skysift.ssl.stages as s; s.Train.model_json_schema(); print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_artifact_holds_encoder_heads_history_and_record(trained: tuple[Store, Artifact]) -> None:
    from skysift.encoders import load_encoder

    store, artifact = trained
    assert {"encoder.safetensors", "encoder.json", "head.safetensors", "history.csv", "training.json"} <= set(
        published(artifact)
    )
    encoder = load_encoder(artifact.id, store=store)
    assert (encoder.dim, encoder.preprocess.size, encoder.preprocess.channels) == (96, 32, 1)
    assert encoder.encode(torch.rand(2, 1, 32, 32)).shape == (2, 96)
    heads = load_file(artifact.folder / "head.safetensors")
    assert heads["projector.layers.0.weight"].shape == (256, 96)
    rows = list(csv.DictReader((artifact.folder / "history.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert 0 < float(rows[1]["loss"]) < 10
    record = json.loads((artifact.folder / "training.json").read_text())
    assert (record["cutouts"], record["steps"], record["options"]["backbone"]) == (40, 4, "test_resnet")
    assert artifact.counts["loss"] == float(rows[1]["loss"])
    assert list((store.root / "logs" / artifact.id).glob("events.out.tfevents.*"))
    assert json.loads((artifact.folder / "run.json").read_text())["runtime"]["train"]["images_per_second"] > 0
    assert "| Training set | 40 cutouts of pack" in (artifact.folder / "card.md").read_text()


def test_equal_runs_give_equal_bytes_stopped_or_not(trained: tuple[Store, Artifact], tmp_path: Path) -> None:
    first = trained[1]
    store = Store(tmp_path)
    stage = Train(cutouts=store.run(ToyPack()).id, threads=1, sync_every=3, **QUICK)
    calls = iter(range(100))
    with pytest.raises(Stopped, match="after step 3 of 4"):
        store.run(stage, should_stop=lambda: next(calls) == 3)  # asked once while preprocessing
    second = store.run(stage)
    assert second.id == first.id
    assert published(second) == published(first)


def test_fewer_cutouts_than_a_batch_make_a_smaller_one_with_a_warning(tmp_path: Path) -> None:
    store = Store(tmp_path)
    pack = store.run(ToyPack(count=12))
    artifact = store.run(Train(cutouts=pack.id, threads=1, **QUICK | {"method": "byol", "epochs": 1}))
    assert artifact.counts["batch_size"] == 12
    assert "only 12 cutouts: the batch size is 12 instead of 16" in (artifact.folder / "run.json").read_text()


@pytest.mark.parametrize(
    "options", [{"precision": "bf16-mixed"}, {"channels": 3, "preprocess": "imagenet"}, {"preprocess": "mixed"}]
)
def test_other_arithmetic_and_presets_train(trained: tuple[Store, Artifact], options: dict[str, Any]) -> None:
    store, first = trained
    pack = next(a for a in store.artifacts() if a.kind == "pack")
    artifact = store.run(Train(cutouts=pack.id, threads=1, **QUICK | {"epochs": 1} | options))
    assert artifact.counts["loss"] == pytest.approx(first.counts["loss"], abs=1.5)
    state = load_file(artifact.folder / "encoder.safetensors")
    assert {value.dtype for name, value in state.items() if "num_batches" not in name} == {torch.float32}


@pytest.mark.parametrize("channels", [1, 3])
def test_a_masked_autoencoder_trains_and_carries_on(tmp_path: Path, channels: int) -> None:
    small = {"name": "mae", "decoder_dim": 32, "decoder_depth": 1, "decoder_heads": 2}
    options = QUICK | {"backbone": "test_vit", "image_size": 64, "method": small, "channels": channels}
    stores = [Store(tmp_path / name) for name in ("whole", "stopped")]
    stages = [Train(cutouts=store.run(ToyPack()).id, threads=1, **options) for store in stores]
    whole = stores[0].run(stages[0])
    assert json.loads((whole.folder / "training.json").read_text())["options"]["optimizer"] == "adamw"
    calls = iter(range(100))
    with pytest.raises(Stopped, match="after step 2 of 4"):
        stores[1].run(stages[1], should_stop=lambda: next(calls) == 2)
    assert published(stores[1].run(stages[1])) == published(whole)
    assert set(name.split(".")[0] for name in load_file(whole.folder / "head.safetensors")) == {
        "embed",
        "decoder",
        "paint",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "mae"}, "choose a vit_"),
        ({"backbone": "resnet19"}, "did you mean"),
        ({"preprocess": "sepia"}, "sepia"),
        ({"augment": "sepia"}, "sepia"),
    ],
)
def test_wrong_names_are_refused_before_any_work(
    trained: tuple[Store, Artifact], options: dict[str, Any], message: str
) -> None:
    store = trained[0]
    pack = next(a for a in store.artifacts() if a.kind == "pack")
    with pytest.raises(RequestError, match=message):
        store.run(Train(cutouts=pack.id, **QUICK | options))


def test_too_few_cutouts_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(RequestError, match="at least 8 cutouts"):
        store.run(Train(cutouts=store.run(ToyPack(count=5)).id, **QUICK))


@pytest.mark.slow
def test_two_processes_make_one_model(tmp_path: Path) -> None:
    store = Store(tmp_path)
    pack = store.run(ToyPack())
    stage = Train(cutouts=pack.id, threads=1, **QUICK)
    lead = (
        "import sys; from skysift.store import Store; from skysift.ssl.stages import Train;"
        "print(Store(sys.argv[1]).run(Train.model_validate_json(sys.argv[2]), device='cpu').id)"
    )
    commands = [[lead, str(tmp_path), stage.model_dump_json()], ["from skysift.ssl.train import follow; follow('cpu')"]]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    world = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", *command],
            env={**os.environ, **world, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank, command in enumerate(commands)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    artifact = store.run(stage)
    assert artifact.id == outputs[0].strip().splitlines()[-1]
    assert artifact.counts["steps"] == 4


@pytest.mark.slow
@pytest.mark.parametrize(("method", "gain"), [("simclr", 0.2), ("byol", 0.1)])
def test_training_beats_random_weights(tmp_path: Path, method: str, gain: float) -> None:
    """Nearest-neighbour accuracy on unseen images of three shapes, leave-one-out, 120 steps."""
    from skysift.encoders import load_encoder
    from skysift.imaging import preprocess

    store = Store(tmp_path)
    pack = store.run(ToyPack(count=384))
    options = QUICK | {"epochs": 20, "batch_size": 64, "method": method, "augment": "banner", "lr": 3e-3}
    artifact = store.run(Train(cutouts=pack.id, threads=1, **options))
    losses = [float(row["loss"]) for row in csv.DictReader((artifact.folder / "history.csv").open())]
    assert losses[-1] < 0.85 * losses[0]
    labels = torch.arange(384) % 3
    test_images = toy_images(384, seed=1)

    def accuracy(encoder: Any) -> float:
        with torch.no_grad():
            features = encoder.encode(preprocess(test_images, encoder.preprocess))
        features = torch.nn.functional.normalize(features, dim=1)
        similarity = (features @ features.T).fill_diagonal_(-1)
        nearest = labels[similarity.topk(5).indices]
        return (nearest.mode(dim=1).values == labels).float().mean().item()

    options = {"weights": "random", "channels": 1, "image_size": 32}
    random = [accuracy(load_encoder("timm:test_resnet", seed=seed, **options)) for seed in range(3)]
    assert accuracy(load_encoder(artifact.id, store=store)) > max(random) + gain
