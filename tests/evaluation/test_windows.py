"""Overlap of windows, against painted pixels and against angular distances."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from skysift.evaluation.samples import make_windows
from skysift.evaluation.windows import overlapping

box = st.tuples(
    st.integers(0, 2), st.integers(0, 1), st.integers(-9, 40), st.integers(-9, 40), st.sampled_from([3, 8, 8, 17])
)


def painted(boxes, stack):
    """Set of pixels of each box."""
    pixels = []
    for mosaic, plane, x0, y0, size in boxes:
        key = (mosaic, plane if stack else 0)
        pixels.append({(key, x, y) for x in range(x0, x0 + size) for y in range(y0, y0 + size)})
    return pixels


@settings(deadline=None, max_examples=60)
@given(st.lists(box, min_size=2, max_size=30), st.booleans(), st.randoms(use_true_random=False))
def test_equals_painted_pixels(catalogue_tables, boxes, stack, random):
    mosaic, plane, x0, y0, size = (np.array(c) for c in zip(*boxes, strict=True))
    table, mosaics = catalogue_tables(
        mosaic=mosaic,
        plane=plane,
        x0=x0,
        y0=y0,
        width=size,
        labels=[[]] * len(boxes),
        format_="npz" if stack else "fits",
    )
    windows = make_windows(table, mosaics)
    side = np.array([random.random() < 0.5 for _ in boxes])
    test, train = np.flatnonzero(side), np.flatnonzero(~side)
    pixels = painted(boxes, stack)
    used = set().union(*(pixels[i] for i in train)) if len(train) else set()
    assert overlapping(windows, test, train).tolist() == [bool(pixels[i] & used) for i in test]


def test_touching_is_not_overlapping(catalogue_tables):
    table, mosaics = catalogue_tables(mosaic=0, x0=[0, 64, 63], y0=[0, 0, 64], labels=[[]] * 3)
    windows = make_windows(table, mosaics)
    assert overlapping(windows, np.array([1, 2]), np.array([0])).tolist() == [False, False]
    assert overlapping(windows, np.array([1]), np.array([2])).tolist() == [False]
    assert overlapping(windows, np.array([2]), np.array([], dtype=int)).tolist() == [False]


def test_two_surveys_of_one_sky(catalogue_tables):
    """Two mosaics whose windows lie on the same sky share it; those two degrees away do not."""
    table, mosaics = catalogue_tables(mosaic=[0, 1, 2], x0=[0] * 3, y0=[0] * 3, labels=[[]] * 3, positions="sky")
    diagonal = 64 * 1.5 * np.sqrt(2) / 3600
    for shift, expected in ((0.98 * diagonal, True), (1.02 * diagonal, False)):
        ra = table.column("ra").to_pylist()
        moved = table.set_column(table.schema.get_field_index("ra"), "ra", pa.array([ra[0], ra[0] + shift, ra[2]]))
        windows = make_windows(moved, mosaics)
        assert overlapping(windows, np.array([1, 2]), np.array([0])).tolist() == [expected, False]


def test_cubes_share_the_sky_of_all_their_planes_and_stacks_do_not(catalogue_tables):
    for format_, expected in (("fits", 1), ("npz", 2), ("picture", 2), ("fits.fz", 1)):
        table, mosaics = catalogue_tables(
            mosaic=0, plane=[0, 1], x0=[0, 0], y0=[0, 0], labels=[[]] * 2, format_=format_
        )
        assert len(np.unique(make_windows(table, mosaics).image)) == expected
