"""The whole chain as commands: ids, equal bytes with any workers and after kills, looking after the store."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from skysift.store import Store
from tests.cli.runner import Outcome, skysift, start

pytestmark = pytest.mark.slow

PIPELINE = """
stages:
  cutouts: {{mosaics: {survey}/mosaics, window_size: 32, mask: "../masks/{{stem}}_mask.fits"}}
  features: {{cutouts: cutouts, encoder: "timm:test_resnet", weights: random, image_size: 32}}
  tree: {{stage: cluster, features: features, levels: [12, 3], resample_rounds: 2}}
  subset: {{stage: subsample, clusters: tree, target_size: 40}}
"""


def digests(store: Path) -> dict[str, dict[str, object]]:
    """Digest of every file but `run.json`, by artifact."""
    return {a.id: {"manifest": a.digest(), **a.manifest["files"]} for a in Store(store).artifacts()}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, survey: Path) -> Path:
    path = tmp_path_factory.mktemp("pipeline") / "chain.yaml"
    path.write_text(PIPELINE.format(survey=survey))
    return path


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, pipeline: Path) -> tuple[Path, Outcome]:
    """The chain's store, made by one worker."""
    store = tmp_path_factory.mktemp("reference") / "store"
    done = skysift("run", pipeline, "--workers", "1", store=store)
    assert done.code == 0, done.err
    return store, done


def test_same_bytes_with_two_workers(reference: tuple[Path, Outcome], pipeline: Path, tmp_path: Path) -> None:
    done = skysift("run", pipeline, "--workers", "2", store=tmp_path)
    assert done.out == reference[1].out
    assert digests(tmp_path) == digests(reference[0])
    assert len(digests(tmp_path)) == 4


def test_same_bytes_from_moved_and_renamed_mosaics(
    reference: tuple[Path, Outcome], survey: Path, tmp_path: Path
) -> None:
    for kind, ending in (("mosaics", ""), ("masks", "_mask")):
        (tmp_path / "s" / kind).mkdir(parents=True)
        for number in range(2):
            old = survey / kind / f"mosaic_{number:02d}{ending}.fits"
            shutil.copy(old, tmp_path / "s" / kind / f"other_{9 - number}{ending}.fits")
    (tmp_path / "chain.yaml").write_text(PIPELINE.format(survey=tmp_path / "s"))
    done = skysift("run", tmp_path / "chain.yaml", store=tmp_path / "store")
    assert done.out == reference[1].out
    assert digests(tmp_path / "store") == digests(reference[0])


@pytest.mark.parametrize(("number", "pauses"), [(signal.SIGKILL, (1.5, 3.0, 5.0)), (signal.SIGINT, (1.0, 2.5, 4.0))])
def test_killed_and_resumed(
    number: int, pauses: tuple[float, ...], reference: tuple[Path, Outcome], pipeline: Path, tmp_path: Path
) -> None:
    for pause in pauses:
        process = start("run", pipeline, "--workers", "2", store=tmp_path)
        time.sleep(pause)
        os.killpg(process.pid, number)
        _, err = process.communicate(timeout=60)
        assert "Traceback" not in err
    done = skysift("run", pipeline, "--workers", "2", store=tmp_path)
    assert done.out == reference[1].out
    assert digests(tmp_path) == digests(reference[0])


def test_two_runs_of_the_same_at_once(reference: tuple[Path, Outcome], pipeline: Path, tmp_path: Path) -> None:
    both = [start("run", pipeline, "--workers", "1", store=tmp_path) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        assert out == reference[1].out
    assert digests(tmp_path) == digests(reference[0])


def test_single_commands_give_the_same_ids(reference: tuple[Path, Outcome], survey: Path, tmp_path: Path) -> None:
    expected = dict(line.split() for line in reference[1].out.splitlines())
    store = tmp_path / "store"
    mask = "../masks/{stem}_mask.fits"
    cutouts = skysift(
        "cutouts", "--mosaics_path", survey / "mosaics", "--window_size", "32", "--mask", mask, store=store
    )
    assert cutouts.id == expected["cutouts"]
    encoder = ("--encoder", "timm:test_resnet", "--weights", "random", "--image-size", "32")
    features = skysift("features", "--cutouts_ids", cutouts.id[:8], *encoder, store=store)
    assert features.id == expected["features"]
    config = tmp_path / "tree.yaml"
    config.write_text("levels: [12, 3]\nresample_rounds: 2\n")
    tree = skysift("cluster", "--features_id", features.id, "--config_path", config, store=store)
    assert tree.id == expected["tree"]
    subset = skysift("subsample", "--clusters_id", tree.id, "--target_size", "40", "--json", store=store)
    assert json.loads(subset.out)["id"] == expected["subset"]


def test_plan_of_what_is_there_and_what_is_not(
    reference: tuple[Path, Outcome], pipeline: Path, survey: Path, tmp_path: Path
) -> None:
    done = skysift("run", pipeline, "--dry-run", store=reference[0])
    assert done.out.count(" done ") == 4
    missing = skysift("run", pipeline, "--dry-run", store=tmp_path)
    assert missing.out.count(" to do ") == 4
    ids = [line.split()[1][:12] for line in reference[1].out.splitlines()]
    assert all(i in missing.out for i in ids)
    rows = {a.kind: a.counts["rows"] for a in Store(reference[0]).artifacts()}
    head, planned, *_ = missing.out.splitlines()
    end = head.index("ROWS") + 4
    bound = int(planned[end - 12 : end].strip(" ≤").replace(",", ""))
    assert rows["cutouts"] <= bound <= 1.5 * rows["cutouts"]
    assert not list(tmp_path.iterdir())


def test_train_evaluate_and_report(reference: tuple[Path, Outcome], survey: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(reference[0], store)
    subset = next(a.id for a in Store(store).artifacts() if a.kind == "subsample")
    cutouts = next(a.id for a in Store(store).artifacts() if a.kind == "cutouts")
    quick = ("--backbone", "test_resnet", "--image-size", "32", "--epochs", "1", "--batch-size", "8")
    wrong = skysift("train", "--subsample_id", cutouts, "--merged_cutouts_id", subset, *quick, store=store)
    assert wrong.code == 2
    assert "does not descend from" in wrong.err
    model = skysift("train", "--subsample_id", subset, "--merged_cutouts_id", cutouts, *quick, store=store)
    assert skysift("name", model.id, "tiny", store=store).code == 0
    labelled = survey / "labelled" / "wu2019.npz"
    score = skysift("evaluate", "--model_id", "tiny", "--dataset", labelled, "--draws", "2", store=store)
    shown = skysift("show", score.id, store=store)
    assert "knn" in shown.out
    page = tmp_path / "page.html"
    report = skysift("report", score.id, "--out", page, store=store)
    assert report.out.strip() == str(page)
    text = page.read_text()
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert model.id[:8] in text
    assert skysift("verify", score.id, store=store).code == 0


def test_looking_after_the_store(reference: tuple[Path, Outcome], tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(reference[0], store)
    ids = dict(line.split() for line in reference[1].out.splitlines())
    listed = skysift("ls", store=store).out
    assert all(i[:12] in listed for i in ids.values())
    as_json = json.loads(skysift("ls", "--json", "--kind", "features", store=store).out)
    assert [entry["id"] for entry in as_json] == [ids["features"]]
    assert "made from:" in skysift("lineage", ids["subset"], store=store).out
    assert skysift("lineage", ids["subset"], "--mermaid", store=store).out.startswith("graph TD")
    assert json.loads(skysift("show", ids["tree"][:6], "--json", store=store).out)["id"] == ids["tree"]
    refused = skysift("rm", ids["cutouts"], store=store)
    assert refused.code == 2
    assert "--force" in refused.err
    assert skysift("rm", ids["subset"], store=store).out.strip() == ids["subset"]
    (store / ".partial" / ("ab" * 16)).mkdir()
    assert ("ab" * 16) in skysift("gc", store=store).out
    path = store / "features" / ids["features"] / "features.npy"
    path.write_bytes(path.read_bytes()[:-1])
    broken = skysift("verify", ids["features"], store=store)
    assert broken.code == 1
    assert "features.npy" in broken.err


def test_a_mosaic_that_changed_is_noticed_when_pixels_are_read(survey: Path, tmp_path: Path) -> None:
    mosaics = tmp_path / "mosaics"
    shutil.copytree(survey / "mosaics", mosaics)
    store = tmp_path / "store"
    cutouts = skysift("cutouts", mosaics, "--window-size", "64", store=store)
    victim = sorted(mosaics.iterdir())[0]
    data = bytearray(victim.read_bytes())
    data[-5000] ^= 255
    victim.write_bytes(data)
    done = skysift("pack", cutouts.id, store=store)
    assert done.code == 2
    assert victim.name in done.err
    assert "skysift relink" in done.err
    shutil.copy(survey / "mosaics" / victim.name, tmp_path / "elsewhere.fits")
    relinked = skysift("relink", cutouts.id, "--root", tmp_path, store=store)
    assert "elsewhere.fits" in relinked.out
    assert skysift("pack", cutouts.id, store=store).code == 0
