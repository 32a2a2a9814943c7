"""The stage: files, numbers, determinism, golden id, bad requests."""

import json
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn import metrics as sk

from skysift.errors import RequestError, SkysiftError
from skysift.evaluation.evaluation import evaluate
from skysift.evaluation.options import Splitting
from skysift.evaluation.protocols.knn import KNN
from skysift.evaluation.samples import make_samples
from skysift.evaluation.stages import Evaluate
from skysift.store.stage import identity
from skysift.store.store import Store


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, fake_features):
    store = Store(tmp_path_factory.mktemp("store"))
    features = store.run(fake_features())
    return store, store.run(Evaluate(features=features.id, draws=3))


def chosen_rows(path, **wanted):
    """Rows of a Parquet table in which the columns have these values."""
    rows = pq.read_table(path).to_pylist()
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def test_files_agree(evaluated):
    _, artifact = evaluated
    metrics = json.loads(artifact.path("metrics.json").read_text())
    confusion = np.load(artifact.path("confusion.npy"))
    assert metrics["classes"] == ["c0", "c1", "c2"]
    assert metrics["protocol_order"] == ["knn", "linear"]
    assert confusion.shape == (2, 3, 3, 3)
    assert artifact.counts["rows"] == 270
    assert artifact.counts["without_class"] == 30
    for p, protocol in enumerate(metrics["protocol_order"]):
        accuracies = []
        for draw in range(3):
            mine = chosen_rows(artifact.path("predictions.parquet"), protocol=protocol, draw=draw)
            truth, predicted = [r["truth"] for r in mine], [r["predicted"] for r in mine]
            np.testing.assert_array_equal(confusion[p, draw], sk.confusion_matrix(truth, predicted, labels=range(3)))
            accuracies.append(sk.accuracy_score(truth, predicted))
            tidy = chosen_rows(
                artifact.path("scores.parquet"), protocol=protocol, draw=draw, parameter=None, metric="f1"
            )
            assert [row["class"] for row in tidy] == metrics["classes"]
            np.testing.assert_allclose([row["value"] for row in tidy], sk.f1_score(truth, predicted, average=None))
        overall = metrics["protocols"][protocol]["overall"]["accuracy"]
        assert overall["mean"] == pytest.approx(np.mean(accuracies))
        assert overall["error"] == pytest.approx(np.std(accuracies, ddof=1) / np.sqrt(3))
        assert 0.005 < overall["bootstrap_error"] < 0.1
        assert artifact.counts[f"{protocol}_accuracy"] == pytest.approx(overall["mean"], abs=1e-6)
        assert overall["mean"] > 0.7


def test_the_sweep_is_in_the_scores(evaluated):
    _, artifact = evaluated
    path = artifact.path("scores.parquet")
    swept = chosen_rows(path, parameter="k")
    assert {row["metric"] for row in swept} == {"accuracy", "validation_accuracy"}
    chosen = json.loads(artifact.path("metrics.json").read_text())["protocols"]["knn"]["chosen"]
    for draw, setting in enumerate(chosen):
        wanted = {"draw": draw, "protocol": "knn", "metric": "accuracy"}
        (row,) = chosen_rows(path, parameter="k", parameter_value=float(setting["k"]), **wanted)
        (plain,) = chosen_rows(path, parameter=None, **{**wanted, "class": None})
        assert row["value"] == plain["value"]


def test_equal_runs_give_equal_bytes(evaluated, tmp_path, fake_features):
    _, artifact = evaluated
    store = Store(tmp_path)
    again = store.run(Evaluate(features=store.run(fake_features()).id, draws=3))
    assert again.id == artifact.id
    for name in artifact.manifest["files"]:
        assert again.path(name).read_bytes() == artifact.path(name).read_bytes()


def test_golden_id():
    stage = Evaluate(features="0" * 32, classes=("a", "b=c+d"), draws=2, knn=KNN(ks=(3,)))
    assert identity(stage, {}, {}) == "e9dabb4898ac0cbc254671fb2a5f46c0"


def test_class_indices_do_not_depend_on_the_split(stack):
    """A class too rare for every test set keeps its row and column."""
    table, mosaics, features = stack
    labels = [["c9"] if i < 2 else entry for i, entry in enumerate(table.column("labels").to_pylist())]
    table = table.set_column(table.schema.get_field_index("labels"), "labels", [labels])
    samples = make_samples(table, mosaics, features)
    found = evaluate(samples, {"knn": KNN()}, Splitting(test_fraction=0.2), draws=2, seed=0)
    assert found.confusion.shape == (1, 2, 4, 4)
    assert found.confusion[:, :, 3, :].sum() == 0
    row = found.summary["protocols"]["knn"]["classes"]["c9"]
    assert row["support"] == 0
    assert row["f1"] == {"mean": None, "error": None}
    json.dumps(found.summary, allow_nan=False)
    assert "no test sample is left of: c9" in " ".join(found.notes)


def test_bad_requests(stack, evaluated, tmp_path):
    table, mosaics, features = stack
    with pytest.raises(RequestError, match="no cutout has the label 'x'"):
        make_samples(table, mosaics, features, ("x", "c1"))
    with pytest.raises(SkysiftError, match="not finite"):
        make_samples(table, mosaics, np.where(np.arange(300)[:, None] == 4, np.nan, features))
    with pytest.raises(RequestError, match="labelled"):
        make_samples(table.slice(0, 3), mosaics, features[:3])
    store, artifact = evaluated
    with pytest.raises(RequestError, match="needs features"):
        store.run(Evaluate(features=artifact.id))
    for bad in ({"protocol": ()}, {"protocol": ("svm",)}, {"draws": 0}, {"test_fraction": 1.0}, {"unknown": 1}):
        with pytest.raises(ValueError):
            Evaluate(features=artifact.id, **bad)


def test_stage_module_is_light():
    import subprocess

    code = (
        "import sys, skysift.evaluation.stages as s; s.Evaluate.model_fields;"
        "print([m for m in ('numpy','torch','sklearn','scipy','pyarrow','astropy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
