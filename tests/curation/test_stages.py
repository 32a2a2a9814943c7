from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from skysift.curation.stages import Assign, Cluster, Subsample
from skysift.curation.tree import Tree
from skysift.cutouts.catalogue import Catalogue
from skysift.errors import RequestError, Stopped
from skysift.store.artifact import Artifact
from skysift.store.store import Store
from skysift.store.work import Threads
from tests.curation.conftest import MadeFeatures

SMALL: dict[str, Any] = {"levels": (24, 6, 3), "resample_rounds": 2}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def features(store: Store) -> Artifact:
    return store.run(MadeFeatures())


@pytest.fixture(scope="module")
def clusters(store: Store, features: Artifact) -> Artifact:
    return store.run(Cluster(features=features.id, **SMALL))


def files(artifact: Artifact) -> dict[str, bytes]:
    skip = {"run.json"}
    return {p.name: p.read_bytes() for p in sorted(artifact.folder.iterdir()) if p.is_file() and p.name not in skip}


def test_ids_are_pinned() -> None:
    """A golden id a stage: a change of defaults or of what enters needs a new version."""
    from skysift.store.stage import identity

    zero = "0" * 32
    assert identity(Cluster(features=zero), {}, {}) == "2889a947dda1d9815f0a225eabdf9b6f"
    assert identity(Subsample(clusters=zero, target_size=10), {}, {}) == "a6c2d3cd5138f5a2b16796fac5d5994b"
    assert identity(Assign(clusters=zero, features=zero), {}, {}) == "15d6f12935310651d2c8d2c4d245e87e"


def test_stages_import_nothing_heavy() -> None:
    code = (
        "import sys, skysift.curation.stages as s, skysift.curation, skysift.curation.sampling; "
        "print([m for m in ('torch', 'scipy', 'pyarrow', 'numpy', 'sklearn', 'dask', 'astropy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_tree_of_clusters(store: Store, features: Artifact, clusters: Artifact) -> None:
    tree = Tree.open(clusters.folder)
    assert [len(c) for c in tree.centroids] == [24, 6, 3]
    assert all(c.dtype == np.float32 for c in tree.centroids)
    assert all(p.dtype == np.int32 for p in tree.parents)
    summary = json.loads(clusters.path("clusters.json").read_text())
    assert summary["levels"] == [24, 6, 3]
    assert [sum(level) for level in summary["sizes"]] == [400, 400, 400]
    assert clusters.counts["rows"] == 400
    x = np.load(features.path("features.npy"))
    near = np.linalg.norm(x - tree.centroids[0][tree.parents[0]], axis=1)
    np.testing.assert_allclose(np.load(clusters.path("distances.npy")), near, atol=1e-3)


def test_equal_bytes_for_any_number_of_workers_and_after_a_stop(tmp_path: Path, clusters: Artifact) -> None:
    for workers in (1, 2):
        other = Store(tmp_path / str(workers))
        made = other.run(MadeFeatures(), engine=Threads(workers))
        again = other.run(Cluster(features=made.id, **SMALL), engine=Threads(workers))
        assert again.id == clusters.id
        assert files(again) == files(clusters)


def test_a_stopped_run_carries_on_to_the_same_bytes(
    tmp_path: Path, clusters: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    from skysift.curation import work

    other = Store(tmp_path)
    made = other.run(MadeFeatures())
    calls = 0

    def stopper(context: Any) -> Any:
        def check() -> None:
            nonlocal calls
            calls += 1
            if calls == 25:
                raise Stopped("stop")

        return check

    with monkeypatch.context() as patch:
        patch.setattr(work, "stopper", stopper)
        with pytest.raises(Stopped):
            other.run(Cluster(features=made.id, **SMALL))
    kept = list(tmp_path.rglob("level_*_round_*.npy"))
    assert kept
    assert files(other.run(Cluster(features=made.id, **SMALL))) == files(clusters)
    assert not list(tmp_path.rglob("level_*_round_*.npy"))


def test_float16_features_can_be_clustered(store: Store) -> None:
    made = store.run(MadeFeatures(dtype="float16"))
    found = store.run(Cluster(features=made.id, levels=(10, 2), resample_rounds=1, transform="none"))
    assert found.counts["rows"] == 400


@pytest.mark.parametrize("transform", ["none", "standardise", "whiten"])
def test_a_subsample_favours_rare_kinds(store: Store, features: Artifact, transform: str) -> None:
    tree = store.run(Cluster(features=features.id, transform=transform, **SMALL))
    sample = store.run(Subsample(clusters=tree.id, target_size=80))
    kept = Catalogue.open(sample)
    assert len(kept) == 80
    kinds = [labels[0] for labels in kept.labels]
    assert kinds.count("kind5") > 2 * 0.2 * 8
    assert len(set(kept.column("cutout_id"))) == 80


def test_selection_says_why(store: Store, features: Artifact, clusters: Artifact) -> None:
    sample = store.run(Subsample(clusters=clusters.id, target_size=50, leaf="closest"))
    table = pq.read_table(sample.path("selection.parquet"))
    rows = table["row"].to_numpy()
    tree = Tree.open(clusters.folder)
    whole, kept = Catalogue.open(features), Catalogue.open(sample)
    assert (
        table["cutout_id"].to_pylist() == kept.column("cutout_id").tolist() == whole.column("cutout_id")[rows].tolist()
    )
    np.testing.assert_array_equal(np.array(table["path"].to_pylist()), tree.path(tree.parents[0])[rows])
    held = np.bincount(tree.parents[0], minlength=24)[tree.parents[0][rows]]
    np.testing.assert_array_equal(table["held"].to_numpy(), held)
    counts = np.bincount(tree.parents[0][rows], minlength=24)[tree.parents[0][rows]]
    np.testing.assert_array_equal(table["quota"].to_numpy(), counts)
    reasons = np.array(table["reason"].to_pylist())
    np.testing.assert_array_equal(np.char.endswith(reasons, "all that it holds"), counts == held)
    assert all("closest" in reason for reason in reasons)


def test_the_report_compares_before_and_after(store: Store, features: Artifact, clusters: Artifact) -> None:
    sample = store.run(Subsample(clusters=clusters.id, target_size=60))
    report = json.loads(sample.path("report.json").read_text())
    top = report["levels"][-1]
    assert sum(top["before"]["sizes"]) == 400
    assert sum(top["after"]["sizes"]) == 60
    assert top["after"]["gini"] < top["before"]["gini"]
    assert report["levels"][0]["after"]["normalised_entropy"] > report["levels"][0]["before"]["normalised_entropy"]
    assert 0 < report["sky"]["share"] < 1
    assert report["labels"]["kind0"]["before"] == sum(labels == ["kind0"] for labels in Catalogue.open(features).labels)
    assert sum(v["after"] for v in report["labels"].values()) == 60
    assert report["vendi"]["after"] > 0
    ids = set(Catalogue.open(sample).column("cutout_id"))
    assert all(shown and set(shown) <= ids for shown in report["examples"].values())


def test_sky_coverage_counts_pixels_once(features: Artifact) -> None:
    from skysift.curation.report import sky_coverage

    whole = Catalogue.open(features)
    windows = whole.windows
    grid = np.zeros((2, 700, 700), bool)
    part = np.zeros_like(grid)
    for row, (x, y, w, h) in enumerate(windows):
        grid[row // 200, y : y + h, x : x + w] = True
        if row % 7 == 0:
            part[row // 200, y : y + h, x : x + w] = True
    found = sky_coverage(whole, np.arange(0, 400, 7))
    assert found["before_deg2"] == pytest.approx(grid.sum() * (2 / 3600) ** 2, rel=1e-6)
    assert found["share"] == pytest.approx(part.sum() / grid.sum(), rel=1e-6)


def test_duplicates_are_left_out_and_named(store: Store, clusters: Artifact) -> None:
    sample = store.run(Subsample(clusters=clusters.id, target_size=40, duplicate_overlap=0.4, duplicate_cosine=0.98))
    table = pq.read_table(sample.path("duplicates.parquet")).to_pydict()
    assert set(table["cause"]) == {"overlap", "cosine"}
    kept = set(Catalogue.open(sample).column("cutout_id"))
    assert not kept & set(table["cutout_id"])
    assert sample.counts["duplicates"] == len(table["cutout_id"]) == len(set(table["cutout_id"]))
    windows = Catalogue.open(sample).windows
    mosaic = Catalogue.open(sample).column("mosaic")
    for i in range(40):
        near = (np.abs(windows[:, :2] - windows[i, :2]) < (32, 64)).all(1) & (mosaic == mosaic[i])
        assert near.sum() == 1


@pytest.mark.parametrize("rule", ["hierarchical", "flat", "uniform", "facility"])
def test_every_rule_gives_a_catalogue_and_the_same_twice(
    tmp_path: Path, store: Store, clusters: Artifact, rule: str
) -> None:
    stage = Subsample(clusters=clusters.id, target_size=30, rule=rule)  # type: ignore[arg-type]
    sample = store.run(stage)
    assert len(Catalogue.open(sample)) == 30
    other = Store(tmp_path)
    made = other.run(MadeFeatures())
    other.run(Cluster(features=made.id, **SMALL))
    assert files(other.run(stage)) == files(sample)
    different = store.run(stage.model_copy(update={"seed": 1}))
    assert files(different)["catalogue.parquet"] != files(sample)["catalogue.parquet"]


def test_artefact_scores_lower_a_share(store: Store, features: Artifact, clusters: Artifact) -> None:
    plain = store.run(Subsample(clusters=clusters.id, target_size=100))
    wary = store.run(Subsample(clusters=clusters.id, target_size=100, artefact_column="mask_fraction"))
    mean = [Catalogue.open(s).column("mask_fraction").mean() for s in (plain, wary)]
    assert mean[1] < mean[0] - 0.05


def test_repeats_only_on_request(store: Store, clusters: Artifact) -> None:
    with pytest.raises(
        RequestError, match="target size 500 is larger than the set of 400 cutouts; ask for at most 400"
    ):
        store.run(Subsample(clusters=clusters.id, target_size=500))
    sample = store.run(Subsample(clusters=clusters.id, target_size=500, repeats=True))
    assert len(Catalogue.open(sample)) == 500
    assert sample.counts["distinct"] < 400


def test_a_target_beyond_what_duplicates_leave(store: Store, clusters: Artifact) -> None:
    with pytest.raises(RequestError, match=r"larger than the \d+ cutouts left of 400 without near-duplicates"):
        store.run(Subsample(clusters=clusters.id, target_size=399, duplicate_overlap=0.4))


def test_new_cutouts_are_placed(store: Store, features: Artifact, clusters: Artifact) -> None:
    same = store.run(Assign(clusters=clusters.id, features=features.id))
    table = pq.read_table(same.path("assignment.parquet"))
    tree = Tree.open(clusters.folder)
    np.testing.assert_array_equal(np.array(table["path"].to_pylist()), tree.path(tree.parents[0]))
    np.testing.assert_allclose(table["distance"].to_numpy(), np.load(clusters.path("distances.npy")), atol=1e-3)
    fresh = store.run(MadeFeatures(n=90, seed=5))
    placed = store.run(Assign(clusters=clusters.id, features=fresh.id))
    assert pq.read_table(placed.path("assignment.parquet")).num_rows == len(Catalogue.open(placed)) == 90


def test_features_of_another_encoder_cannot_be_placed(store: Store, clusters: Artifact) -> None:
    other = store.run(MadeFeatures(encoder="other"))
    with pytest.raises(RequestError, match="another encoder"):
        store.run(Assign(clusters=clusters.id, features=other.id))


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        ("", {"levels": (401,)}, "level 1 asks for 401 clusters of the 400 points"),
        ("nan", {"levels": (10,)}, "NaN or infinite"),
        ("inf", {"levels": (10,), "transform": "none"}, "NaN or infinite values, first in row 200"),
        ("", {"levels": (10,), "transform": "whiten", "components": 99}, "at most 16"),
    ],
)
def test_bad_requests_leave_nothing(store: Store, spoil: str, options: dict[str, Any], message: str) -> None:
    made = store.run(MadeFeatures(spoil=spoil))
    with pytest.raises(RequestError, match=message):
        store.run(Cluster(features=made.id, **options))


def test_constant_features_are_no_failure(store: Store) -> None:
    made = store.run(MadeFeatures(spoil="constant"))
    tree = store.run(Cluster(features=made.id, levels=(10, 2), resample_rounds=2))
    sample = store.run(Subsample(clusters=tree.id, target_size=20))
    assert len(Catalogue.open(sample)) == 20


@pytest.mark.parametrize(
    "options",
    [
        {"levels": ()},
        {"levels": (5, 10)},
        {"levels": (10, 5), "resample_points": (3,)},
        {"components": 4},
        {"unknown": 1},
        {"tolerance": -1},
    ],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Cluster(features="0" * 32, **options)


def test_columns_must_be_scores(store: Store, clusters: Artifact) -> None:
    for column, message in (("nonsense", "no column nonsense"), ("labels", "holds no numbers"), ("snr", "from 0 to 1")):
        with pytest.raises(RequestError, match=message):
            store.run(Subsample(clusters=clusters.id, target_size=10, artefact_column=column))
