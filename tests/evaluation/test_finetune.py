"""Fine-tuning: against scikit-learn where the encoder is frozen, and seeded, resumable and learning where it is not."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy

from skysift.cutouts.pixels import PixelSource
from skysift.encoders.load import load_encoder
from skysift.errors import RequestError, SkysiftError
from skysift.evaluation.finetuning import FineTuning, positions, turn
from skysift.evaluation.finetuning.bodies import FrozenBody
from skysift.evaluation.finetuning.head import Head
from skysift.evaluation.finetuning.loop import Loop
from skysift.evaluation.protocols.base import Problem
from skysift.evaluation.protocols.finetune import FineTune
from skysift.evaluation.stages import Evaluate
from skysift.imaging import preprocess
from skysift.ssl.checkpoint import Checkpoints
from skysift.store.store import Store


def test_eight_positions_are_all_different_and_undo_nothing():
    image = torch.arange(2 * 9.0).reshape(1, 2, 3, 3)
    shown = [turn(image, torch.tensor([p]))[0] for p in range(8)]
    for place, found in enumerate(shown):
        plain = image[0].flip(2) if place % 2 else image[0]
        assert torch.equal(found, torch.rot90(plain, place // 2, (1, 2)))
    assert len({tuple(found.flatten().tolist()) for found in shown}) == 8
    batch = turn(image.repeat(8, 1, 1, 1), torch.arange(8))
    assert torch.equal(batch, torch.stack(shown))


def test_positions_are_uniform_and_depend_on_the_row_alone():
    rows = np.arange(8000)
    drawn = positions(rows, seed=3, epoch=5)
    assert np.abs(np.bincount(drawn, minlength=8) - 1000).max() < 4 * np.sqrt(1000 * 7 / 8)
    np.testing.assert_array_equal(positions(rows[::-7], seed=3, epoch=5), drawn[::-7])
    assert (positions(rows, seed=3, epoch=6) == drawn).mean() < 0.2


def test_a_folded_head_gives_the_same_logits():
    features = torch.from_numpy(np.random.default_rng(0).normal(3, [1.0, 20, 0.01, 0], (50, 4)).astype(np.float32))
    head = Head(4, 3, features)
    assert torch.equal(head(features), torch.zeros(50, 3))
    with torch.no_grad():
        head.weight.copy_(torch.arange(12.0).reshape(3, 4))
        head.bias.copy_(torch.arange(3.0))
    torch.testing.assert_close(head.folded()(features), head(features), atol=2e-4, rtol=1e-4)
    np.testing.assert_allclose(head.scale[:3], features.numpy().std(axis=0)[:3], rtol=1e-5)
    assert head.scale[3] == 1


def table_of(rng, n=240, apart=2.5):
    """Features in one position, their classes, and a body."""
    classes = rng.integers(0, 3, n)
    rows = (rng.normal(size=(n, 6)) + apart * np.eye(6)[classes] * [1, 1, 1, 0, 0, 0]).astype(np.float32)
    return rows, classes, FrozenBody(rows[:, None], torch.device("cpu"))


@pytest.mark.parametrize(("apart", "least", "close"), [(5.0, 0.99, 0.1), (1.5, 0.7, 0.03)])
def test_a_frozen_layer_is_as_good_as_logistic_regression(apart, least, close):
    rows, classes, body = table_of(np.random.default_rng(1), apart=apart)
    train, test = np.arange(160), np.arange(160, 240)
    options = FineTuning(freeze=True, turn=False, epochs=150, batch_size=32, learning_rate=0.05, weight_decay=0)
    head = Head(6, 3, body.still(train))
    Loop(body, head, train, classes[train], options, 0, torch.device("cpu")).run()
    oracle = LogisticRegression(C=1e4).fit(rows[train], classes[train])
    mine = head.folded()(torch.from_numpy(rows[test])).softmax(1).detach().numpy()
    assert oracle.score(rows[test], classes[test]) > least
    assert (mine.argmax(1) == classes[test]).mean() == pytest.approx(oracle.score(rows[test], classes[test]), abs=1e-9)
    np.testing.assert_allclose(mine, oracle.predict_proba(rows[test]), atol=close)


def test_one_step_is_adamw_on_cross_entropy():
    """One epoch of one batch against the optimiser by hand: rate, decay and class weights."""
    rows, classes, body = table_of(np.random.default_rng(2), 20)
    classes[:] = np.arange(20) % 4 // 3  # 15 of class 0, 5 of class 1, none of class 2
    options = FineTuning(freeze=True, turn=False, epochs=1, batch_size=20, warmup=0, balanced=True, weight_decay=0.3)
    head = Head(6, 3)
    (row,) = Loop(body, head, np.arange(20), classes, options, 0, torch.device("cpu")).run()
    weight, bias = torch.zeros(3, 6, requires_grad=True), torch.zeros(3, requires_grad=True)
    weights = torch.tensor([20 / 45, 20 / 15, 20 / 3])
    loss = cross_entropy(torch.from_numpy(rows) @ weight.T + bias, torch.from_numpy(classes), weight=weights)
    loss.backward()
    optimizer = torch.optim.AdamW(
        [{"params": [weight], "weight_decay": 0.3}, {"params": [bias], "weight_decay": 0}], 5e-4
    )
    optimizer.step()
    torch.testing.assert_close(head.weight.detach(), weight.detach())
    torch.testing.assert_close(head.bias.detach(), bias.detach())
    assert row["loss"] == pytest.approx(loss.item())
    assert row["learning_rate"] == 5e-4


@pytest.mark.slow
def test_training_the_encoder_too_adds_to_a_frozen_random_one(labelled):
    store, _, features = labelled
    options = {"features": features.id, "draws": 2, "protocol": ("finetune",)}
    frozen = store.run(Evaluate(**options, finetune={"freeze": True}), device="cpu")
    live = store.run(
        Evaluate(**options, finetune={"epochs": 30, "batch_size": 16, "learning_rate": 2e-3}), device="cpu"
    )
    again = Store(store.root).run(Evaluate(**options, finetune={"freeze": True, "batch_size": 64}), device="cpu")
    assert again.id == frozen.id
    scores = json.loads(live.path("metrics.json").read_text())["protocols"]["finetune"]
    assert scores["overall"]["accuracy"]["mean"] > 0.9
    assert scores["chosen"][0] == {"epochs": 30, "frozen": False, "chosen_on_validation": False}
    assert 1 / 3 < frozen.counts["finetune_accuracy"] < live.counts["finetune_accuracy"]


def test_equal_runs_give_equal_bytes_after_a_kill_too(labelled, tmp_path, monkeypatch):
    """Draws that were finished before a kill are not worked out again."""
    store, _, features = labelled
    stage = Evaluate(
        features=features.id, draws=3, protocol=("knn", "finetune"), finetune={"freeze": True, "epochs": 4}, seed=4
    )
    whole = store.run(stage, device="cpu")
    files = {name: whole.path(name).read_bytes() for name in whole.manifest["files"]}
    import shutil

    shutil.rmtree(whole.folder)
    real, calls = FineTune.evaluate, []

    def killed(self, problem):
        calls.append(problem.seed)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, problem)

    monkeypatch.setattr(FineTune, "evaluate", killed)
    with pytest.raises(SkysiftError, match="carries on"):
        store.run(stage, device="cpu")
    again = store.run(stage, device="cpu")
    assert calls == [4, 5, 6, 6]
    assert {name: again.path(name).read_bytes() for name in again.manifest["files"]} == files


def test_frozen_features_are_the_encoders_answer_to_each_turned_image(labelled, monkeypatch):
    store, data, features = labelled
    from skysift.evaluation import images as module

    seen = {}
    real = module.prepare_images

    def spy(*arguments, **options):
        source = real(*arguments, **options)
        seen["table"] = np.array(source.frozen(FineTuning(freeze=True)))
        return source

    monkeypatch.setattr(module, "prepare_images", spy)
    store.run(
        Evaluate(features=features.id, draws=1, protocol=("finetune",), finetune={"freeze": True, "epochs": 1}, seed=9),
        device="cpu",
    )
    encoder = load_encoder("timm:test_resnet", weights="random", image_size=32, channels=1, preprocess="minmax").to(
        "cpu"
    )
    pixels = PixelSource.open(data, store.sources.locate)
    for row in (0, 41):
        image = preprocess(pixels.read([row]), encoder.preprocess)
        with torch.inference_mode():
            expected = torch.cat([encoder.encode(turn(image, torch.tensor([p]))) for p in range(8)])
        np.testing.assert_allclose(seen["table"][row], expected.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(seen["table"][:, 0], np.load(features.path("features.npy")), rtol=1e-4, atol=1e-5)


def test_training_carries_on_from_its_checkpoint_exactly(monkeypatch, tmp_path):
    _rows, classes, body = table_of(np.random.default_rng(3), 60)
    options = FineTuning(freeze=True, turn=False, epochs=6, batch_size=16)
    monkeypatch.setattr("skysift.evaluation.finetuning.loop.CHECKPOINT_SECONDS", -1)

    def run(folder, stop=None):
        head = Head(6, 3, body.still(np.arange(60)))

        def tell(row):
            if row["epoch"] == stop:
                raise KeyboardInterrupt

        history = Loop(
            body, head, np.arange(60), classes, options, 1, torch.device("cpu"), Checkpoints(folder), tell=tell
        ).run()
        return head, history

    whole, history = run(tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", stop=4)
    resumed, again = run(tmp_path / "b")
    assert again == history
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]
    assert torch.equal(whole.weight, resumed.weight)
    assert history[-1]["loss"] < history[0]["loss"]


def test_classes_without_a_training_sample_get_no_probability(labelled, tmp_path):
    _store, _, features = labelled
    from skysift.evaluation.samples import load_samples

    samples = load_samples(features)
    rows = np.flatnonzero(samples.classes != 1)
    seen = {}

    class Here:
        def frozen(self, options):
            return np.load(features.path("features.npy"))[:, None]

        def encoder(self):
            return load_encoder("timm:test_resnet", weights="random", image_size=32, channels=1)

    from skysift.evaluation.protocols.base import Pictures

    pictures = Pictures(Here(), rows[:40], rows[:0], rows[:0], rows[40:])
    empty = samples.matrix(rows[:0])
    problem = Problem(
        samples.matrix(rows[:40]),
        samples.classes[rows[:40]],
        empty,
        rows[:0],
        empty,
        rows[:0],
        samples.matrix(rows[40:]),
        3,
        pictures=pictures,
        advance=lambda note: seen.setdefault(note, note),
    )
    outcome = FineTune(freeze=True, turn=False, epochs=3).evaluate(problem)
    assert (outcome.probabilities[:, 1] == 0).all()
    np.testing.assert_allclose(outcome.probabilities.sum(axis=1), 1, rtol=1e-6)
    assert len(seen) == 3


def test_refusals(labelled, fake_features, tmp_path):
    store, _, features = labelled
    with pytest.raises(RequestError, match="do not say which encoder"):
        store.run(Evaluate(features=store.run(fake_features()).id, protocol=("finetune",)))
    empty, none = np.zeros((0, 3), np.float32), np.zeros(0, np.int64)
    with pytest.raises(RequestError, match="images behind the features"):
        FineTune().evaluate(Problem(empty, none, empty, none, empty, none, empty, 2))
    broken = Store(tmp_path / "copy")
    import shutil

    shutil.copytree(store.root, broken.root)
    path = broken.get(features.id).path("features.json")
    path.write_text(path.read_text().replace(json.loads(path.read_text())["encoder"]["weights"], "0" * 32))
    with pytest.raises(SkysiftError, match="other weights now"):
        broken.run(Evaluate(features=features.id, protocol=("finetune",), draws=1, seed=77))
    with pytest.raises(SkysiftError, match="not finite"):
        store.run(
            Evaluate(
                features=features.id, protocol=("finetune",), draws=1, finetune={"learning_rate": 1e30, "epochs": 3}
            ),
            device="cpu",
        )
    with pytest.raises(ValueError):
        Evaluate(features=features.id, finetune={"epochs": 0})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(labelled):
    store, _, features = labelled
    found = store.run(
        Evaluate(features=features.id, draws=1, protocol=("finetune",), finetune={"epochs": 12}), device="cuda"
    )
    assert found.counts["finetune_accuracy"] > 0.5
