"""The shipped benchmarks, made small, from YAML to table and figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from tests.cli.runner import skysift

CONFIGS = Path(__file__).parents[2] / "configs"


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CONFIGS / name).read_text())
    return content


@pytest.fixture
def example(survey: Path, tmp_path: Path) -> Path:
    """The example with a network of toy size on the toy survey, among configs of their own."""
    content = read("benchmark-example.yaml")
    for repeats in content["encoders"].values():
        del repeats[2]
        for options in repeats:
            options |= {"encoder": "timm:test_resnet", "image_size": 32}
    content["datasets"]["simulated"] |= {"source": str(survey / "labelled" / "wu2019.npz"), "split": "image"}
    content |= {"fractions": [1, 0.5], "draws": 1, "protocols": ["knn", "finetune-frozen"]}
    content["frozen"] = {"freeze": True, "epochs": 2, "turn": False}
    path = tmp_path / "example.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.mark.slow
def test_the_example(example: Path, tmp_path: Path) -> None:
    plan = skysift("benchmark", example, "--dry-run", store=tmp_path / "store")
    rows = [line.split() for line in plan.out.splitlines() if line.startswith("benchmark")]
    parts = [f"benchmark/simulated/{name}/{number}" for name in ("riggi2024", "minmax") for number in (0, 1)]
    assert [row[:2] for row in rows] == [
        ["benchmark/simulated", "dataset"],
        *([part, "features"] for part in parts),
        ["benchmark", "benchmark"],
    ]
    out = tmp_path / "results"
    done = skysift("benchmark", example, "--out", out, "--workers", "2", store=tmp_path / "store")
    assert f"\nbenchmark {done.id[:12]}" not in done.err
    assert all(f"{part} " in done.err for part in parts)
    assert rows[-1][2] == done.id[:12]
    scores = pq.read_table(out / "scores.parquet").to_pylist()
    cells = {(r["encoder"], r["repeat"], r["protocol"], r["fraction"], r["draw"]) for r in scores}
    assert len(cells) == 2 * 2 * 2 * 2
    assert "## finetune-frozen, label fraction 1" in (out / "table.md").read_text()
    assert (out / "figures" / "benchmark-label-fraction-simulated.svg").is_file()
    assert 'id="benchmark"' in (out / "report.html").read_text()
    again = skysift("benchmark", example, "--workers", "1", store=tmp_path / "one")
    assert again.id == done.id
    manifests = [
        json.loads((tmp_path / store / "benchmark" / done.id / "manifest.json").read_text())
        for store in ("store", "one")
    ]
    assert manifests[0] == manifests[1]


@pytest.mark.slow
def test_the_curation_study(survey: Path, tmp_path: Path) -> None:
    """Nine trainings and twelve sets of features from one file; only its sizes are changed."""
    content = read("curation-study.yaml")
    stages = content["stages"]
    stages["cutouts"] |= {"mosaics": str(survey / "mosaics"), "window_size": 32}
    stages["features"] |= {"encoder": "timm:test_resnet", "image_size": 32}
    stages["tree"] |= {"levels": [12, 3], "resample_rounds": 1, "components": 8}
    for name, options in stages.items():
        if options.get("stage") == "subsample":
            options["target_size"] = 32
        if options.get("stage") == "train":
            options |= {"backbone": "test_resnet", "image_size": 32, "batch_size": 16, "epochs": 1}
            assert name.rsplit("-", 1)[1] == str(options["seed"])
    stages["benchmark"] |= {"draws": 2, "fractions": [1], "protocols": ["knn"]}
    labelled = {"source": str(survey / "labelled" / "wu2019.npz"), "split": "image"}
    stages["benchmark"]["datasets"] = {"simulated": labelled}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    done = skysift("run", path, store=tmp_path / "store")
    assert done.code == 0, done.err
    made = dict(line.split() for line in done.out.splitlines())
    assert len(made) == 5 + 9 + 1 + 12 + 1
    benchmark = tmp_path / "store" / "benchmark" / made["benchmark"]
    summary = json.loads((benchmark / "summary.json").read_text())
    assert summary["repeats"] == {"untrained": 3, "curated": 3, "random": 3, "all": 3}
    rows = pq.read_table(benchmark / "comparisons.parquet").to_pylist()
    assert [row["encoder"] for row in rows] == ["curated", "random", "all"]
    assert {(row["baseline"], row["repeats"], row["draws"]) for row in rows} == {("untrained", 3, 2)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoders": {"mine": "no-such-model"}}, "stage 'benchmark/simulated/mine': .*no artifact 'no-such-model'"),
        ({"encoders": {"web": "timm:no_such_net"}}, "stage 'benchmark/simulated/web': .*no_such_net"),
        ({"encoders": {"a": {"wieghts": "random"}}}, "stage 'benchmark/simulated/a': unknown option 'wieghts'"),
        ({"encoders": {"a": {"cutouts": "x"}}}, "encoder 'a': 'cutouts' is not for an encoder to say"),
        ({"encoders": {"a": 3}}, "stage 'benchmark': encoder 'a': give timm:NAME, hf:NAME, a model"),
        ({"encoders": {}}, "stage 'benchmark': 'encoders' is missing or empty"),
        ({"datasets": {"d": "no-such-set"}}, "stage 'benchmark/d/.*': .*no artifact 'no-such-set'"),
        ({"datasets": {"d": {"source": "nowhere.npz"}}}, r"stage 'benchmark/d': nowhere.npz: no such file"),
        ({"datasets": {"d": {"source": "a.npz", "label_fraction": 1}}}, "use the benchmark's fractions"),
        ({"datasets": {"d": {"cutouts": "3f2a", "hdu": 1}}}, "dataset 'd': labelled cutouts are complete"),
        ({"datasets": {"d": {"source": "example.yaml", "splt": "sky"}}}, "unknown option 'splt'; dataset has"),
        ({"baseline": "nobody"}, "stage 'benchmark': .*the baseline 'nobody' is none of the encoders"),
        ({"protocols": ["svm"]}, "stage 'benchmark': protocols.0: Input should be 'knn'"),
        ({"features": ["x"]}, "'features' follows from encoders and datasets"),
        ({"stages": {}}, "this is a pipeline of stages; `skysift run"),
        ({"drawz": 3}, "stage 'benchmark': unknown option 'drawz'"),
    ],
)
def test_errors_name_the_entry(example: Path, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    import re

    from skysift.cli.program import main

    content = yaml.safe_load(example.read_text()) | change
    if "encoders" in change:
        content.pop("baseline")
    example.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        said: list[str] = []
        patch.setattr("skysift.cli.program._complain", lambda text, code, **_: said.append(text) or code)
        assert main(["benchmark", str(example), "--store", str(tmp_path / "store"), "--quiet"]) == 2
    assert re.search(message, said[0]), said[0]
    assert "\n" not in said[0]


def test_without_a_file() -> None:
    done = skysift("benchmark")
    assert (done.code, done.out) == (2, "")
    assert "needs a YAML with encoders and datasets" in done.err
