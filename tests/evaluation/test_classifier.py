"""Classifiers: trained, calibrated, alone on disk, and put to use with equal bytes, killed or not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from astropy.io import fits
from astropy.io.votable import parse_single_table
from scipy.special import softmax
from sklearn import metrics as sk

from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.stages import Cutouts
from skysift.encoders.checkpoint import save_encoder
from skysift.encoders.domain import Domain, Spread, write_domain
from skysift.encoders.load import load_encoder
from skysift.errors import RequestError, SkysiftError
from skysift.evaluation.classifier import load_classifier
from skysift.evaluation.classifier import train as train_module
from skysift.evaluation.finetuning.loop import Loop
from skysift.evaluation.stages import Classify, TrainClassifier
from skysift.features import extract
from skysift.features.stages import Features
from skysift.imaging import preprocess
from skysift.store.store import Store
from skysift.store.work import Threads


@pytest.fixture(scope="module")
def trained(labelled):
    store, data, features = labelled
    stage = TrainClassifier(features=features.id, epochs=20, batch_size=16, learning_rate=2e-3, validation_fraction=0.4)
    return store, data, features, stage, store.run(stage, device="cpu")


@pytest.fixture(scope="module")
def field(labelled, tmp_path_factory):
    """98 windows of 32 pixels of a map with positions."""
    store = labelled[0]
    image = np.random.default_rng(2).normal(0, 1e-4, (128, 240)).astype(np.float32)
    y, x = np.mgrid[:128, :240]
    for cx in range(20, 240, 40):
        image += 0.01 * np.exp(-((x - cx) ** 2 + (y - 60) ** 2) / 18).astype(np.float32)
    header = fits.Header()
    header.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRPIX1=120.0, CRPIX2=64.0, CRVAL1=150.0, CRVAL2=2.0)
    header.update(CDELT1=-5e-4, CDELT2=5e-4, CUNIT1="deg", CUNIT2="deg", BUNIT="Jy/beam", BMAJ=2e-3, BMIN=2e-3, BPA=0.0)
    path = tmp_path_factory.mktemp("field") / "field.fits"
    fits.writeto(path, image, header)
    return store.run(Cutouts(mosaics=(str(path),), window_size=(32,), overlap=0.5))


def files(artifact):
    return {name: artifact.path(name).read_bytes() for name in artifact.manifest["files"]}


def test_scores_are_those_of_the_validation_cutouts(trained):
    _, _, _, _, artifact = trained
    metrics = json.loads(artifact.path("metrics.json").read_text())
    held = pq.read_table(artifact.path("validation.parquet")).to_pydict()
    truth, predicted = held["truth"], held["predicted"]
    assert metrics["classes"] == ["one", "three", "two"]
    np.testing.assert_array_equal(
        metrics["scores"]["confusion"], sk.confusion_matrix(truth, predicted, labels=range(3))
    )
    assert metrics["scores"]["overall"]["accuracy"]["value"] == pytest.approx(sk.accuracy_score(truth, predicted))
    assert metrics["scores"]["overall"]["macro_f1"]["value"] == pytest.approx(
        sk.f1_score(truth, predicted, average="macro")
    )
    assert artifact.counts["rows"] == 54
    assert artifact.counts["validation"] == len(truth) == 36
    assert metrics["split"]["validation"] == {"one": 12, "three": 12, "two": 12}
    for column, which in (("raw", "before"), ("probability", "after")):
        found = metrics["calibration"][which]
        right = np.equal(truth, predicted)
        edges = np.array(found["bins"]["edges"])
        place = np.searchsorted(edges, held[column]) - 1
        counts = np.bincount(place, minlength=15)
        np.testing.assert_array_equal(found["bins"]["count"], counts)
        gaps = [abs(np.mean(right[place == m]) - np.mean(np.array(held[column])[place == m])) for m in np.unique(place)]
        assert found["ece"] == pytest.approx(np.sum(gaps * counts[counts > 0]) / 36, abs=1e-6)
        assert 0 < found["ece_by_chance"] < 0.3
    assert artifact.counts["temperature"] == pytest.approx(metrics["calibration"]["temperature"], abs=1e-6)
    history = artifact.path("history.csv").read_text().splitlines()
    assert history[0] == "epoch,learning_rate,loss,accuracy,validation_loss,validation_accuracy"
    assert len(history) == 21


def test_the_classifier_needs_nothing_but_its_folder(trained, tmp_path):
    store, data, _, _, artifact = trained
    shutil.copytree(artifact.folder, tmp_path / "alone")
    classifier = load_classifier(tmp_path / "alone")
    assert classifier.classes == ("one", "three", "two")
    assert not classifier.module.training
    pixels = PixelSource.open(data, store.sources.locate)
    held = pq.read_table(artifact.path("validation.parquet")).to_pydict()
    with torch.inference_mode():
        logits = classifier.encode(preprocess(pixels.read(held["row"]), classifier.preprocess)).numpy()
    # training reads pixels rounded to half precision
    np.testing.assert_array_equal(logits.argmax(axis=1), held["predicted"])
    np.testing.assert_allclose(softmax(logits, axis=1).max(axis=1), held["raw"], atol=3e-3)


def test_training_killed_and_resumed_gives_equal_bytes(trained, monkeypatch, tmp_path):
    store, _, _, stage, artifact = trained
    monkeypatch.setattr("skysift.evaluation.finetuning.loop.CHECKPOINT_SECONDS", -1)
    other = Store(tmp_path / "store")
    shutil.copytree(store.root, other.root)
    shutil.rmtree(other.root / "classifier")
    real, epochs = train_module.fine_tune, []

    def killed(*arguments, advance, **options):
        def count(note):
            epochs.append(note)
            advance(note)
            if len(epochs) == 4:
                raise KeyboardInterrupt

        return real(*arguments, advance=count, **options)

    monkeypatch.setattr(train_module, "fine_tune", killed)
    trained_epochs, epoch_of = [], Loop._epoch
    monkeypatch.setattr(Loop, "_epoch", lambda self, n, o: trained_epochs.append(n) or epoch_of(self, n, o))
    with pytest.raises(SkysiftError, match="carries on"):
        other.run(stage, device="cpu")
    again = other.run(stage, device="cpu")
    assert [note.split(",")[0] for note in epochs[4:]] == [f"epoch {n}" for n in range(1, 21)]
    assert trained_epochs == [*range(4), *range(3, 20)]
    assert files(again) == files(artifact)


def test_frozen_keeps_the_encoder(labelled, trained):
    store, _, features = labelled
    frozen = store.run(TrainClassifier(features=features.id, freeze=True, epochs=5), device="cpu")
    known = json.loads(features.path("features.json").read_text())["encoder"]["weights"]
    assert load_classifier(frozen.folder).digest() == known
    assert load_classifier(trained[4].folder).digest() != known
    assert "encoder frozen" in frozen.path("card.md").read_text()


def test_classes_may_be_joined_and_keep_their_order(labelled):
    store, _, features = labelled
    stage = TrainClassifier(features=features.id, classes=("several=two+three", "single=one"), freeze=True, epochs=2)
    made = store.run(stage, device="cpu")
    assert load_classifier(made.folder).classes == ("several", "single")
    metrics = json.loads(made.path("metrics.json").read_text())
    assert metrics["members"] == {"several": ["two", "three"], "single": ["one"]}


def test_probabilities_are_the_scaled_logits_in_the_order_of_the_catalogue(trained, field):
    store, _, _, _, artifact = trained
    found = store.run(Classify(model=artifact.id, cutouts=field.id), device="cpu")
    table = pq.read_table(found.path("classification.parquet"))
    catalogue = pq.read_table(field.path("catalogue.parquet"))
    for name in ("cutout_id", "ra", "dec", "x0", "y0", "width", "height", "plane"):
        assert table.column(name).to_pylist() == catalogue.column(name).to_pylist()
    assert table.column("ra").null_count == 0
    assert table.schema.field("ra").metadata[b"unit"] == b"deg"
    classifier = load_classifier(artifact.folder)
    pixels = PixelSource.open(field, store.sources.locate)
    with torch.inference_mode():
        logits = classifier.encode(preprocess(pixels.read(np.arange(len(pixels))), classifier.preprocess)).numpy()
    expected = softmax(logits.astype(np.float64) / classifier.temperature, axis=1)
    for k, name in enumerate(classifier.classes):
        np.testing.assert_allclose(table.column(f"p_{name}").to_numpy(), expected[:, k], rtol=1e-3, atol=1e-6)
    best = expected.argmax(axis=1)
    assert table.column("class").to_pylist() == [classifier.classes[k] for k in best]
    np.testing.assert_allclose(table.column("probability").to_numpy(), expected.max(axis=1), rtol=1e-3)
    assert found.counts["predicted"] == {n: int((best == k).sum()) for k, n in enumerate(classifier.classes)}
    assert sum(found.counts["expected"].values()) == pytest.approx(len(pixels), abs=0.2)


def test_the_votable_holds_the_same_with_units_and_ucds(trained, field):
    store, _, _, _, artifact = trained
    found = store.run(Classify(model=artifact.id, cutouts=field.id), device="cpu")
    table, vot = (
        pq.read_table(found.path("classification.parquet")),
        parse_single_table(found.path("classification.vot")),
    )
    assert [f.name for f in vot.fields] == table.column_names
    for name, target in zip(table.column_names, vot.array.dtype.names, strict=True):
        assert vot.array[target].tolist() == table.column(name).to_pylist()
    described = {f.name: f for f in vot.fields}
    assert described["ra"].ref == described["dec"].ref == "ICRS"
    assert described["dec"].ucd == "pos.eq.dec;meta.main"
    assert described["p_one"].ucd == "stat.probability"
    assert str(described["x0"].unit) == "pix"


class Remote(Threads):
    """Threads that say they are far away."""

    remote = True


def test_equal_bytes_for_any_number_of_workers_threads_and_batch_size(trained, field, tmp_path, monkeypatch):
    store, _, _, _, artifact = trained
    monkeypatch.setattr(extract, "BLOCK_ROWS", 32)
    monkeypatch.setattr("skysift.evaluation.classifier.classify.BLOCK_ROWS", 32)
    first = store.run(Classify(model=artifact.id, cutouts=field.id), device="cpu")
    before = torch.get_num_threads()
    for number, (threads, engine, batch) in enumerate([(1, Threads(2), 5), (3, Threads(3), 64), (1, Remote(2), None)]):
        torch.set_num_threads(threads)
        try:
            other = Store(tmp_path / f"other{number}")
            shutil.copytree(store.root, other.root)
            shutil.rmtree(other.root / "classification")
            again = other.run(
                Classify(model=artifact.id, cutouts=field.id, batch_size=batch), engine=engine, device="cpu"
            )
        finally:
            torch.set_num_threads(before)
        assert again.id == first.id
        assert files(again) == files(first)


def test_cutouts_without_positions_are_classified_too(trained):
    store, data, _, _, artifact = trained
    found = store.run(Classify(model=artifact.id, cutouts=data.id), device="cpu")
    table = pq.read_table(found.path("classification.parquet"))
    assert table.column("ra").null_count == 90
    assert np.isnan(parse_single_table(found.path("classification.vot")).array["ra"].filled(np.nan)).all()
    truth = pq.read_table(data.path("catalogue.parquet")).column("labels").to_pylist()
    assert np.mean([c == t[0] for c, t in zip(table.column("class").to_pylist(), truth, strict=True)]) > 0.6


def test_a_classifier_warns_of_sky_that_its_encoder_does_not_know(labelled, field, tmp_path):
    store, data, _ = labelled
    encoder = load_encoder("timm:test_resnet", weights="random", image_size=32, channels=1, preprocess="minmax")
    save_encoder(encoder, tmp_path / "encoder")
    one = Spread(median=1, low=1, high=1, within=0, between=0, cutouts=9, mosaics=3)
    write_domain(Domain(cutouts=9, mosaics=3, image_size=32, beam=one), tmp_path / "encoder")
    features = store.run(Features(cutouts=data.id, encoder=str(tmp_path / "encoder")), device="cpu")
    model = store.run(TrainClassifier(features=features.id, freeze=True, epochs=1), device="cpu")
    shutil.rmtree(tmp_path / "encoder")
    found = store.run(Classify(model=model.id, cutouts=field.id), device="cpu")
    assert any("the beam is 4.0 times as large" in text for text in found.run["warnings"])


def test_refusals(labelled, trained, field, fake_features, tmp_path):
    store, _, features = labelled
    with pytest.raises(RequestError, match="no cutout has the label 'four'"):
        store.run(TrainClassifier(features=features.id, classes=("one", "four")))
    with pytest.raises(RequestError, match="at least two classes"):
        store.run(TrainClassifier(features=features.id, classes=("one",)))
    with pytest.raises(RequestError, match="do not say which encoder"):
        store.run(TrainClassifier(features=store.run(fake_features()).id))
    with pytest.raises(RequestError, match=r"needs classifier as model, but .* is a features"):
        store.run(Classify(model=features.id, cutouts=field.id))
    with pytest.raises(RequestError, match=r"no classifier.json"):
        load_classifier(features.folder)
    artifact = trained[4]
    broken = tmp_path / "broken"
    shutil.copytree(artifact.folder, broken)
    (broken / "classifier.json").write_text('{"format": 1, "classes": ["a", "b"], "temperature": 1.0}')
    with pytest.raises(SkysiftError, match=r"layer.safetensors: 2 weights don't fit"):
        load_classifier(broken)
    (broken / "classifier.json").write_text('{"format": 1, "classes": ["a", "b"], "temperature": 0}')
    with pytest.raises(SkysiftError, match="not a classifier's description"):
        load_classifier(broken)
    with pytest.raises(ValueError):
        TrainClassifier(features=features.id, validation_fraction=1)


def test_a_class_that_cannot_be_learnt_is_refused(labelled, tmp_path):
    """All cutouts of a class are held back by the data set's own division."""
    from skysift.datasets.stages import Dataset

    rng = np.random.default_rng(0)
    labels = np.array(["a", "b", "c"])[np.arange(30) % 3]
    split = np.where((labels == "c") | (np.arange(30) > 23), "test", "train")
    np.savez(tmp_path / "set.npz", images=rng.normal(size=(30, 16, 16)).astype(np.float32), labels=labels, split=split)
    store = Store(tmp_path / "store")
    data = store.run(Dataset(source=str(tmp_path / "set.npz")))
    features = store.run(Features(cutouts=data.id, encoder="timm:test_resnet", weights="random", image_size=32))
    with pytest.raises(RequestError, match="No cutout to train on is left of c"):
        store.run(TrainClassifier(features=features.id, freeze=True))
    made = store.run(TrainClassifier(features=features.id, freeze=True, classes=("a", "b"), epochs=1))
    assert "only 4 cutouts to fit the temperature on" in " ".join(made.run["warnings"])


SCRIPT = """
import sys
from skysift.evaluation.classifier import classify
from skysift.evaluation.stages import Classify
from skysift.store.store import Store
classify.BLOCK_ROWS = 16
print(Store(sys.argv[1]).run(Classify(model=sys.argv[2], cutouts=sys.argv[3]), device="cpu").id)
"""


@pytest.mark.slow
def test_classification_killed_outright_and_started_again(trained, field, tmp_path, monkeypatch):
    store, _, _, _, artifact = trained
    stage = Classify(model=artifact.id, cutouts=field.id)
    whole = files(store.run(stage, device="cpu"))
    other = Store(tmp_path / "other")
    shutil.copytree(store.root, other.root)
    shutil.rmtree(other.root / "classification")
    journal = other.partial / other.identify(stage) / ".scratch" / "logits.npy.blocks"
    command = [sys.executable, "-c", SCRIPT, str(other.root), artifact.id, field.id]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not (journal.exists() and journal.read_text().count(";") >= 2):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.kill()
    done = journal.read_text().count(";")
    assert 2 <= done < 7, "it was over before it could be killed"
    monkeypatch.setattr("skysift.evaluation.classifier.classify.BLOCK_ROWS", 16)
    passes = []
    real = extract._extract_here

    def counted(writer, *arguments):
        passes.append(len(writer.missing))
        real(writer, *arguments)

    monkeypatch.setattr(extract, "_extract_here", counted)
    assert files(other.run(stage, device="cpu")) == whole
    assert passes == [7 - done]


@pytest.mark.slow
def test_commands(labelled, tmp_path):
    """From a labelled file and an encoder to classes, as commands."""
    store, data, features = labelled
    environment = ["--store", str(store.root), "--quiet", "--device", "cpu"]

    def skysift(*words):
        done = subprocess.run([sys.executable, "-m", "skysift", *words, *environment], capture_output=True, text=True)
        return done.returncode, done.stdout.strip(), done.stderr

    code, model, err = skysift("train-classifier", features.id, "--freeze", "--epochs", "3")
    assert code == 0, err
    code, found, err = skysift("classify", model, data.id)
    assert code == 0, err
    assert Store(store.root).get(found).counts["rows"] == 90
    code, found, err = skysift("mislabels", features.id, "--repeats", "1")
    assert code == 0, err
    assert (Store(store.root).get(found).folder / "mislabels.csv").is_file()
    for words, said in (
        (("train-classifier", data.id), "--encoder is needed"),
        (("mislabels",), "needs labelled cutouts and --encoder"),
        (("mislabels", "--encoder", "timm:resnet18"), "needs labelled cutouts"),
    ):
        code, _, err = skysift(*words)
        assert code == 2
        assert said in err
