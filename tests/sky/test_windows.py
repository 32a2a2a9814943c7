"""Windows: examples by hand and properties over all shapes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skysift.errors import RequestError
from skysift.sky import sliding_windows, source_windows
from skysift.sky.windows import inside


def test_a_grid_by_hand():
    assert sliding_windows((5, 8), 4, 0.5).tolist() == [
        [0, 0, 4, 4], [2, 0, 4, 4], [4, 0, 4, 4], [0, 1, 4, 4], [2, 1, 4, 4], [4, 1, 4, 4],
    ]  # fmt: skip
    assert sliding_windows((5, 9), 4, 0.5, edge="drop").tolist() == [[0, 0, 4, 4], [2, 0, 4, 4], [4, 0, 4, 4]]
    assert sliding_windows((4, 4), 4).tolist() == [[0, 0, 4, 4]]
    assert sliding_windows((1, 1), 1).tolist() == [[0, 0, 1, 1]]


def test_number_of_windows():
    """63 x 63 over 4096 pixels, as 4096 / 64 - 1; the step is the side times one minus the overlap."""
    assert len(sliding_windows((4096, 4096), 128, 0.5)) == 63 * 63
    assert np.unique(sliding_windows((1000, 1000), 100, 0.9)[:, 0]).tolist() == list(range(0, 901, 10))


def test_several_sizes_follow_one_another():
    together = sliding_windows((64, 80), (32, 16, 32), 0.25)
    assert_array_equal(together, np.concatenate([sliding_windows((64, 80), n, 0.25) for n in (16, 32)]))
    assert together.dtype == np.int32


@given(
    st.integers(1, 90), st.integers(1, 90), st.integers(1, 90), st.floats(0, 0.99), st.sampled_from(["align", "drop"])
)
@settings(deadline=None, max_examples=200)
def test_windows_cover_the_mosaic_and_stay_inside(ny, nx, size, overlap, edge):
    if size > min(ny, nx):
        with pytest.raises(RequestError, match="larger than the mosaic"):
            sliding_windows((ny, nx), size, overlap, edge=edge)
        return
    windows = sliding_windows((ny, nx), size, overlap, edge=edge)
    x0, y0, w, h = windows.T
    assert (w == size).all()
    assert (h == size).all()
    assert x0.min() == 0 == y0.min()
    assert (x0 + w <= nx).all()
    assert (y0 + h <= ny).all()
    assert len(np.unique(windows, axis=0)) == len(windows)
    assert_array_equal(windows, windows[np.lexsort((x0, y0))])
    step = max(1, size * (1 - overlap))
    for starts, length in ((np.unique(x0), nx), (np.unique(y0), ny)):
        covered = np.zeros(length, bool)
        for start in starts:
            covered[start : start + size] = True
        assert (np.diff(starts) <= step + 0.5).all()
        if edge == "align":
            assert covered.all()
        else:
            assert (~covered).sum() < step + 0.5


@pytest.mark.parametrize(
    ("shape", "size", "overlap", "message"),
    [
        ((10, 99), 11, 0.5, r"A window of 11 pixels is larger than m\.fits \(99 x 10 pixels\); .* at most 10"),
        ((10, 10), (4, 64), 0.5, "A window of 64"),
        ((10, 10), 4, 1.0, r"overlap of 1.0 is outside \[0, 1\)"),
        ((10, 10), 4, -0.1, "overlap"),
        ((10, 10), 0, 0.5, "too small"),
        ((10, 10), (), 0.5, "too small"),
    ],
)
def test_requests_that_make_no_windows(shape, size, overlap, message):
    with pytest.raises(RequestError, match=message):
        sliding_windows(shape, size, overlap, name="m.fits")


def test_source_boxes_by_hand():
    assert source_windows(10.0, 20.0, 5, 3, zoom=1.0, min_size=1).tolist() == [[8, 18, 5, 5]]
    assert source_windows(10.5, 20.0, 4, 2, zoom=1.5, min_size=1).tolist() == [[8, 18, 6, 6]]
    assert source_windows([1.0], [2.0], [3.0], [3.0]).tolist() == [[-14, -13, 32, 32]]
    assert source_windows([], [], [], []).shape == (0, 4)


@given(
    st.lists(st.tuples(*[st.floats(-50, 150)] * 2, *[st.floats(0, 60)] * 2), min_size=1, max_size=20),
    st.floats(0.1, 4),
    st.integers(1, 40),
)
@settings(deadline=None)
def test_source_boxes_are_square_centred_and_large_enough(sources, zoom, least):
    x, y, w, h = np.array(sources).T
    x0, y0, side, height = source_windows(x, y, w, h, zoom=zoom, min_size=least).T
    assert_array_equal(side, height)
    assert (side >= zoom * np.maximum(w, h) - 1e-6).all()
    assert (side >= least).all()
    assert (side <= np.maximum(zoom * np.maximum(w, h) + 1, least)).all()
    assert (np.abs(x0 + (side - 1) / 2 - x) <= 0.5 + 1e-9).all()
    assert (np.abs(y0 + (side - 1) / 2 - y) <= 0.5 + 1e-9).all()


def test_bad_source_boxes():
    for options in ({"zoom": 0.0}, {"min_size": 0}):
        with pytest.raises(RequestError, match="makes no box"):
            source_windows(1, 1, 1, 1, **options)
    with pytest.raises(RequestError, match="no finite centre"):
        source_windows([1.0, np.nan], [1.0, 2.0], 3, 3)


def test_inside():
    windows = np.array(
        [[0, 0, 4, 4], [-4, 0, 4, 4], [-3, 0, 4, 4], [9, 5, 4, 4], [10, 5, 4, 4], [0, 8, 1, 1]], np.int32
    )
    assert inside(windows, (8, 10)).tolist() == [True, False, True, True, False, False]
