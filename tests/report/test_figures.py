"""Figures: they draw what they are given, and odd input does not break them."""

from __future__ import annotations

import io
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from skysift.report import figures
from skysift.report.figures.contact_sheet import stretch
from skysift.report.figures.embedding_map import KEY_SIZE
from skysift.report.figures.style import PAGE_WIDTH, PALETTE, data_uri, shorten, styled

rng = np.random.default_rng(0)
NAMES = ["1C-1P", "a rather long name of a class, longer than fits", "$x^2$", "d"]


def made():
    """Every figure, by name."""
    k = np.array([1.0, 5.0, 20.0])
    curve = (k, np.array([0.5, 0.6, 0.55]), np.array([0.01, np.nan, 0.02]))
    some = [rng.normal(size=(20, 30)), np.full((8, 8), np.nan), np.zeros((5, 5)), rng.random((9, 9))]
    groups = rng.integers(-1, 12, 400)
    return {
        "sky": figures.draw_sky_map(rng.uniform(359, 361, 90) % 360, rng.uniform(-1, 1, 90), rng.random(90) < 0.2),
        "all sky": figures.draw_sky_map(rng.uniform(0, 360, 90), rng.uniform(-80, 80, 90)),
        "one place": figures.draw_sky_map(np.array([10.0]), np.array([89.9])),
        "sheet": figures.draw_contact_sheet([("one\n$two", some), ("b", some[:1])], columns=4),
        "sizes": figures.draw_cluster_sizes([("level 1", np.array([900, 3, 0]))], np.array([900, 3, 0]), None),
        "one cluster": figures.draw_cluster_sizes([("level 1", np.array([7]))], np.array([7]), np.array([2])),
        "training": figures.draw_training_curves({"epoch": [1], "loss": [2.0], "embedding_std": [0.1]}),
        "embedding": figures.draw_embedding_map(
            rng.normal(size=(400, 2)), groups, [f"c{i}" for i in range(12)], axes_names=("a", "b"), title="t"
        ),
        "plain embedding": figures.draw_embedding_map(np.zeros((5, 2)), None, [], axes_names=("a", "b"), title="t"),
        "confusion": figures.draw_confusion([("x", np.diag([5, 0, 2, 1])), ("y", np.ones((4, 4), int))], NAMES),
        "scores": figures.draw_class_scores(
            NAMES,
            {"knn": {m: [(0.5, None), (None, None), (1.0, 0.1), (0.0, 0.0)] for m in ("precision", "recall", "f1")}},
        ),
        "sweep": figures.draw_settings_sweep({"k": {"accuracy": curve, "validation_accuracy": curve}}),
        "labels": figures.draw_score_histograms(
            [figures.LabelHistogram(n, "other", np.array([3, 0, 9])) for n in NAMES], np.linspace(0, 1, 4), 0.4
        ),
        "thresholds": figures.draw_threshold_curves(
            [figures.ThresholdCurves(n, *(np.linspace(0, 1, 5),) * 4, crossing=0.5) for n in NAMES]
        ),
        "scan": figures.draw_forest_scan(
            {part: {2: (k / 20, k / 40), 5: (k / 20, k / 30)} for part in ("selection", "held-out")}, (5, 0.25)
        ),
        "histograms": figures.draw_selection_histograms(
            {
                "constant": (np.ones(50), np.ones(3), False),
                "with NaN": (np.append(rng.lognormal(size=50), [np.nan, -1, np.inf]), None, True),
            }
        ),
    }


@pytest.fixture(scope="module")
def drawn():
    return made()


def test_every_figure_fits_the_page_and_has_labels(drawn):
    for name, figure in drawn.items():
        assert figure.get_figwidth() <= PAGE_WIDTH + 1e-9, name
        assert data_uri(figure).startswith("data:image/png;base64,"), name
        if name == "sheet":
            continue
        assert any(axes.get_xlabel() for axes in figure.axes), name
        assert figure.axes[0].get_ylabel(), name


def test_texts_do_not_overlap(drawn):
    """Tick labels and titles of one axis keep apart, and nothing sticks out of the figure."""
    for name, figure in drawn.items():
        with styled():
            figure.savefig(io.BytesIO(), format="png")
        renderer = figure.canvas.get_renderer()
        limits = figure.bbox.padded(2)
        for axes in figure.axes:
            for axis in (axes.xaxis, axes.yaxis):
                texts = [t for t in axis.get_ticklabels() if t.get_visible() and t.get_text()]
                if any(t.get_rotation() for t in texts) or name == "all sky":
                    continue
                boxes = [t.get_window_extent(renderer) for t in texts]
                inside = [b for b in boxes if axes.bbox.padded(60).overlaps(b)]
                for a, b in combinations(inside, 2):
                    assert not a.overlaps(b), (name, [t.get_text() for t in texts])
            for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
                box = text.get_window_extent(renderer)
                if text.get_text():
                    assert limits.contains(box.x0, box.y0), (name, text.get_text())
                    assert limits.contains(box.x1, box.y1), (name, text.get_text())


def test_legends_cover_no_data(drawn):
    """Wherever the data lie: a legend stands outside of all axes, and apart from other legends."""
    learning = figures.draw_learning_curves({"epoch": [1, 2], "loss": [2, 1], "accuracy": [0.1, 0.9]})
    levels = [(f"level {n} ({10**n} clusters)", np.arange(1, 10**n + 1)) for n in (3, 2, 1)]
    sizes = figures.draw_cluster_sizes(levels, np.arange(1, 11), np.full(10, 2))
    for name, figure in (drawn | {"learning": learning, "three levels": sizes}).items():
        with styled():
            figure.savefig(io.BytesIO(), format="png")
        renderer = figure.canvas.get_renderer()
        legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
        boxes = [legend.get_window_extent(renderer) for legend in legends]
        for box in boxes:
            assert figure.bbox.padded(2).contains(box.x0, box.y0), name
            assert figure.bbox.padded(2).contains(box.x1, box.y1), name
            assert not any(axes.bbox.padded(-1).overlaps(box) for axes in figure.axes), name
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2)), name


def test_the_key_of_many_points_can_be_read(drawn):
    (legend,) = [drawn["embedding"].axes[0].get_legend()]
    assert {handle.get_sizes()[0] for handle in legend.legend_handles} == {KEY_SIZE}


def test_small_numbers_are_written_short():
    figure = figures.draw_selection_histograms({"rms [Jy/beam]": (np.linspace(3e-5, 9e-5, 50), None, False)})
    with styled():
        figure.savefig(io.BytesIO(), format="png")
    axis = figure.axes[0].xaxis
    texts = [text.get_text().removeprefix(r"$\mathdefault{").removesuffix("}$") for text in axis.get_ticklabels()]
    assert {"4", "6", "8"} <= set(texts)
    assert r"10^{-5}" in axis.get_offset_text().get_text().replace("\u2212", "-")


def test_a_colour_bar_has_its_unit(drawn):
    labels = [axes.get_ylabel() for axes in drawn["confusion"].axes]
    assert labels[-1] == "share of the true class [%]"
    assert labels[0] == "true class"


def test_confusion_shows_the_numbers():
    figure = figures.draw_confusion([("x", np.array([[3, 1], [0, 0]]))], ["a", "b"])
    assert [t.get_text() for t in figure.axes[0].texts] == ["75", "25"]


def test_points_are_where_they_should_be():
    figure = figures.draw_sky_map(np.array([359.0, 1.0, np.nan]), np.array([10.0, 10.5, 3.0]))
    places = figure.axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(np.diff(places[:, 0]), 2.0)
    np.testing.assert_allclose(places[:, 1], [10.0, 10.5])
    assert figure.axes[0].xaxis_inverted()


def test_equal_figures_are_equal_and_the_look_stays_inside():
    before = dict(mpl.rcParams)
    uris = {data_uri(made()["training"]) for _ in range(2)}
    assert len(uris) == 1
    assert dict(mpl.rcParams) == before


def test_stretch():
    noise = rng.normal(5, 2, (200, 200)).astype(np.float32)
    noise[0, 0], noise[0, 1] = 2000, np.nan
    shown = stretch(noise)
    assert np.isnan(shown[0, 1])
    assert shown[0, 0] == 1
    assert 0 <= np.nanmin(shown) <= np.nanmax(shown) <= 1
    assert np.nanmedian(shown) == pytest.approx(np.arcsinh(1 / 3) / (np.arcsinh(332) + np.arcsinh(1 / 3)), rel=0.02)
    np.testing.assert_allclose(stretch(np.eye(4, dtype=np.float32) * 255), np.eye(4))
    np.testing.assert_allclose(stretch(np.full((3, 3), 7.0, np.float32)), 0.3)
    assert np.isnan(stretch(np.full((3, 3), np.nan, np.float32))).all()


def test_no_data_is_not_black():
    image = np.zeros((40, 40), np.float32)
    image[:, 20:] = np.nan
    figure = figures.draw_contact_sheet([("a", [image])], columns=1)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    pixels = np.asarray(Image.open(buffer).convert("RGB")).astype(int)
    height, width, _ = pixels.shape
    np.testing.assert_allclose(pixels[height // 2, int(width * 0.9)], [0xB8, 0xC4, 0xD0], atol=2)


def test_colours_differ_for_colour_blind_people():
    """Machado et al. (2009) matrices for full deuteranopia and protanopia; distances in linear RGB."""
    matrices = {
        "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    }
    colours = np.array([mpl.colors.to_rgb(c) for c in PALETTE[:4]])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    for matrix in matrices.values():
        seen = linear @ np.array(matrix).T
        for a, b in combinations(range(len(seen)), 2):
            assert np.linalg.norm(seen[a] - seen[b]) > 0.12


def test_shorten():
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("a$b") == r"a\$b"
