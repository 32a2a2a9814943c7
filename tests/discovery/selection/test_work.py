"""The whole selection on features with a planted difference: its tables against counting by hand."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from skysift.cutouts.catalogue import Catalogue
from skysift.discovery.ranking import normalised_ranks
from skysift.discovery.scores.isolation_forest import IsolationForest
from skysift.discovery.selection.work import features_of
from skysift.discovery.stages import Anomalies
from skysift.errors import RequestError
from skysift.store import Store
from skysift.store.work import Threads
from tests.discovery.selection.conftest import PlantedFeatures, plant
from tests.discovery.selection.test_evaluate import written_out

REQUEST = {"score": "isolation-forest", "trees": 40, "top": (2, 4), "interesting": ("DIFFUSE",), "own_labels": True}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("selection") / "store")
    features = store.run(PlantedFeatures())
    return store, features, store.run(Anomalies(features=features.id, **REQUEST), engine=Threads(1))


def read(artifact, name):
    return pq.read_table(artifact.path(f"{name}.parquet")).to_pylist()


def labelled(artifact):
    """Scores, kind and part of the labelled cutouts, joined by their ids."""
    scores = {row["cutout_id"]: row for row in read(artifact, "scores")}
    return [(scores[row["cutout_id"]], row) for row in read(artifact, "frames")]


def test_planted_features_are_selected_and_rank(made):
    _, _, artifact = made
    first = [row["feature"] for row in read(artifact, "importance")[:2]]
    assert sorted(first) == [3, 11]
    scores = read(artifact, "scores")
    expected = IsolationForest(40, "auto", 0).of_features(plant()[1][:, first])
    np.testing.assert_allclose([row["forest_top_2_raw"] for row in scores], expected, rtol=1e-6)
    np.testing.assert_allclose([row["forest_top_2"] for row in scores], normalised_ranks(expected), rtol=1e-6)
    chosen = json.loads(artifact.path("selection.json").read_text())["chosen"].replace("-", "_")
    by_score = sorted(scores, key=lambda row: (-row[chosen], -row[f"{chosen}_raw"], row["cutout_id"]))
    assert [row["rank"] for row in by_score] == list(range(1, 601))
    assert all(0 <= row["lightgbm_raw"] <= 1 for row in scores)


def test_kinds_and_parts_of_labelled_cutouts(made):
    _, _, artifact = made
    frames = read(artifact, "frames")
    names = Counter((*tuple(sorted(row["labels"])), row["kind"]) for row in frames)
    assert set(names) == {("COMPACT", "ordinary"), ("BACKGROUND", "ordinary"), ("COMPACT", "DIFFUSE", "interesting"),
                          ("ARTEFACT", "COMPACT", "other")}  # fmt: skip
    assert len(frames) == 500 == artifact.counts["labelled"]
    parts = Counter(row["part"] for row in frames)
    assert set(parts) == {"selection", "held-out"}
    assert parts["held-out"] == artifact.counts["held_out"] == pytest.approx(250, abs=5)


def test_curves_and_crossing_are_those_of_counting(made):
    _, _, artifact = made
    number = {"ordinary": 0, "interesting": 1, "other": 2}
    held = [(s, number[f["kind"]]) for s, f in labelled(artifact) if f["part"] == "held-out"]
    kind = [k for _, k in held]
    curves, crossings = read(artifact, "curves"), {row["score"]: row for row in read(artifact, "crossing")}
    assert set(crossings) == {"forest-top-2", "forest-top-4", "lightgbm", "isolation-forest", "ensemble"}
    assert [row["top"] for row in crossings.values()] == [2, 4, None, None, None]
    for name, row in crossings.items():
        expected = written_out([s[name.replace("-", "_")] for s, _ in held], kind)
        mine = [tuple(r[c] for c in ("threshold", "selected", "recall", "precision", "contamination"))
                for r in curves if r["score"] == name]  # fmt: skip
        np.testing.assert_allclose(mine, expected, rtol=1e-6)
        best = min((abs(r - p), i) for i, (_, _, r, p, _) in enumerate(mine) if r > 0)[1]
        got = [row[c] for c in ("threshold", "selected", "recall", "precision", "contamination")]
        np.testing.assert_allclose(got, mine[best], rtol=1e-9)
    assert crossings["forest-top-2"]["recall"] > crossings["isolation-forest"]["recall"] + 0.1
    chosen = json.loads(artifact.path("selection.json").read_text())["chosen"]
    assert artifact.counts["recall"] == round(crossings[chosen]["recall"], 6)


def test_histograms_count_every_label_of_every_held_out_cutout(made):
    _, _, artifact = made
    expected = Counter(label for _, f in labelled(artifact) if f["part"] == "held-out" for label in f["labels"])
    rows = read(artifact, "histograms")
    for score in {row["score"] for row in rows}:
        counted = Counter()
        for row in rows:
            counted[row["label"]] += row["count"] if row["score"] == score else 0
        assert counted == expected


def test_a_scan_tries_every_setting_and_calls_the_outliers_of_its_thresholds(made):
    store, features, _ = made
    artifact = store.run(Anomalies(features=features.id, scan=True, **REQUEST | {"trees": 5}), engine=Threads(1))
    scan = read(artifact, "scan")
    shares = {"auto", "0.02", "0.05", *(f"{i / 10:.1f}" for i in range(1, 11))}
    assert {row["max_samples"] for row in scan} == shares
    assert len(scan) == 2 * len(shares) * 4 * 2
    counts = {"0.001": 1, "0.01": 6, "0.1": 60}
    for row in scan:
        if row["forest_contamination"] != "auto":  # equal scores of a small forest may fall on the limit
            assert row["outliers"] <= counts[row["forest_contamination"]]
        if not row["selected"]:
            assert row["recall"] == 0
            assert row["precision"] is None
    # recall of one setting, by hand
    best = json.loads(artifact.path("selection.json").read_text())
    column, top = best["chosen"].replace("-", "_"), int(best["chosen"].rsplit("-", 1)[1])
    (row,) = [r for r in scan if (r["top"], r["max_samples"]) == (top, str(best["max_samples"]))
              and (r["forest_contamination"], r["part"]) == ("0.1", "held-out")]  # fmt: skip
    wanted = [
        s[f"{column}_raw"] for s, f in labelled(artifact) if (f["part"], f["kind"]) == ("held-out", "interesting")
    ]
    assert row["recall"] == pytest.approx(np.mean(np.array(wanted) >= np.float32(row["threshold"])))
    # the best of the selection part was chosen
    quality = [r for r in read(artifact, "settings") if r["part"] == "selection"]
    assert max(quality, key=lambda r: r["average_precision"])["top"] == top


def test_labels_of_a_table_are_those_of_the_catalogue(made, tmp_path):
    store, features, artifact = made
    plain = store.run(PlantedFeatures(own=False))
    catalogue = Catalogue.open(features)
    rows = [f"{i},{';'.join(t)}" for i, t in zip(catalogue.column("cutout_id"), catalogue.labels, strict=True) if t]
    (tmp_path / "labels.csv").write_text("cutout_id,label\n" + "\n".join(rows) + "\n")
    request = REQUEST | {"own_labels": False, "labels": str(tmp_path / "labels.csv")}
    again = store.run(Anomalies(features=plain.id, **request), engine=Threads(1))
    assert again.id != artifact.id
    for name in ("scores", "crossing", "curves", "frames"):
        assert again.path(f"{name}.parquet").read_bytes() == artifact.path(f"{name}.parquet").read_bytes()


def test_two_sets_of_one_encoder_are_one(made):
    store, _, _ = made
    halves = [store.run(PlantedFeatures(half=half)) for half in (0, 1)]
    together = Catalogue.concat([Catalogue.open(half) for half in halves]).select(np.arange(599, -1, -1))
    values = features_of(halves, together)
    truth, expected = plant()
    place = {id_: row for row, id_ in enumerate(truth.column("cutout_id"))}
    assert np.array_equal(values, expected[[place[id_] for id_ in together.column("cutout_id")]])
    other = store.run(PlantedFeatures(half=1, encoder="another"))
    with pytest.raises(RequestError, match="features of one encoder, and these are of several"):
        features_of([halves[0], other], together)


def test_requests_that_do_not_do(made):
    store, features, _ = made
    with pytest.raises(ValidationError, match="leave out labels or own_labels"):
        Anomalies(features=features.id, labels="x.csv", own_labels=True)
    with pytest.raises(RequestError, match="No labelled cutout is interesting"):
        store.run(Anomalies(features=features.id, **REQUEST | {"interesting": ("ODD",)}), engine=Threads(1))
