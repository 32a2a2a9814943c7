"""Classes of a task from label lists."""

import pytest

from skysift.errors import RequestError
from skysift.evaluation.labels import class_set

LABELS = [["2"], ["10"], ["1", "WISE"], None, [], ["2", "10"]]


def test_every_label_in_natural_order():
    found = class_set(LABELS)
    assert found.names == ("1", "2", "10", "WISE")
    assert found.assign(LABELS).tolist() == [1, 2, -2, -1, -1, -2]


def test_wanted_classes_fix_the_order_and_join_labels():
    found = class_set(LABELS, ["high=10+2", "low=1"])
    assert found.names == ("high", "low")
    assert found.assign(LABELS).tolist() == [0, 0, 1, -1, -1, 0]


def test_the_order_of_the_data_set_is_kept():
    found = class_set(LABELS, order=["WISE", "gone", "10"])
    assert found.names == ("WISE", "gone", "10", "1", "2")
    assert found.assign(LABELS).tolist() == [4, 2, -2, -1, -1, -2]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["a=1", "a=2"], "twice"),
        (["=1", "b=2"], "twice or not at all"),
        (["a=1+2", "b=2"], "in two classes"),
        (["a=1", "b=7"], "no cutout has the label '7'.*there are: 1, 2, 10, WISE"),
        (["1"], "at least two classes"),
    ],
)
def test_bad_classes(wanted, message):
    with pytest.raises(RequestError, match=message):
        class_set(LABELS, wanted)


def test_no_labels():
    with pytest.raises(RequestError, match="catalogue has 0"):
        class_set([None, []])
