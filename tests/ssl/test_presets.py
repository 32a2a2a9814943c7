"""The presets: each is a request that can be carried out, with the numbers of its source."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from skysift.encoders.backbones import check_name
from skysift.errors import RequestError
from skysift.imaging import Augment, Preprocess
from skysift.pipeline import Pipeline
from skysift.pipeline.definition import validated
from skysift.ssl import presets
from skysift.ssl.methods import BYOL, METHODS, SimCLR
from skysift.ssl.stages import Train
from skysift.store.stage import full_config, identity

ZERO = "0" * 32

RIGGI = {
    "method": {"name": "simclr", "temperature": 0.1, "hidden_dim": 256, "projection_dim": 128, "batch_norm": False},
    "backbone": "resnet18",
    "channels": 3,
    "image_size": 224,
    "preprocess": "riggi2024",
    "optimizer": "adam",
    "lr": 0.1,
    "batch_size": 128,
    "warmup_epochs": 10,
}
CECCONELLO = {"backbone": "resnet18", "channels": 3, "image_size": 224, "augment": "cecconello2024"}
NUMBERS: dict[str, dict[str, Any]] = {
    "riggi2024-hulk": {**RIGGI, "epochs": 100, "augment": "hulk"},
    "riggi2024-banner": {**RIGGI, "epochs": 500, "augment": "banner"},
    "riggi2024-smart-hulk": {**RIGGI, "epochs": 500, "augment": "banner"},
    "cecconello2024-simclr": {**CECCONELLO, "optimizer": "lars", "lr": 0.3, "weight_decay": 1e-4, "batch_size": 256},
    "cecconello2024-byol": {**CECCONELLO, "optimizer": "lars", "lr": 0.5, "weight_decay": 1e-6, "batch_size": 254},
    "cecconello2024-all4one": {**CECCONELLO, "optimizer": "lars", "lr": 1.0, "weight_decay": 1e-5},
    "cecconello2024-wmse": {**CECCONELLO, "optimizer": "adam", "lr": 2e-3, "weight_decay": 1e-6},
    "cecconello2024-swav": {**CECCONELLO, "optimizer": "lars", "lr": 0.6, "weight_decay": 1e-6},
    "cecconello2024-dino": {**CECCONELLO, "optimizer": "lars", "lr": 0.3, "weight_decay": 1e-6},
}
HEADS: dict[str, dict[str, Any]] = {
    "cecconello2024-simclr": {"temperature": 0.2, "hidden_dim": 4096, "projection_dim": 512},
    "cecconello2024-byol": {"hidden_dim": 1024, "projection_dim": 256, "momentum": 0.99, "final_momentum": 1.0},
    "cecconello2024-all4one": {
        "temperature": 0.2,
        "queue_size": 65_536,
        "hidden_dim": 2048,
        "predictor_dim": 4096,
        "projection_dim": 256,
    },
    "cecconello2024-wmse": {"hidden_dim": 1024, "projection_dim": 64, "whitening_size": 128},
    "cecconello2024-swav": {"prototypes": 3000, "projection_dim": 128, "queue_size": 3840, "queue_start": 50 / 400},
    "cecconello2024-dino": {"prototypes": 4096, "momentum": 0.9995, "temperature_warmup": 50 / 400},
}


def request(name: str, **options: Any) -> Train:
    needed = dict.fromkeys(presets.read(name).needs, "1" * 32)
    return Train.model_validate({"cutouts": ZERO, "preset": name, **needed, **options})


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_is_a_request_that_can_be_carried_out(name: str) -> None:
    preset, stage = presets.read(name), request(name)
    assert preset.summary[0] != " "
    assert len(preset.source) > 20
    assert set(preset.assumed) <= set(preset.options)
    assert Preprocess.preset(stage.preprocess, size=stage.image_size, channels=stage.channels).size == stage.image_size
    assert Augment.preset(stage.augment).preset_name == stage.augment
    check_name(stage.backbone)
    assert stage.batch_size >= stage.method.min_batch


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_those_of_the_papers(name: str) -> None:
    config = full_config(request(name))
    assert {option: config[option] for option in NUMBERS[name]} == NUMBERS[name]
    heads = HEADS.get(name, {})
    assert {option: config["method"][option] for option in heads} == heads


def test_there_is_a_paper_behind_each_and_ours_for_every_method() -> None:
    assert {name for name in presets.names() if not name.startswith("default-")} == set(NUMBERS)
    ours = {request(name).method.name for name in presets.names() if name.startswith("default-")}
    assert ours == set(METHODS)


def test_the_preset_itself_leaves_no_trace() -> None:
    preset = presets.read("riggi2024-hulk")
    spelled_out = Train.model_validate({"cutouts": ZERO, **preset.options})
    named = Train.model_validate({"cutouts": ZERO, "preset": "riggi2024-hulk"})
    assert named == spelled_out
    assert identity(named, {}, {}) == identity(spelled_out, {}, {})
    assert "preset" not in full_config(named)
    assert Train.model_validate(full_config(named)) == named


def test_what_is_given_wins() -> None:
    stage = request("riggi2024-hulk", lr=1e-3, method={"temperature": 0.5}, warmup_epochs=None)
    assert (stage.lr, stage.epochs, stage.warmup_epochs) == (1e-3, 100, None)
    assert stage.method == SimCLR(temperature=0.5)
    assert request("cecconello2024-byol", method="byol").method == BYOL()
    assert request("cecconello2024-byol", method={"name": "byol", "momentum": 0.9}).method == BYOL(momentum=0.9)
    assert request("cecconello2024-simclr", method={"name": "simclr"}).method == SimCLR(
        temperature=0.2, hidden_dim=4096, projection_dim=512
    )
    assert request("cecconello2024-simclr", method="byol").method == BYOL()
    assert request("cecconello2024-simclr", method=SimCLR()).method == SimCLR()


def test_an_unknown_preset_lists_those_that_there_are() -> None:
    with pytest.raises(RequestError, match=r"there is no preset 'hulk'; there are cecconello2024-all4one, .*riggi2024"):
        Train.model_validate({"cutouts": ZERO, "preset": "hulk"})
    with pytest.raises(RequestError, match="skysift train: there is no preset 'hulk'"):
        validated(Train, {"cutouts": ZERO, "preset": "hulk"}, where="skysift train")


def test_the_second_step_needs_the_first() -> None:
    with pytest.raises(RequestError, match="preset riggi2024-smart-hulk needs init_from as well"):
        Train.model_validate({"cutouts": ZERO, "preset": "riggi2024-smart-hulk"})


def test_a_pipeline_may_name_one() -> None:
    content = {"stages": {"mine": {"stage": "train", "cutouts": ZERO, "preset": "default-byol", "epochs": 7}}}
    stage = Pipeline.parse(content).stages["mine"]
    assert stage == Train.model_validate({"cutouts": ZERO, **presets.read("default-byol").options, "epochs": 7})


def test_help_names_them_without_torch() -> None:
    code = (
        "import sys; from skysift.cli.program import main; main(['train', '--help']);"
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    text = "".join(out.stdout.replace("│", "").split())
    assert all(name in text for name in presets.names())
    assert out.stderr.strip() == "False"


def test_a_method_brings_the_optimiser_that_suits_it() -> None:
    assert (Train(cutouts=ZERO, method="mae").optimizer, Train(cutouts=ZERO, method="mae").lr) == ("adamw", 5e-4)
    assert Train(cutouts=ZERO, method={"name": "mae"}, lr=1e-4).lr == 1e-4
    assert Train(cutouts=ZERO, method=METHODS["mae"](), optimizer="adam").optimizer == "adam"
    for name in ("simclr", "byol"):
        assert (Train(cutouts=ZERO, method=name).optimizer, Train(cutouts=ZERO, method=name).lr) == ("adam", 1e-3)


@pytest.mark.parametrize("method", ["jigsaw", {"name": ["mae"]}, 3])
def test_a_method_that_is_none_is_still_an_error_of_its_own(method: Any) -> None:
    with pytest.raises(ValidationError):
        Train(cutouts=ZERO, method=method)
