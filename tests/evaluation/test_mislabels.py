"""Suspected labels: confident learning against its definition, flipped labels found again, groups kept apart."""

from __future__ import annotations

import csv
import json
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse_single_table

from skysift.errors import RequestError
from skysift.evaluation.mislabels import confident_joint, label_quality, part_samples
from skysift.evaluation.samples import make_samples
from skysift.evaluation.stages import Mislabels
from skysift.evaluation.windows import overlapping
from skysift.store.stage import Stage
from skysift.store.store import Store


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 4, 300)
    labels = np.where(rng.random(300) < 0.1, rng.integers(0, 3, 300), np.minimum(truth, 2))
    probabilities = rng.dirichlet([0.5] * 4, 300) * 0.5
    probabilities[np.arange(300), truth] += 0.5
    return probabilities, labels  # nothing is labelled with class 3


def test_confident_joint_is_what_the_paper_defines(predictions):
    probabilities, labels = predictions
    found = confident_joint(probabilities, labels)
    thresholds = [np.mean([p[j] for p, y in zip(probabilities, labels, strict=True) if y == j]) for j in range(3)]
    np.testing.assert_allclose(found.thresholds[:3], thresholds)
    assert found.thresholds[3] == np.inf
    counts = np.zeros((4, 4), int)
    suspected = []
    for p, label in zip(probabilities, labels, strict=True):
        above = [j for j in range(3) if p[j] >= thresholds[j]]
        best = max(above, key=lambda j: p[j]) if above else None
        if best is not None:
            counts[label, best] += 1
        suspected.append(best is not None and best != label)
    np.testing.assert_array_equal(found.counts, counts)
    np.testing.assert_array_equal(found.suspected, suspected)
    sizes = [np.sum(labels == i) for i in range(3)]
    joint = np.array([counts[i] / counts[i].sum() * sizes[i] for i in range(3)] + [[0] * 4])
    np.testing.assert_allclose(found.joint, joint / joint.sum())
    assert found.wrong == pytest.approx(300 * (1 - np.trace(joint) / joint.sum()))
    assert 10 < found.wrong < 120


def test_scores_of_labels(predictions):
    probabilities, labels = predictions
    own = label_quality(probabilities, labels, "self-confidence")
    margin = label_quality(probabilities, labels, "margin")
    for i in (0, 7, 99):
        others = [p for j, p in enumerate(probabilities[i]) if j != labels[i]]
        assert own[i] == probabilities[i, labels[i]]
        assert margin[i] == pytest.approx(own[i] - max(others))


@pytest.fixture(scope="module")
def flipped_stage(catalogue_tables):
    class Flipped(Stage):
        """Features of four overlapping classes on the sky, the labels of a share of them exchanged for another."""

        kind: ClassVar[str] = "features"
        n: int = 600
        share: float = 0.05

        def run(self, context: Any) -> dict[str, Any]:
            rng = np.random.default_rng(8)
            truth = np.arange(self.n) % 4
            rows = rng.normal(size=(self.n, 16)) + 4.0 * np.eye(16)[truth]
            flipped = rng.permutation(self.n)[: round(self.share * self.n)]
            labels = truth.copy()
            labels[flipped] = (labels[flipped] + rng.integers(1, 4, len(flipped))) % 4
            table, mosaics = catalogue_tables(
                mosaic=np.arange(self.n) // 50,
                x0=100 * (np.arange(self.n) % 50),
                y0=np.zeros(self.n),
                labels=[[f"c{c}"] for c in labels],
                positions="flat",
            )
            np.save(context.folder / "features.npy", rows.astype(np.float32))
            np.save(context.folder / "flipped.npy", np.sort(flipped))
            pq.write_table(table, context.folder / "catalogue.parquet")
            pq.write_table(mosaics, context.folder / "mosaics.parquet")
            return {"rows": self.n}

    return Flipped


@pytest.fixture(scope="module")
def ranked(tmp_path_factory, flipped_stage):
    store = Store(tmp_path_factory.mktemp("mislabels"))
    features = store.run(flipped_stage())
    return store, features, store.run(Mislabels(features=features.id, cell_order=9))


def test_flipped_labels_are_found_again(ranked):
    _, features, found = ranked
    flipped = set(np.load(features.path("flipped.npy")).tolist())
    table = pq.read_table(found.path("mislabels.parquet")).to_pylist()
    assert len(flipped) == 30
    assert len(table) == 600
    assert sum(row["row"] in flipped for row in table[:30]) >= 29
    truth = {row["row"]: f"c{row['row'] % 4}" for row in table}
    right = [row["suggestion"] == truth[row["row"]] for row in table[:30] if row["row"] in flipped]
    assert np.mean(right) > 0.95
    suspected = {row["row"] for row in table if row["suspected"]}
    assert len(suspected & flipped) >= 18
    assert len(suspected - flipped) <= 2
    assert found.counts["estimated_wrong"] == pytest.approx(30, abs=8)
    assert found.counts["suspected"] == len(suspected)


def test_the_table_is_ranked_and_the_same_in_three_formats(ranked):
    _, features, found = ranked
    table = pq.read_table(found.path("mislabels.parquet"))
    rows = table.to_pylist()
    assert [row["rank"] for row in rows] == list(range(1, 601))
    assert [row["quality"] for row in rows] == sorted(row["quality"] for row in rows)
    for row in rows[::50]:
        assert row["quality"] == pytest.approx(row["p_label"] - row["p_suggestion"], abs=1e-6)
        assert row["suggestion"] != row["label"]
    catalogue = pq.read_table(features.path("catalogue.parquet"))
    order = table.column("row").to_numpy()
    for name in ("cutout_id", "ra", "dec", "x0"):
        assert table.column(name).to_pylist() == catalogue.column(name).take(order).to_pylist()
    vot = parse_single_table(found.path("mislabels.vot"))
    assert [f.name for f in vot.fields] == table.column_names
    assert vot.array["cutout_id"].tolist() == table.column("cutout_id").to_pylist()
    np.testing.assert_array_equal(vot.array["ra"], table.column("ra").to_numpy())
    assert vot.get_field_by_id("ra").ucd == "pos.eq.ra;meta.main"
    assert str(vot.get_field_by_id("ra").unit) == "deg"
    assert vot.array["suspected"].tolist() == table.column("suspected").to_pylist()
    with found.path("mislabels.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert [line["cutout_id"] for line in lines] == table.column("cutout_id").to_pylist()
    summary = json.loads(found.path("summary.json").read_text())
    assert summary["labelled"] == {f"c{k}": [r["label"] for r in rows].count(f"c{k}") for k in range(4)}


def test_equal_runs_give_equal_bytes_and_other_scores_another_order(ranked, flipped_stage, tmp_path):
    store, features, found = ranked
    other = Store(tmp_path)
    again = other.run(Mislabels(features=other.run(flipped_stage()).id, cell_order=9))
    assert again.id == found.id
    for name in found.manifest["files"]:
        assert again.path(name).read_bytes() == found.path(name).read_bytes()
    plain = store.run(Mislabels(features=features.id, cell_order=9, score="self-confidence"))
    quality = pq.read_table(plain.path("mislabels.parquet")).column("quality").to_numpy()
    label = pq.read_table(plain.path("mislabels.parquet")).column("p_label").to_numpy()
    np.testing.assert_array_equal(quality, label)


def test_no_sample_is_classified_by_one_that_shares_its_pixels(catalogue_tables):
    n = 400
    table, mosaics = catalogue_tables(
        mosaic=np.zeros(n, int),
        x0=32 * (np.arange(n) % 20),
        y0=32 * (np.arange(n) // 20),
        labels=[[f"c{i % 3}"] for i in range(n)],
        positions="flat",
    )
    samples = make_samples(table, mosaics, np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32))
    parts = part_samples(samples, "sky", 10, 4, seed=1)
    assert sorted(np.concatenate([held for _, held in parts]).tolist()) == list(range(n))
    for train, held in parts:
        assert len(train) > 100
        assert not overlapping(samples.windows, held, train).any()
        assert not set(train) & set(held)
    again = part_samples(samples, "sky", 10, 4, seed=2)
    assert any(len(a[1]) != len(b[1]) or (a[1] != b[1]).any() for a, b in zip(parts, again, strict=True))


def test_refusals_and_rare_classes(catalogue_tables, fake_features, tmp_path):
    n = 60
    where = {"mosaic": np.zeros(n, int), "x0": np.arange(n), "y0": np.zeros(n)}
    features = np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32)
    table, mosaics = catalogue_tables(**where, labels=[["a" if i % 2 else "b"] for i in range(n)])
    with pytest.raises(RequestError, match="lie in 1 groups, too few for 5 parts"):
        part_samples(make_samples(table, mosaics, features), "sky", None, 5, seed=0)
    rare = [["a" if i % 2 else "b"] if i else ["c"] for i in range(n)]
    table, mosaics = catalogue_tables(**where, labels=rare, plane=np.arange(n), format_="npz")
    parts = part_samples(make_samples(table, mosaics, features), "image", None, 5, seed=0)
    assert sorted(np.concatenate([held for _, held in parts]).tolist()) == list(range(n))
    store = Store(tmp_path)
    made = store.run(fake_features())
    with pytest.raises(RequestError, match="no cutout has the label 'x'"):
        store.run(Mislabels(features=made.id, classes=("x", "c1")))
    with pytest.raises(RequestError, match="at least two classes"):
        store.run(Mislabels(features=made.id, classes=("c1",)))
    found = store.run(Mislabels(features=made.id, repeats=1))
    assert pq.read_table(found.path("mislabels.parquet")).column("ra").null_count == 270
    with pytest.raises(ValueError):
        Mislabels(features=made.id, folds=1)
