"""The stage: files, agreement with evaluations, pairing, what it finds and what it does not, bad requests."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from skysift.errors import RequestError, SkysiftError
from skysift.evaluation.benchmark.cells import Result, check_pairing, make_cells
from skysift.evaluation.benchmark.layout import lay_out
from skysift.evaluation.benchmark.scores import Scores
from skysift.evaluation.benchmark.stages import Benchmark
from skysift.evaluation.protocols.knn import KNN
from skysift.evaluation.stages import Evaluate
from skysift.store.stage import identity
from skysift.store.store import Store
from skysift.store.work import Threads
from tests.evaluation.benchmark.conftest import contents

ENCODERS = {"untrained": [(0.3, 0)], "trained": [(1.6, 1), (1.7, 2)]}
DATASETS = {"first": 5, "second": 6}


@pytest.fixture(scope="module")
def done(tmp_path_factory, inputs):
    store = Store(tmp_path_factory.mktemp("store"))
    stage = Benchmark(**inputs(store, ENCODERS, DATASETS), fractions=(1, 0.2), draws=4)
    return store, stage, store.run(stage)


def test_files_agree(done):
    _, _, artifact = done
    cells = 2 * 3 * 2 * 2 * 4  # sets, features, protocols, fractions, draws
    assert {name: artifact.counts[name] for name in ("cells", "datasets", "encoders")} == {
        "cells": cells,
        "datasets": 2,
        "encoders": 2,
    }
    scores = pq.read_table(artifact.path("scores.parquet")).to_pylist()
    assert list(scores[0]) == [
        "encoder",
        "repeat",
        "dataset",
        "protocol",
        "fraction",
        "draw",
        "class",
        "metric",
        "value",
    ]
    assert len(scores) == artifact.counts["rows"]
    f1 = {
        tuple(row[k] for k in ("encoder", "repeat", "dataset", "protocol", "fraction", "draw", "class")): row["value"]
        for row in scores
        if row["metric"] == "f1"
    }
    assert len(f1) == cells * 3
    counts: dict[tuple[object, ...], np.ndarray] = {}
    for row in pq.read_table(artifact.path("confusion.parquet")).to_pylist():
        key = tuple(row[k] for k in ("encoder", "repeat", "dataset", "protocol", "fraction", "draw"))
        matrix = counts.setdefault(key, np.zeros((3, 3)))
        matrix[int(row["truth"][1]), int(row["predicted"][1])] = row["count"]
    assert len(counts) == cells
    for key, matrix in counts.items():
        expected = 2 * np.diag(matrix) / (matrix.sum(axis=0) + matrix.sum(axis=1))
        np.testing.assert_allclose([f1[(*key, f"c{c}")] for c in range(3)], expected)


def test_a_cell_is_what_an_evaluation_finds(done):
    """At each label fraction, the same draws, seeds and settings as `evaluate` has."""
    store, stage, artifact = done
    scores = Scores.open(artifact)
    for fraction in (1.0, 0.2):
        single = store.run(Evaluate(features=stage.features[0], draws=4, label_fraction=fraction))
        metrics = json.loads(single.path("metrics.json").read_text())
        for protocol in ("knn", "linear"):
            found = scores.estimate("untrained", "first", protocol, fraction, "macro_f1")
            expected = metrics["protocols"][protocol]["overall"]["macro_f1"]
            assert found.mean == pytest.approx(expected["mean"])
            assert found.error == pytest.approx(expected["error"])


def test_comparisons_are_those_of_the_scores(done):
    _, _, artifact = done
    scores = Scores.open(artifact)
    rows = pq.read_table(artifact.path("comparisons.parquet")).to_pylist()
    assert len(rows) == 2 * 2 * 2
    for row in rows:
        where = (row["dataset"], row["protocol"], row["fraction"], "macro_f1")
        differences = scores.values("trained", *where) - scores.values("untrained", *where)
        assert differences.shape == (2, 4) == (row["repeats"], row["draws"])
        assert row["difference"] == pytest.approx(differences.mean())
        over_draws = (1 / 4 + 45 / 105) * differences.mean(axis=0).var(ddof=1)
        assert row["error"] == pytest.approx(np.sqrt(over_draws + differences.mean(axis=1).var(ddof=1) / 2))
        assert row["p_holm"] == row["p"]
        assert row["p_wilcoxon"] == pytest.approx(stats.wilcoxon(differences.mean(axis=0)).pvalue)
        assert row["low"] < row["difference"] < row["high"]


def test_the_table(done):
    _, _, artifact = done
    text = artifact.path("table.md").read_text()
    scores = Scores.open(artifact)
    found = scores.estimate("trained", "second", "linear", 1.0, "macro_f1")
    section = text.split("## linear, label fraction 1")[1].split("##")[0]
    (row,) = [line for line in section.splitlines() if line.startswith("| trained |")]
    assert f"**{found.mean:.3f} ± {found.error:.3f}**" in row
    assert row.endswith("| 1.0 |")
    assert text.count("## ") == 5
    for line in text.splitlines():
        assert not line.startswith("|") or line.endswith("|")


def test_no_worker_count_changes_a_byte(done, inputs, tmp_path):
    _, stage, artifact = done
    store = Store(tmp_path)
    inputs(store, ENCODERS, DATASETS)
    again = store.run(stage, engine=Threads(1))
    assert again.id == artifact.id
    assert contents(again) == contents(artifact)


def test_every_encoder_sees_the_same_cutouts(done):
    """Draws are one object for all; each worker's digest of the ids that it used is compared."""
    store, stage, _ = done

    (sheet, _) = lay_out(stage, SimpleNamespace(input=store.get))
    cells = make_cells([sheet], {"knn": KNN()}, seed=0, device="cpu")
    by_draw: dict[tuple[float, int], set[int]] = {}
    for cell in cells:
        by_draw.setdefault((cell.fraction, cell.draw), set()).add(id(cell.fold))
    assert all(len(folds) == 1 for folds in by_draw.values())
    assert [cell.draw for cell in cells] == sorted(cell.draw for cell in cells)
    result = Result(np.zeros((3, 3), np.int64), np.zeros(0, bool), "same", {}, [])
    check_pairing(cells, [result] * len(cells))
    with pytest.raises(SkysiftError, match="draw 3: 'trained' was scored on other cutouts than 'untrained'"):
        check_pairing(cells, [*[result] * (len(cells) - 1), replace(result, samples="other")])


def test_smaller_fractions_are_parts_of_larger_ones_with_one_test_set(done):
    store, stage, _ = done

    for sheet in lay_out(stage, SimpleNamespace(input=store.get)):
        for whole, part in zip(sheet.folds[1.0].folds, sheet.folds[0.2].folds, strict=True):
            assert set(part.train) < set(whole.train)
            np.testing.assert_array_equal(part.test, whole.test)


def test_a_better_encoder_is_found_and_an_equal_one_is_not(tmp_path, inputs):
    """Over 12 seeded benchmarks, of which a correct test may call one null pair different by chance."""
    store = Store(tmp_path)
    better, null = [], []
    for seed in range(12):
        encoders = {"base": [(0.8, 10 * seed)], "equal": [(0.8, 10 * seed + 1)], "better": [(2.0, 10 * seed + 2)]}
        made = inputs(store, encoders, {"d": 100 + seed})
        artifact = store.run(Benchmark(**made, protocols=("knn",), fractions=(1,), draws=8))
        for row in pq.read_table(artifact.path("comparisons.parquet")).to_pylist():
            {"equal": null, "better": better}[row["encoder"]].append(row["p_holm"])
    assert sum(p < 0.05 for p in better) >= 11
    assert sum(p < 0.05 for p in null) <= 1
    assert np.median(null) > 0.2


def test_one_published_split(tmp_path, inputs):
    """With one draw: McNemar for single trainings, the scatter of trainings where there are several."""
    store = Store(tmp_path)
    encoders = {"base": [(0.3, 0)], "single": [(1.8, 1)], "several": [(1.8, 2), (1.7, 3), (1.9, 4)]}
    made = inputs(store, {k: encoders[k] for k in ("base", "single")}, {"d": 5}, test_images=60)
    artifact = store.run(Benchmark(**made, protocols=("knn",), fractions=(1, 0.5), draws=3, metric="accuracy"))
    whole, half = sorted(pq.read_table(artifact.path("comparisons.parquet")).to_pylist(), key=lambda r: -r["fraction"])
    assert (whole["draws"], whole["test"], whole["error"]) == (1, "exact McNemar", None)
    assert whole["p"] < 0.01
    assert (half["draws"], half["test"]) == (3, "corrected resampled t")
    assert "one draw" in json.loads(artifact.path("summary.json").read_text())["notes"][0]
    made = inputs(store, {k: encoders[k] for k in ("base", "several")}, {"d": 5}, test_images=60)
    artifact = store.run(Benchmark(**made, protocols=("knn",), fractions=(1,)))
    (row,) = pq.read_table(artifact.path("comparisons.parquet")).to_pylist()
    assert (row["repeats"], row["draws"], row["test"]) == (3, 1, "t over repeats")
    scores = Scores.open(artifact)
    values = [scores.values(name, "d", "knn", 1.0, "macro_f1")[:, 0] for name in ("several", "base")]
    assert row["p"] == pytest.approx(stats.ttest_1samp(values[0] - values[1][0], 0).pvalue)


def test_a_class_smaller_than_a_fraction_allows(tmp_path, inputs):
    store = Store(tmp_path)
    made = inputs(store, {"only": [(1.5, 0)]}, {"d": 5}, sizes=(60, 50, 6))
    artifact = store.run(Benchmark(**made, fractions=(1, 0.1), draws=3))
    summary = json.loads(artifact.path("summary.json").read_text())
    assert summary["notes"] == [
        "dataset 'd': label fraction 0.1 is less than one training sample of c2 (4): one is taken"
    ]
    about = {entry["fraction"]: entry for entry in summary["datasets"]["d"]["fractions"]}
    assert set(about[0.1]["train"]) == {round(0.1 * 42) + round(0.1 * 35) + 1}
    assert artifact.path("comparisons.parquet").is_file()
    scores = Scores.open(artifact)
    assert np.isfinite(scores.values("only", "d", "linear", 0.1, "f1", "c2")).all()
    single = inputs(store, {"only": [(1.5, 0)]}, {"d": 5}, sizes=(40,))
    with pytest.raises(RequestError, match="dataset 'd': An evaluation needs at least two classes"):
        store.run(Benchmark(**single))


def test_features_of_other_cutouts(tmp_path, inputs):
    store = Store(tmp_path)
    one = inputs(store, {"a": [(1.0, 0)]}, {"d": 5})
    two = inputs(store, {"b": [(1.0, 0)]}, {"d": 5}, sizes=(30, 30, 30))
    mixed = {key: [*one[key], *two[key]] for key in one}
    with pytest.raises(RequestError, match="dataset 'd': the features by 'b' are of other cutouts than those by 'a'"):
        store.run(Benchmark(**mixed))


def test_what_belongs_together_is_the_same_for_all(tmp_path, inputs):
    """Two equal images stay on one side for every encoder; one that finds everything equal has no say."""
    store = Store(tmp_path)
    made = {twins: inputs(store, {twins: [(1.0, 0)]}, {"d": 5}, twins=twins) for twins in ("none", "two", "all")}
    folds = {}
    for encoders in (("none",), ("none", "all"), ("none", "two"), ("two",)):
        stage = Benchmark(
            **{key: [made[e][key][0] for e in encoders] for key in made["none"]}, fractions=(1,), draws=20
        )
        (sheet,) = lay_out(stage, SimpleNamespace(input=store.get))
        folds[encoders] = [fold.test.tolist() for fold in sheet.folds[1.0].folds]
        assert ("probably collapsed" in " ".join(sheet.notes)) == ("all" in encoders)
    assert folds["none", "all"] == folds["none",]
    assert folds["none", "two"] == folds["two",] != folds["none",]
    assert all((0 in test) == (1 in test) for test in folds["two",])
    assert not all((0 in test) == (1 in test) for test in folds["none",])


A = {"features": ("0" * 32, "1" * 32), "encoder_of": ("a", "b"), "dataset_of": ("d", "d")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"baseline": "c"}, "the baseline 'c' is none of the encoders a, b"),
        ({"encoder_of": ("a",)}, "name an encoder and a set for each"),
        ({"dataset_of": ("d", "e")}, "'a' must be there equally often for every labelled set"),
        ({"fractions": (1, 0.5, 0.5)}, "fractions names something twice"),
        ({"fractions": (0,)}, "greater than 0"),
        ({"protocols": ("svm",)}, "knn"),
        ({"tasks": ({"dataset": "x"},)}, "'x' is none or twice"),
        ({"frozen": {"freeze": False}}, "frozen needs freeze: true"),
        (
            {"features": tuple(f"{i:032x}" for i in range(5)), "encoder_of": "aabbb", "dataset_of": "ddddd"},
            "'a' was trained 2 times and another one 3 times",
        ),
    ],
)
def test_bad_requests(change, message):
    fields = {k: tuple(v) for k, v in {**A, **change}.items()} if "features" in change else {**A, **change}
    with pytest.raises(ValueError, match=message):
        Benchmark(**fields)


def test_identity():
    """Names, order and tasks belong to the request; a default that is written out does not."""
    plain = identity(Benchmark(**A), {}, {})
    assert identity(Benchmark(**A, draws=10, tasks=()), {}, {}) == plain
    others = (
        {"encoder_of": ("b", "a")},
        {"features": A["features"][::-1]},
        {"tasks": ({"dataset": "d", "split": "image"},)},
        {"baseline": "b"},
    )
    ids = [identity(Benchmark(**{**A, **change}), {}, {}) for change in others]
    assert len({plain, *ids}) == 5
