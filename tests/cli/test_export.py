"""`skysift export`: models that others load without skysift, and cutouts with questions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from skysift.cli.program import main
from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.stages import Cutouts
from skysift.datasets.stages import Dataset
from skysift.encoders import _torchvision, load_encoder, save_encoder
from skysift.evaluation.stages import Evaluate
from skysift.features.stages import Features
from skysift.imaging import Preprocess, preprocess
from skysift.ssl.stages import Train
from skysift.store import Artifact, Store
from tests.encoders.others import features_of_others, usage


@pytest.fixture(scope="module")
def made(survey: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, dict[str, Artifact]]:
    """A model, an evaluation of it, and one of its untrained twin, in a store."""
    store = Store(tmp_path_factory.mktemp("store"))
    options: dict[str, Any] = {"backbone": "test_resnet", "image_size": 32, "batch_size": 16, "epochs": 1}
    cutouts = store.run(Cutouts(mosaics=str(survey / "mosaics"), window_size=64))
    model = store.run(Train(cutouts=cutouts.id, threads=1, **options))
    labelled = store.run(Dataset(source=str(survey / "labelled" / "wu2019.npz")))
    features = store.run(Features(cutouts=labelled.id, model=model.id))
    random = store.run(Features(cutouts=labelled.id, model=model.id, weights="random"))
    found = {"cutouts": cutouts, "model": model, "labelled": labelled}
    knn: dict[str, Any] = {"protocol": ("knn",), "draws": 3, "split": "image"}
    found["score"] = store.run(Evaluate(features=features.id, **knn))
    found["random score"] = store.run(Evaluate(features=random.id, **knn))
    return store, found


def export(store: Store, *words: object) -> int:
    return main(["export", *map(str, words), "--store", str(store.root), "--quiet"])


@pytest.mark.slow
def test_timm_loads_the_model_without_skysift(made: tuple[Store, dict[str, Artifact]], tmp_path: Path) -> None:
    store, found = made
    to = tmp_path / "release"
    assert export(store, found["model"].id, "--to", to, "--no-onnx", "--licence", "cc-by-4.0") == 0
    encoder = load_encoder(found["model"].id, store=store)
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        wanted = encoder.encode(images)
    card = (to / "README.md").read_text()
    got = features_of_others(to, images, usage(card), tmp_path)
    assert got.shape == (3, 96)
    assert torch.allclose(got, wanted, rtol=0, atol=1e-5)
    assert json.loads((to / "config.json").read_text())["pretrained_cfg"]["license"] is None  # of timm's weights
    files = sorted(p.name for p in to.iterdir())
    assert files == ["README.md", "config.json", "domain.json", "export.json", "model.safetensors", "preprocess.json"]
    assert sorted(json.loads((to / "export.json").read_text())["files"]) == sorted(set(files) - {"export.json"})


def test_the_card_tells_data_lineage_scores_and_licences(
    made: tuple[Store, dict[str, Artifact]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, found = made
    words = [found["model"].id, "--to", tmp_path / "a", "--no-onnx", "--licence", "cc-by-4.0"]
    assert export(store, *words) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "a")
    card = (tmp_path / "a" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: timm\n")
    assert "\nlicense: cc-by-4.0\n" in card
    metrics = json.loads(found["score"].path("metrics.json").read_text())["protocols"]["knn"]["overall"]["macro_f1"]
    [row] = [line for line in card.splitlines() if "| kNN |" in line]  # that of the untrained twin is not its score
    assert f"{metrics['mean']:.2f}"[:4] in row
    assert f"evaluation {found['score'].id[:12]}" in row
    assert row.startswith("| wu2019.npz |")
    assert "| no |" in row  # other files than those of the training
    assert "| beam | 2.4 pixels of the images |" in card
    assert f"| cutouts | {found['cutouts'].id[:12]} | Cutouts; " in card
    assert "from mosaic_00.fits, mosaic_01.fits |" in card
    assert "| epochs | 1 |" in card
    assert "clamped to 5 standard deviations below and 30 above" in card
    assert "started from random numbers" in card
    assert str(tmp_path.parent) not in card
    assert str(store.root) not in card
    options = json.loads((tmp_path / "a" / "preprocess.json").read_text())
    assert Preprocess.model_validate(options["options"]) == load_encoder(found["model"].id, store=store).preprocess
    assert export(store, *words[:2], tmp_path / "b", *words[3:]) == 0
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_images_seen_in_training_are_named(made: tuple[Store, dict[str, Artifact]]) -> None:
    from skysift.report.release import _seen

    store, found = made
    own = store.run(Features(cutouts=found["cutouts"].id, model=found["model"].id))
    assert _seen(store, found["model"], own) == "yes, 2 of 2 files"


def test_nothing_is_overwritten_and_nothing_is_half_written(
    made: tuple[Store, dict[str, Artifact]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, found = made
    words, to = [found["model"].id[:8], "--no-onnx", "--to"], tmp_path / "out"
    to.mkdir()
    assert export(store, *words, to) == 0  # an empty folder is no harm
    before = {path.name: path.stat().st_mtime_ns for path in to.iterdir()}
    assert export(store, *words, to) == 2
    assert "is not empty; choose another --to, or --overwrite" in capsys.readouterr().err
    assert {path.name: path.stat().st_mtime_ns for path in to.iterdir()} == before
    assert export(store, *words, to, "--overwrite") == 0
    (to / "thesis.tex").write_text("years of work")
    assert export(store, *words, to, "--overwrite") == 2
    assert "holds thesis.tex, which no export left there" in capsys.readouterr().err
    assert (to / "thesis.tex").read_text() == "years of work"

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("skysift.encoders.release.folder.describe_preprocessing", fail)
    assert export(store, *words, tmp_path / "new") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["cutouts"], "is a cutouts artifact, not a model; --instructions writes cutouts."),
        (["model", "--best"], "is that of its best epoch already"),
        (["model", "--licence", "free: yes"], "--licence takes a name such as cc-by-4.0, not 'free: yes'"),
        (["model", "--instructions"], "is a model artifact; --instructions takes cutouts"),
        (["cutouts", "--instructions", "--questions", "0"], "--questions and --image-size must be at least 1"),
        (["cutouts", "--instructions", "--preprocess", "best"], "There is no preprocessing 'best'"),
    ],
)
def test_wrong_requests(
    made: tuple[Store, dict[str, Artifact]],
    words: list[str],
    text: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, found = made
    given = [found[words[0]].id, *words[1:], *([] if "--instructions" in words else ["--no-onnx"])]
    assert export(store, *given, "--to", tmp_path / "out") == 2
    assert text in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_best_epoch(made: tuple[Store, dict[str, Artifact]], tmp_path: Path) -> None:
    shutil.copytree(made[0].root, tmp_path / "store")
    store = Store(tmp_path / "store")
    model = store.get(made[1]["model"].id)
    (model.folder / "best").mkdir()
    encoder = load_encoder(str(model.folder), weights="random", seed=8)
    save_encoder(encoder, model.folder / "best")
    assert export(store, model.id, "--to", tmp_path / "out", "--no-onnx", "--best") == 0
    assert load_encoder(f"timm:{tmp_path / 'out'}").digest() == encoder.digest()
    assert f"| digest of the weights | {encoder.digest()} |" in (tmp_path / "out" / "README.md").read_text()


def test_onnx_needs_its_packages(
    made: tuple[Store, dict[str, Artifact]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, found = made
    monkeypatch.setattr("skysift.encoders.release.onnx.PACKAGES", ("torch", "no_such_package"))
    assert export(store, found["model"].id, "--to", tmp_path / "out") == 2
    assert "ONNX needs no_such_package: `pip install 'skysift[onnx]'`, or leave it out with --no-onnx" in (
        capsys.readouterr().err
    )


@pytest.mark.slow
def test_onnx_gives_the_features_of_torch(made: tuple[Store, dict[str, Artifact]], tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    store, found = made
    assert export(store, found["model"].id, "--to", tmp_path / "out") == 0
    session = runtime.InferenceSession(str(tmp_path / "out" / "model.onnx"), providers=["CPUExecutionProvider"])
    encoder = load_encoder(found["model"].id, store=store)
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        wanted = encoder.encode(images).numpy()
    assert np.abs(session.run(None, {"images": images.numpy()})[0] - wanted).max() < 1e-4
    assert str(Path(_torchvision.__file__).parents[1]).encode() not in (tmp_path / "out" / "model.onnx").read_bytes()
    assert "It differs from torch by " in (tmp_path / "out" / "README.md").read_text()


def test_instructions_say_what_the_catalogue_says(made: tuple[Store, dict[str, Artifact]], tmp_path: Path) -> None:
    store, found = made
    words = ["--instructions", "--image-size", 48, "--questions", 5]
    assert export(store, found["labelled"].id, "--to", tmp_path / "a", *words) == 0
    assert export(store, found["labelled"].id, "--to", tmp_path / "b", *words) == 0
    assert export(store, found["labelled"].id, "--to", tmp_path / "c", *words, "--seed", 1) == 0
    lines = (tmp_path / "a" / "instructions.jsonl").read_text()
    assert lines == (tmp_path / "b" / "instructions.jsonl").read_text()
    assert lines != (tmp_path / "c" / "instructions.jsonl").read_text()
    catalogue = Catalogue.open(found["labelled"])
    ids, snr = catalogue.column("cutout_id").tolist(), catalogue.column("snr")
    talks = [json.loads(line) for line in lines.splitlines()]
    assert [talk["id"] for talk in talks] == ids
    asked = set()
    for row, talk in enumerate(talks):
        assert talk["image"] == f"images/{ids[row]}.png"
        turns = talk["conversations"]
        assert [turn["from"] for turn in turns] == ["human", "gpt"] * (len(turns) // 2)
        assert [turn["value"].count("<image>") for turn in turns] == [1] + [0] * (len(turns) - 1)
        assert "{" not in json.dumps([turn["value"] for turn in turns])
        asked |= {turn["value"].removeprefix("<image>\n") for turn in turns[::2]}
        answers = [turn["value"] for turn in turns[1::2]]
        assert f"The image is of class {catalogue.labels[row][0]}." in answers
        assert f"1 label: {catalogue.labels[row][0]}." in answers
        if np.isfinite(snr[row]):
            assert f"The peak has a signal-to-noise ratio of {snr[row]:.1f}." in answers
            [source] = [answer for answer in answers if answer.startswith(("Yes", "No"))]
            assert source.startswith("Yes") == (snr[row] >= 5)
    assert len(asked) > 8
    pixels = PixelSource.open(found["labelled"], store.sources.locate).read([3])
    wanted = preprocess(pixels, Preprocess.preset("riggi2024", size=48))[0].permute(1, 2, 0).numpy()
    image = np.asarray(Image.open(tmp_path / "a" / talks[3]["image"]))
    assert image.shape == (48, 48, 3)
    assert np.abs(image / 255 - wanted).max() <= 0.5 / 255 + 1e-6


def test_instructions_of_cutouts_without_labels(made: tuple[Store, dict[str, Artifact]], tmp_path: Path) -> None:
    store, found = made
    assert export(store, found["cutouts"].id, "--to", tmp_path / "a", "--instructions", "--image-size", 32) == 0
    talks = [json.loads(line) for line in (tmp_path / "a" / "instructions.jsonl").read_text().splitlines()]
    catalogue = Catalogue.open(found["cutouts"])
    assert len(talks) == len(catalogue)
    text = json.dumps(talks[0])
    ra, dec = catalogue.column("ra")[0], catalogue.column("dec")[0]
    assert f"right ascension {ra:.5f} deg and declination {dec:+.5f} deg (ICRS)" in text
    assert "class" not in text
    assert max(len(talk["conversations"]) for talk in talks) == 6
