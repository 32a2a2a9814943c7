"""What the report says of classifiers and suspected labels, against what the artifacts hold."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import norm

from skysift.datasets.stages import Dataset
from skysift.evaluation.stages import Classify, Mislabels, TrainClassifier
from skysift.features.stages import Features
from skysift.metrics.calibration import reliability
from skysift.report import build_report, figures
from skysift.report.blocks import Note, Picture, Table
from skysift.report.family import Family
from skysift.report.figures import style
from skysift.report.figures.style import PAGE_WIDTH, styled
from skysift.report.numbers import count
from skysift.report.sections import classification, mislabels
from skysift.store.store import Store


@pytest.fixture(scope="module", autouse=True)
def _coarse():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DPI", 40)
        yield


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with a classifier, what it made of its own cutouts, and their suspected labels."""
    folder = tmp_path_factory.mktemp("classification")
    rng = np.random.default_rng(0)
    classes = np.arange(120) % 3
    images = rng.normal(0, 0.3, (120, 24, 24)).astype(np.float32)
    images[np.arange(120)[:, None], 4 + 6 * classes[:, None], np.arange(24)] += 1.5
    labels = np.array(["top", "<b>middle</b> $x$", "bottom"])[classes]
    np.savez(folder / "set.npz", images=images, labels=labels)
    store = Store(folder / "store")
    data = store.run(Dataset(source=str(folder / "set.npz")))
    options = {"weights": "random", "image_size": 32, "channels": 1, "preprocess": "minmax"}
    features = store.run(Features(cutouts=data.id, encoder="timm:test_resnet", **options), device="cpu")
    model = store.run(TrainClassifier(features=features.id, freeze=True, turn=False, batch_size=8), device="cpu")
    for stage in (Classify(model=model.id, cutouts=data.id), Mislabels(features=features.id, repeats=1)):
        store.run(stage, device="cpu")
    return store


def one(store, kind):
    (found,) = [a for a in store.artifacts() if a.kind == kind]
    return found


def tables(section):
    return [block for block in section.blocks if isinstance(block, Table)]


def bins(n, seed, classes=2):
    """What a classifier's `metrics.json` holds of its reliability."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet([0.6] * classes, n)
    truth = np.array([rng.choice(classes, p=row) for row in probabilities])
    found = reliability(probabilities, truth)
    holes = [[None if np.isnan(v) else v for v in values] for values in (found.confidence, found.accuracy)]
    points = {
        "edges": found.edges.tolist(),
        "count": found.count.tolist(),
        "confidence": holes[0],
        "accuracy": holes[1],
    }
    return {"ece": found.error, "ece_by_chance": 0.03, "bins": points}


def test_scores_are_those_of_the_classifier(store):
    artifact = one(store, "classifier")
    metrics = json.loads(artifact.path("metrics.json").read_text())
    section = classification.make(Family(store, artifact.id))
    overall, per_class, *_ = tables(section)
    assert overall.rows[0][0] == "accuracy"
    assert overall.rows[0][1].startswith(f"{metrics['scores']['overall']['accuracy']['value']:.2f}")
    ece = next(row for row in overall.rows if row[0] == "expected calibration error")
    assert ece[1:] == [f"{metrics['calibration'][w]['ece']:.3f}" for w in ("after", "before")]
    assert [row[0] for row in per_class.rows] == metrics["classes"]
    assert [row[4] for row in per_class.rows] == [count(n) for n in metrics["split"]["train"].values()]
    assert f"trained on {sum(metrics['split']['train'].values())} labelled cutouts" in section.blocks[0].text


def test_classes_of_a_classification_are_counted(store):
    artifact = one(store, "classification")
    section = classification.make(Family(store, artifact.id))
    table = tables(section)[-1]
    assert [row[0] for row in table.rows] == list(artifact.counts["predicted"])
    assert [row[1] for row in table.rows] == [count(n) for n in artifact.counts["predicted"].values()]
    assert [row[3] for row in table.rows] == [count(n) for n in artifact.counts["expected"].values()]
    sheet = section.blocks[-1]
    assert isinstance(sheet, Picture)
    assert "least certain" in sheet.caption


def test_suspected_labels_are_shown_in_their_order(store):
    artifact = one(store, "mislabels")
    section = mislabels.make(Family(store, artifact.id))
    rows = pq.read_table(artifact.path("mislabels.parquet")).to_pylist()
    joint, listed = tables(section)
    assert listed.header == ["rank", "cutout", "label", "suggestion", "p(label)", "p(suggestion)", "suspected"]
    assert listed.numbers == {0, 4, 5}
    assert [row[1] for row in listed.rows] == [row["cutout_id"] for row in rows[:36]]
    assert [row[2:4] for row in listed.rows] == [[row["label"], row["suggestion"]] for row in rows[:36]]
    summary = json.loads(artifact.path("summary.json").read_text())
    assert [row[1] for row in joint.rows] == [count(120 * shares[0]) for shares in summary["joint"]]
    gallery, typical = [block for block in section.blocks if isinstance(block, Picture)]
    assert gallery.caption.startswith("The 36 most suspicious labels")
    assert "least doubted" in typical.caption
    assert "features of timm:test_resnet, random" in section.blocks[0].text


def test_positions_are_shown_where_there_are_some():
    row = {"rank": 1, "cutout_id": "ab", "label": "a", "suggestion": "b", "p_label": 0.1, "p_suggestion": 0.8}
    placed = {**row, "suspected": True, "ra": 10.00001, "dec": -0.5}
    table = mislabels._list([placed, {**placed, "ra": None, "dec": None}])
    assert table.rows[0][2:4] == ["10.00001", "-0.50000"]
    assert table.rows[1][2:4] == ["–", "–"]
    assert table.numbers == {0, 2, 3, 6, 7}
    assert mislabels._where(placed) == "10.0000 -0.5000"


def test_moved_images_cost_the_pictures_not_the_page(store, tmp_path):
    artifact = one(store, "mislabels")
    family = Family(store, artifact.id)
    (path,) = one(store, "dataset").run["sources"].values()
    from pathlib import Path

    moved = Path(path).rename(tmp_path / "moved.npz")
    try:
        section = mislabels.make(family)
        assert any(isinstance(b, Note) and b.warning and b.text.startswith("No pictures") for b in section.blocks)
        assert len(tables(section)) == 2
    finally:
        moved.rename(path)


def test_page_of_each_is_whole(store, tmp_path):
    for kind, key in (
        ("classifier", "classification"),
        ("classification", "classification"),
        ("mislabels", "mislabels"),
    ):
        text = build_report(store, one(store, kind).id, tmp_path / f"{kind}.html").read_text()
        assert f'<section id="{key}">' in text
        assert "<b>middle</b>" not in text
        assert "&lt;b&gt;middle&lt;/b&gt;" in text
    assert "skysift classify " in (tmp_path / "classification.html").read_text()
    assert "skysift train-classifier " in (tmp_path / "classification.html").read_text()


def test_reliability_shows_each_bin_with_its_interval():
    data = bins(400, 1)
    figure = figures.draw_reliability([("a", data), ("b", bins(9, 2))], 2)
    assert figure.get_figwidth() <= PAGE_WIDTH
    upper = figure.axes[0]
    points = np.concatenate([container.lines[0].get_xydata() for container in upper.containers])
    expected = [
        (c, a) for c, a in zip(data["bins"]["confidence"], data["bins"]["accuracy"], strict=True) if a is not None
    ]
    np.testing.assert_allclose(sorted(points.tolist()), sorted(expected))
    # the Wilson interval of the fullest bin (Wilson 1927, JASA 22, 209)
    k = int(np.argmax(data["bins"]["count"]))
    n, p, z = data["bins"]["count"][k], data["bins"]["accuracy"][k], norm.ppf(0.84)
    centre, half = (
        (p + z**2 / (2 * n)) / (1 + z**2 / n),
        z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)),
    )
    bars = [segment for c in upper.containers for segment in c.lines[2][0].get_segments()]
    mine = next(bar for bar in bars if bar[0][0] == pytest.approx(data["bins"]["confidence"][k]))
    np.testing.assert_allclose(mine[:, 1], [centre - half, centre + half], atol=2e-3)
    counts = [patch.get_height() for patch in figure.axes[2].patches]
    assert counts == data["bins"]["count"]
    assert {text.get_text() for text in upper.texts} == {f"ECE {data['ece']:.3f} (chance 0.030)"}


def test_words_keep_apart():
    figure = figures.draw_reliability([("without temperature", bins(90, 1)), ("with temperature", bins(90, 2))], 2)
    with styled():
        figure.savefig(io.BytesIO(), format="png")
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes[:2]:
        title, said = axes._left_title.get_window_extent(renderer), axes.texts[0].get_window_extent(renderer)
        assert axes._left_title.get_text()
        assert not title.overlaps(said)


def test_gallery_gives_every_cutout_its_words():
    rng = np.random.default_rng(0)
    items = [(rng.normal(size=(9, 12)), (f"{n}. a label that is much too long to fit", "→ $b$")) for n in range(8)]
    figure = figures.draw_gallery(items, columns=6)
    assert figure.get_figwidth() == PAGE_WIDTH
    assert len(figure.axes) == 8
    words = [text.get_text() for text in figure.texts]
    assert len(words) == 16
    assert words[0].startswith("0. a label")
    assert words[0].endswith("…")
    assert words[1] == r"→ \$b\$"
    with styled():
        figure.savefig(io.BytesIO(), format="png")
    renderer = figure.canvas.get_renderer()
    for text, axes in zip(figure.texts[::2], figure.axes, strict=True):
        box, picture = text.get_window_extent(renderer), axes.get_window_extent(renderer)
        assert box.x1 <= picture.x1 + 1
        assert box.y1 <= picture.y0
    sides = [axes.get_window_extent(renderer) for axes in figure.axes]
    assert all(side.width == pytest.approx(side.height, rel=1e-3) for side in sides)
