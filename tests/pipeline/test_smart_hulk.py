"""The two steps of smart_hulk, as the configuration describes them, on a tiny survey."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from skysift.pipeline import Pipeline, plan, run_pipeline
from skysift.sky.simulate import SurveyConfig, simulate
from skysift.ssl.stages import Train
from skysift.store import Store, ancestors
from tests.conftest import ROOT

CONFIG = ROOT / "configs" / "smart-hulk.yaml"
TINY = {"backbone": "test_resnet", "image_size": 32, "epochs": 1, "warmup_epochs": 0, "batch_size": 8, "lr": 1e-3}


def test_both_steps_are_the_papers() -> None:
    stages = Pipeline.read(CONFIG).stages
    first, second = stages["hulk"], stages["smart-hulk"]
    assert isinstance(first, Train)
    assert isinstance(second, Train)
    assert (first.augment, first.epochs, second.augment, second.epochs) == ("hulk", 100, "banner", 500)
    assert (first.init_from, second.init_from) == (None, "hulk")
    assert first.method == second.method
    assert list(stages).index("hulk") < list(stages).index("smart-hulk")


@pytest.mark.slow
def test_the_second_step_starts_from_the_first_and_the_plan_knows(tmp_path: Path, one_thread: Any) -> None:
    simulate(tmp_path / "survey", SurveyConfig.preset("tiny", seed=1))
    content = yaml.safe_load(CONFIG.read_text())
    for name in ("hulk", "smart-hulk"):
        content["stages"][name].update(TINY, threads=1)
    content["stages"]["windows"]["window_size"] = 64
    pipeline, store = Pipeline.parse(content, folder=tmp_path), Store(tmp_path / "store")
    planned = {step.name: step.id for step in plan(store, pipeline)}
    made = run_pipeline(pipeline, run=store.run)
    assert planned == {name: artifact.id for name, artifact in made.items()}
    smart = made["smart-hulk"]
    assert {made["hulk"].id, made["sources"].id, made["windows"].id} == set(ancestors(store, smart.id))
    assert f"model {made['hulk'].id}" in (smart.folder / "card.md").read_text()
    assert json.loads((smart.folder / "training.json").read_text())["options"]["augment"] == "banner"


@pytest.fixture
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
