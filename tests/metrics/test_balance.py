"""Balance of counts, against written-out definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from skysift.metrics import entropy, gini, normalised_entropy


def test_gini_of_known_cases():
    assert gini([5, 5, 5, 5]) == 0.0
    assert gini([0, 0, 0, 10]) == pytest.approx(3 / 4)
    assert gini([1, 3]) == pytest.approx(0.25)
    assert gini([7]) == 0.0


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30).filter(any))
def test_gini_is_half_the_relative_mean_difference(counts):
    x = np.array(counts, dtype=float)
    expected = np.abs(x[:, None] - x[None, :]).mean() / (2 * x.mean())
    assert gini(counts) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30).filter(any))
def test_entropy_equals_scipy(counts):
    assert entropy(counts) == pytest.approx(stats.entropy(counts), abs=1e-12)
    assert entropy(counts, base=2) == pytest.approx(stats.entropy(counts, base=2), abs=1e-12)
    assert 0.0 <= normalised_entropy(counts) <= 1.0


def test_normalised_entropy_ends():
    assert normalised_entropy([4, 4, 4]) == pytest.approx(1.0)
    assert normalised_entropy([9, 0, 0]) == 0.0
    assert normalised_entropy([9]) == 1.0


@pytest.mark.parametrize("bad", [[], [0, 0], [1, -1], [1, np.nan], [[1, 2]]])
@pytest.mark.parametrize("function", [gini, entropy, normalised_entropy])
def test_bad_counts(function, bad):
    with pytest.raises(ValueError, match="counts must be"):
        function(bad)
