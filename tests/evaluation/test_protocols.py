"""kNN and linear probe, against scikit-learn and torch."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from skysift.evaluation.protocols import knn as knn_module
from skysift.evaluation.protocols.base import Problem
from skysift.evaluation.protocols.knn import KNN
from skysift.evaluation.protocols.linear import Linear


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(1)
    classes = rng.choice([0, 1, 3], 500)  # class 2 of the data set has no sample here
    rows = (rng.normal(size=(500, 10)) * np.linspace(0.2, 4, 10) + 3 + 1.5 * np.eye(10)[classes]).astype(np.float32)
    return Problem(
        train=rows[:300],
        train_classes=classes[:300],
        fit=rows[:200],
        fit_classes=classes[:200],
        validation=rows[200:300],
        validation_classes=classes[200:300],
        test=rows[300:],
        n_classes=4,
    ), classes[300:]


@pytest.mark.parametrize("weights", ["uniform", "similarity"])
def test_knn_equals_scikit_learn(problem, weights, monkeypatch):
    monkeypatch.setattr(knn_module, "CHUNK_ELEMENTS", 300 * 7)
    given, _ = problem
    protocol = KNN(ks=(1, 4, 25), weights=weights, temperature=0.2)
    votes = protocol.votes(given.train, given.train_classes, given.test, [1, 4, 25], 4)
    for k, found in votes.items():
        oracle = KNeighborsClassifier(
            k,
            metric="cosine",
            algorithm="brute",
            weights="uniform" if weights == "uniform" else lambda d: np.exp((1 - d) / 0.2),
        ).fit(given.train, given.train_classes)
        np.testing.assert_allclose(found[:, [0, 1, 3]], oracle.predict_proba(given.test), atol=1e-5)
        assert (found[:, 2] == 0).all()


def test_k_is_chosen_on_validation_samples(problem):
    given, truth = problem
    outcome = KNN(ks=(1, 5, 25, 9999)).evaluate(given)
    scores = {row["value"]: row["validation_accuracy"] for row in outcome.sweep}
    assert scores[float(outcome.chosen["k"])] == max(scores.values())
    assert outcome.chosen["chosen_on_validation"] is True
    every = next(row["probabilities"] for row in outcome.sweep if row["value"] == 9999)
    np.testing.assert_allclose(every[0], np.bincount(given.train_classes, minlength=4) / 300, atol=1e-6)
    assert (outcome.probabilities.argmax(axis=1) == truth).mean() > 0.5


def test_knn_without_validation_and_with_zero_features():
    empty, none = np.zeros((0, 3), np.float32), np.zeros(0, np.int64)
    rows, classes = np.zeros((11, 3), np.float32), np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0])
    given = Problem(rows, classes, rows, classes, empty, none, rows[:2], 2)
    outcome = KNN().evaluate(given)
    assert outcome.chosen == {"k": 5, "chosen_on_validation": False}
    np.testing.assert_allclose(outcome.probabilities, [[0.8, 0.2]] * 2, rtol=1e-6)


@pytest.mark.parametrize(("ks", "k"), [((1, 3, 5, 10), 1), ((2, 5), 2), ((5, 10), 5)])
def test_knn_without_validation_does_not_outvote_a_small_class(ks, k):
    """Of two classes with 9 and 2 training samples, k = 5 would never find the second."""
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1], [9, 2])
    rows = (np.eye(4)[classes] + 0.05 * rng.normal(size=(11, 4))).astype(np.float32)
    none = np.zeros(0, np.int64)
    outcome = KNN(ks=ks).evaluate(Problem(rows, classes, rows, classes, rows[:0], none, rows, 2))
    assert outcome.chosen["k"] == k
    assert (outcome.probabilities.argmax(axis=1) == classes).all() == (k < 5)


def test_linear_probe_equals_scikit_learn(problem):
    given, truth = problem
    outcome = Linear(c=(0.001, 0.1, 10.0)).evaluate(given)
    validation = {}
    for c in (0.001, 0.1, 10.0):
        scaler = StandardScaler().fit(given.fit)
        model = LogisticRegression(C=c, max_iter=2000).fit(scaler.transform(given.fit), given.fit_classes)
        validation[c] = model.score(scaler.transform(given.validation), given.validation_classes)
    best = max(validation, key=lambda c: (validation[c], -c))
    assert outcome.chosen == {"C": best, "chosen_on_validation": True}
    assert {row["value"]: row["validation_accuracy"] for row in outcome.sweep} == pytest.approx(validation, abs=0.011)
    scaler = StandardScaler().fit(given.train)
    model = LogisticRegression(C=best, max_iter=2000).fit(scaler.transform(given.train), given.train_classes)
    expected = model.predict_proba(scaler.transform(given.test))
    np.testing.assert_allclose(outcome.probabilities[:, [0, 1, 3]], expected, atol=5e-3)
    assert (outcome.probabilities[:, 2] == 0).all()
    assert (outcome.probabilities.argmax(axis=1) == truth).mean() > 0.7
    assert outcome.notes == []


def test_unfinished_fit_is_told(problem):
    given, _ = problem
    outcome = Linear(c=(10.0,), max_iterations=1, standardise=False).evaluate(given)
    assert outcome.notes == ["the logistic regression with C = 10 stopped after 1 iterations"]


def test_sgd_reaches_the_regression_and_is_seeded(problem):
    given, truth = problem
    protocol = Linear(solver="sgd", batch_size=32)
    before = torch.get_rng_state()
    outcome = protocol.evaluate(given)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(outcome.probabilities, protocol.evaluate(given).probabilities)
    exact = Linear(c=(100.0,)).evaluate(given)
    right = [(o.probabilities.argmax(axis=1) == truth).mean() for o in (outcome, exact)]
    assert right[0] == pytest.approx(right[1], abs=0.03)


def test_sgd_follows_the_schedule_of_c24(problem):
    """One step a epoch on all samples, written out by hand."""
    given, _ = problem
    epochs, milestones = 12, (3, 8)
    outcome = Linear(solver="sgd", batch_size=300, epochs=epochs, milestones=milestones, standardise=False).evaluate(
        given
    )
    generator = torch.Generator().manual_seed(0)
    bound = 10**-0.5
    weight = torch.empty(4, 10).uniform_(-bound, bound, generator=generator).double()
    bias = torch.empty(4).uniform_(-bound, bound, generator=generator).double()
    x, y = torch.tensor(given.train).double(), torch.eye(4, dtype=torch.float64)[given.train_classes]
    speed_w, speed_b = torch.zeros_like(weight), torch.zeros_like(bias)
    for epoch in range(epochs):
        rate = 0.3 * 0.1 ** sum(epoch >= m for m in milestones)
        error = ((x @ weight.T + bias).softmax(1) - y) / len(x)
        speed_w, speed_b = 0.9 * speed_w + error.T @ x, 0.9 * speed_b + error.sum(0)
        weight, bias = weight - rate * speed_w, bias - rate * speed_b
    expected = (torch.tensor(given.test).double() @ weight.T + bias).softmax(1)
    np.testing.assert_allclose(outcome.probabilities, expected, atol=1e-3)


def test_balanced_weights_help_the_rare_class():
    rng = np.random.default_rng(0)
    classes = (rng.random(600) < 0.05).astype(np.int64)
    rows = (rng.normal(size=(600, 3)) + classes[:, None]).astype(np.float32)
    given = Problem(rows, classes, rows[:400], classes[:400], rows[400:], classes[400:], rows, 2)
    for solver in ("lbfgs", "sgd"):
        found = [
            (Linear(solver=solver, balanced=b).evaluate(given).probabilities.argmax(1) * classes).sum()
            for b in (False, True)
        ]
        assert found[1] > found[0]
