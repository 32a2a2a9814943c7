"""Classification scores, against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from skysift.metrics import class_scores, confusion_matrix

K = 5
pairs = st.lists(st.tuples(st.integers(0, K - 1), st.integers(0, K - 1)), min_size=1, max_size=60)


@settings(deadline=None)
@given(pairs)
def test_equals_scikit_learn(samples):
    truth, predicted = (np.array(column) for column in zip(*samples, strict=True))
    matrix = confusion_matrix(truth, predicted, K)
    np.testing.assert_array_equal(matrix, sk.confusion_matrix(truth, predicted, labels=range(K)))
    scores = class_scores(matrix)
    present = np.unique(truth)
    p, r, f, s = sk.precision_recall_fscore_support(truth, predicted, labels=present, zero_division=0)
    np.testing.assert_allclose(scores.precision[present], p)
    np.testing.assert_allclose(scores.recall[present], r)
    np.testing.assert_allclose(scores.f1[present], f)
    np.testing.assert_array_equal(scores.support[present], s)
    assert scores.accuracy == pytest.approx(sk.accuracy_score(truth, predicted))
    assert scores.macro_f1 == pytest.approx(f.mean())
    assert scores.macro_recall == pytest.approx(sk.recall_score(truth, predicted, labels=present, average="macro"))


def test_classes_are_fixed_by_the_data_set():
    matrix = confusion_matrix([0, 2, 2], [0, 2, 3], 6)
    assert matrix.shape == (6, 6)
    scores = class_scores(matrix)
    np.testing.assert_array_equal(np.isnan(scores.recall), [False, True, False, True, True, True])
    np.testing.assert_array_equal(scores.support, [1, 0, 2, 0, 0, 0])
    np.testing.assert_array_equal(scores.predicted, [1, 0, 1, 1, 0, 0])
    assert scores.overall() == pytest.approx(
        {"accuracy": 2 / 3, "macro_precision": 1.0, "macro_recall": 0.75, "macro_f1": (1 + 2 / 3) / 2}
    )


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([0, 3], [0, 0], "outside"),
        ([0, -1], [0, 0], "outside"),
        ([0, 1], [0], "against"),
        ([0.5], [0], "integers"),
    ],
)
def test_bad_classes(truth, predicted, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(truth, predicted, 3)


@pytest.mark.parametrize("bad", [np.zeros((2, 3)), np.zeros((2, 2)), -np.eye(2)])
def test_bad_matrices(bad):
    with pytest.raises(ValueError, match="confusion matrix"):
        class_scores(bad)
