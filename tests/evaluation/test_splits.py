"""Draws: no shared pixel, whole groups, class shares, sizes, nesting, seeds."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skysift.errors import RequestError
from skysift.evaluation.options import Splitting
from skysift.evaluation.samples import find_twins, make_samples
from skysift.evaluation.splits import group_samples, make_folds, part_groups


def sliding(n_mosaics, across, step=32):
    """Half-overlapping windows over square mosaics."""
    grid = np.arange(across) * step
    m, y, x = (a.ravel() for a in np.meshgrid(np.arange(n_mosaics), grid, grid, indexing="ij"))
    return m, x, y


def survey(catalogue_tables, n_mosaics=3, across=14, positions="sky", seed=0, n_classes=3, **kwargs):
    m, x, y = sliding(n_mosaics, across)
    rng = np.random.default_rng(seed)
    labels = [[f"k{c}"] for c in rng.integers(0, n_classes, len(m))]
    table, mosaics = catalogue_tables(mosaic=m, x0=x, y0=y, labels=labels, positions=positions, **kwargs)
    return make_samples(table, mosaics, rng.normal(size=(len(m), 4)).astype(np.float32))


def pixels(samples, rows):
    found = set()
    for row in rows:
        x0, y0, x1, y1 = samples.windows.box[row] // 8  # windows are aligned to 8 pixels in these tests
        image = samples.windows.image[row]
        found |= {(image, x, y) for x in range(x0, x1) for y in range(y0, y1)}
    return found


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    split=st.sampled_from(["sky", "mosaic", "image"]),
    n=st.integers(20, 80),
    fraction=st.sampled_from([0.1, 0.3, 0.6]),
)
def test_training_and_test_share_no_pixel(catalogue_tables, seed, split, n, fraction):
    rng = np.random.default_rng(seed)
    table, mosaics = catalogue_tables(
        mosaic=rng.integers(0, 4, n),
        x0=8 * rng.integers(0, 60, n),
        y0=8 * rng.integers(0, 60, n),
        width=8 * rng.integers(1, 9, n),
        labels=[[c] for c in rng.choice(["a", "b"], n)],
        positions="sky",
    )
    samples = make_samples(table, mosaics, rng.normal(size=(n, 4)).astype(np.float32))
    try:
        folds = make_folds(samples, Splitting(split=split, test_fraction=fraction), draws=2, seed=seed % 1000)
    except RequestError as error:
        # so few windows may leave no test class without overlap, or lie in one cell
        if "too few classes" in str(error) or "no way to part" in str(error):
            return
        raise
    for fold in folds.folds:
        assert not pixels(samples, fold.train) & pixels(samples, fold.test)
        assert not pixels(samples, fold.fit) & pixels(samples, fold.validation)
        assert set(fold.fit) | set(fold.validation) <= set(fold.train)


def test_sky_cells_stay_whole_and_drops_are_counted(catalogue_tables):
    samples = survey(catalogue_tables)
    folds = make_folds(samples, Splitting(), draws=4, seed=1)
    assert folds.by == "sky"
    assert folds.groups >= 64
    groups, order = group_samples(samples, "sky", None)
    assert order == folds.cell_order
    assert 58.6 / 2**order >= 64 * 1.5 / 3600
    for fold in folds.folds:
        assert not set(groups[fold.train]) & set(groups[fold.test])
        assert len(fold.train) + len(fold.test) + fold.dropped == len(samples)
        assert fold.dropped > 0
        candidates = len(fold.test) + fold.dropped
        assert candidates == pytest.approx(0.3 * len(samples), rel=0.1)


def test_null_positions_split_by_mosaic(catalogue_tables):
    samples = survey(catalogue_tables, n_mosaics=6, across=5, positions="none")
    folds = make_folds(samples, Splitting(), draws=3, seed=0)
    assert (folds.by, folds.groups, folds.cell_order) == ("sky", 6, None)
    for fold in folds.folds:
        assert not set(samples.windows.mosaic[fold.train]) & set(samples.windows.mosaic[fold.test])
        assert fold.dropped == 0
    with pytest.raises(RequestError, match=r"no way to part.*--split image"):
        make_folds(survey(catalogue_tables, n_mosaics=1, positions="none"), Splitting(), draws=1, seed=0)


@pytest.mark.parametrize("sizes", [(10, 100), (100, 10), (30, 30)])
def test_two_mosaics_give_a_training_and_a_test_set(catalogue_tables, sizes):
    n = sum(sizes)
    table, mosaics = catalogue_tables(
        mosaic=np.repeat([0, 1], sizes), x0=70 * np.arange(n), y0=np.zeros(n), labels=[["ab"[i % 2]] for i in range(n)]
    )
    samples = make_samples(table, mosaics, np.random.default_rng(0).normal(size=(n, 4)))
    for fold in make_folds(samples, Splitting(), draws=3, seed=0).folds:
        assert min(sizes) == len(fold.test)


def test_images_of_a_stack_are_stratified_exactly(stack):
    table, mosaics, features = stack
    samples = make_samples(table, mosaics, features)
    folds = make_folds(samples, Splitting(test_fraction=0.25), draws=3, seed=7)
    assert folds.groups == 300
    expected = np.round(0.25 * np.bincount(samples.classes))
    for fold in folds.folds:
        np.testing.assert_array_equal(np.bincount(samples.classes[fold.test]), expected)
        assert fold.dropped == 0
        held = np.bincount(samples.classes[fold.validation], minlength=3)
        np.testing.assert_array_equal(held, np.round(0.2 * np.bincount(samples.classes[fold.train])))
    assert not np.array_equal(folds.folds[0].test, folds.folds[1].test)


def test_balanced_draws(stack):
    table, mosaics, features = stack
    samples = make_samples(table, mosaics, features)
    folds = make_folds(samples, Splitting(train_per_class=12, test_per_class=5), draws=5, seed=0)
    assert folds.notes == []
    for fold in folds.folds:
        assert np.bincount(samples.classes[fold.train]).tolist() == [12, 12, 12]
        assert np.bincount(samples.classes[fold.test]).tolist() == [5, 5, 5]
    short = make_folds(samples, Splitting(train_per_class=100), draws=2, seed=0)
    assert any("fewer than 100 training samples of c2" in note for note in short.notes)


def test_label_fractions_are_nested_and_share_their_test_sets(stack):
    table, mosaics, features = stack
    samples = make_samples(table, mosaics, features)
    previous = None
    for fraction in (0.02, 0.1, 0.5, 1.0):
        fold = make_folds(samples, Splitting(label_fraction=fraction), draws=1, seed=3).folds[0]
        counts = np.bincount(samples.classes[fold.train], minlength=3)
        assert (counts >= 1).all()
        if previous is not None:
            assert set(previous.train) <= set(fold.train)
            np.testing.assert_array_equal(previous.test, fold.test)
            assert len(fold.train) > len(previous.train)
        previous = fold


def test_equal_requests_give_equal_draws(catalogue_tables):
    samples = survey(catalogue_tables)
    first, second = (make_folds(samples, Splitting(), draws=2, seed=5) for _ in range(2))
    for a, b in zip(first.folds, second.folds, strict=True):
        np.testing.assert_array_equal(a.train, b.train)
        np.testing.assert_array_equal(a.test, b.test)
    longer = make_folds(samples, Splitting(), draws=3, seed=5)
    np.testing.assert_array_equal(longer.folds[1].test, first.folds[1].test)


def test_fixed_split_is_used(catalogue_tables, stack):
    table, mosaics, features = stack
    words = ["test" if i % 4 == 0 else "val" if i % 4 == 1 else "train" for i in range(300)]
    samples = make_samples(table.append_column("split", [words]), mosaics, features)
    folds = make_folds(samples, Splitting(), draws=5, seed=0)
    assert folds.by == "fixed"
    assert len(folds.folds) == 1
    assert "one draw" in folds.notes[0]
    np.testing.assert_array_equal(samples.rows[folds.folds[0].test], np.arange(0, 300, 4))
    assert len(make_folds(samples, Splitting(train_per_class=5), draws=5, seed=0).folds) == 5
    with pytest.raises(RequestError, match="no split"):
        make_folds(make_samples(table, mosaics, features), Splitting(split="fixed"), draws=1, seed=0)


def test_overlapping_windows_of_a_fixed_split_are_dropped(catalogue_tables):
    table, mosaics = catalogue_tables(
        mosaic=0,
        x0=[0, 100, 200, 300, 32, 400, 500],
        y0=[0] * 7,
        labels=[["a"], ["b"], ["a"], ["b"], ["a"], ["a"], ["b"]],
        split=["train"] * 4 + ["test"] * 3,
    )
    samples = make_samples(table, mosaics, np.random.default_rng(0).normal(size=(7, 3)))
    fold = make_folds(samples, Splitting(), draws=1, seed=0).folds[0]
    assert fold.test.tolist() == [5, 6]
    assert fold.dropped == 1


def test_equal_images_stay_together(stack):
    table, mosaics, features = stack
    twins = np.concatenate([np.arange(300), np.arange(40)])
    doubled = table.take(twins)
    plane = np.arange(340, dtype=np.int32)
    doubled = doubled.set_column(doubled.schema.get_field_index("plane"), "plane", [plane])
    noisy = features[twins] * (1 + 1e-6 * np.random.default_rng(0).normal(size=(340, 1))).astype(np.float32)
    samples = make_samples(doubled, mosaics, noisy)
    assert len(np.unique(samples.twins)) == 300
    for fold in make_folds(samples, Splitting(), draws=4, seed=0).folds:
        assert not set(twins[fold.train]) & set(twins[fold.test])


def test_a_collapsed_encoder_is_named_not_refused(stack):
    table, _, _ = stack
    for name in ("rms", "peak"):
        table = table.set_column(table.schema.get_field_index(name), name, [np.ones(300, np.float32)])
    notes: list[str] = []
    twins = find_twins(table, np.ones((300, 4), np.float32), np.arange(300), notes)
    assert len(np.unique(twins)) == 300
    assert "collapsed" in notes[0]


def test_groups_meet_the_fraction_of_every_class():
    rng = np.random.default_rng(2)
    groups = rng.integers(0, 80, 2000)
    classes = np.where(rng.random(2000) < 0.05, 1, 0)
    for seed in range(5):
        chosen = part_groups(groups, classes, 2, 0.3, np.random.default_rng(seed))
        for index in (0, 1):
            assert chosen[classes == index].mean() == pytest.approx(0.3, abs=0.05)


def test_groups_that_the_data_set_names(catalogue_tables):
    """Pointings stay whole, whatever the positions; images without a name are groups of their own."""
    rng = np.random.default_rng(4)
    n = 120
    fields = [f"field {i}" for i in rng.integers(0, 15, n)]
    fields[:10] = [None] * 10
    table, mosaics = catalogue_tables(
        mosaic=0,
        plane=np.arange(n),
        x0=np.zeros(n),
        y0=np.zeros(n),
        labels=[[c] for c in rng.choice(["a", "b"], n)],
        format_="npz",
        split=fields,
    )
    samples = make_samples(table, mosaics, rng.normal(size=(n, 4)).astype(np.float32))
    assert samples.fixed is None
    folds = make_folds(samples, Splitting(split="group"), draws=4, seed=1)
    assert (folds.by, folds.groups) == ("group", 25)
    names = np.array([name or f"image {i}" for i, name in enumerate(fields)])
    for fold in folds.folds:
        assert not set(names[fold.train]) & set(names[fold.test])
        assert not set(names[fold.fit]) & set(names[fold.validation])
        assert 0.2 < len(fold.test) / n < 0.4
    plain = make_samples(table.drop_columns(["split"]), mosaics, rng.normal(size=(n, 4)).astype(np.float32))
    with pytest.raises(RequestError, match="names no groups"):
        make_folds(plain, Splitting(split="group"), draws=1, seed=0)


def test_too_few_validation_samples_are_none(stack):
    """210 training samples leave 42 to choose by; a tenth of them leaves four, by which C is a coin toss."""
    table, mosaics, features = stack
    samples = make_samples(table, mosaics, features)
    for options, parted in (
        (Splitting(), True),
        (Splitting(label_fraction=0.1), False),
        (Splitting(label_fraction=0.1, least_validation=1), True),
    ):
        (fold,) = make_folds(samples, options, draws=1, seed=0).folds
        assert (len(fold.validation) > 0) == parted
        assert parted or np.array_equal(fold.fit, fold.train)


def test_folds_test_every_sample_once_and_are_stratified(stack):
    samples = make_samples(*stack)
    share = np.bincount(samples.classes) / 5
    found = make_folds(samples, Splitting(split="image", folds=5), draws=10, seed=3).folds
    for turn in (found[:5], found[5:]):
        tested = np.concatenate([fold.test for fold in turn])
        assert np.array_equal(np.sort(tested), np.arange(300))
        for fold in turn:
            counts = np.bincount(samples.classes[fold.test], minlength=3)
            assert np.abs(counts - share).max() < 1
            assert len(np.intersect1d(fold.test, fold.train)) == 0
    assert not np.array_equal(found[0].test, found[5].test)


def test_folds_keep_sky_cells_whole(catalogue_tables):
    samples = survey(catalogue_tables)
    groups, _ = group_samples(samples, "sky", None)
    found = make_folds(samples, Splitting(split="sky", folds=3), draws=3, seed=0).folds
    for fold in found:
        assert not set(groups[fold.test]) & set(groups[fold.train])
    sides = np.concatenate([np.unique(groups[fold.test]) for fold in found])
    assert len(np.unique(sides)) == len(sides)


def test_more_folds_than_groups_and_a_fixed_split(catalogue_tables, stack):
    samples = survey(catalogue_tables, n_mosaics=3, positions="null")
    with pytest.raises(RequestError, match="3 groups by mosaic and 5 folds"):
        make_folds(samples, Splitting(split="mosaic", folds=5), draws=5, seed=0)
    table, mosaics, features = stack
    fixed = make_samples(table.append_column("split", [["test", "train"] * 150]), mosaics, features)
    with pytest.raises(RequestError, match="no folds"):
        make_folds(fixed, Splitting(split="fixed", folds=5), draws=5, seed=0)
